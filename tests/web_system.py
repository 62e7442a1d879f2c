"""A real engine with tables and real pages over it, for tests; rows go straight into the intake."""

import itertools
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tailrace.packs import find_required
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.migrations import set_up
from tests.processes import Process, answers, start_engine


@dataclass
class StoreSystem:
    """An engine with tables, and the environment by which commands find it."""

    engine: Process
    store: Store
    environment: dict[str, str]

    def insert(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Put events where the collector puts them, in one batch."""
        body = b"".join(json.dumps(event).encode() + b"\n" for event in events)
        self.store.insert("logs.intake", body, "JSONAsString", columns=["json"])

    def clear(self) -> None:
        """Take every row away."""
        self.store.command("TRUNCATE TABLE logs.application_logs")


@dataclass
class WebSystem(StoreSystem):
    """With pages over it; `url` is theirs."""

    web: Process
    url: str

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """A GET of the pages or the API."""
        return httpx.get(f"{self.url}{path}", params=parameters, timeout=60)


FIRST_PORT, PORTS_OF_A_PROCESS = 20_000, 2_000
"""Below those that systems give to who asks for any: nobody gets one before its time comes."""


def free_port() -> int:
    """A port of loopback that nobody listens on now; no two calls have the same."""
    for port in _own_ports():
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("BUG: there is always a next one")


@cache
def _own_ports() -> Iterator[int]:
    """Those that are this process's alone among the processes of pytest, again and again."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + worker * PORTS_OF_A_PROCESS
    begin = os.getpid() % PORTS_OF_A_PROCESS
    return itertools.cycle(
        first + (begin + number) % PORTS_OF_A_PROCESS for number in range(PORTS_OF_A_PROCESS)
    )


def start_web(environment: Mapping[str, str]) -> Process:
    """`tailrace web` on a free port, once it answers."""
    process = Process(["web", "--web-port", "0"], environment)
    try:
        process.wait_for(lambda: _address(process), "address in the log")
        process.url = _address(process)
        process.wait_for(lambda: answers(f"{process.url}/healthz"), "answer to /healthz")
    except BaseException:
        process.kill()
        raise
    return process


@contextmanager
def storing(
    data_dir: Path,
    packs: Sequence[str] = ("logs",),
    packs_dir: Path | None = None,
    engine_port: int = 0,
) -> Iterator[StoreSystem]:
    """An engine with the tables of packs, and of those that they require; stopped at the end.

    `engine_port`: for one that is started again.
    """
    with start_engine(data_dir, None, "--engine-port", str(engine_port)) as engine:
        settings = Settings.read(engine_port=engine.port, data_dir=data_dir, packs_dir=packs_dir)
        environment = {
            "TAILRACE_DATA_DIR": str(data_dir),
            "TAILRACE_COLLECTOR_PORT": str(free_port()),
            "TAILRACE_ENGINE_PORT": str(engine.port),
        }
        if packs_dir is not None:
            environment["TAILRACE_PACKS_DIR"] = str(packs_dir)
        with Store.from_settings(settings) as store:
            set_up(store, find_required(settings, packs), settings)
            yield StoreSystem(engine, store, environment)
    shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def running(
    data_dir: Path,
    packs: Sequence[str] = ("logs",),
    packs_dir: Path | None = None,
    engine_port: int = 0,
) -> Iterator[WebSystem]:
    """The same with pages over it."""
    with (
        storing(data_dir, packs, packs_dir, engine_port) as system,
        start_web(system.environment) as web,
    ):
        yield WebSystem(system.engine, system.store, system.environment, web, web.url)


def _address(process: Process) -> str:
    if "pages are ready" not in process.log:
        return ""
    found = re.search(r"http://127\.0\.0\.1:\d+", process.log)
    return found.group() if found else ""
