"""Worker processes, in which pipelines run.

A worker gets the path of a segment and gives back what became of it. It holds no state that
matters: when it dies, another one gets the same segment, which is as it was. When a segment has
ended two workers, each half of its frames is tried in a worker of its own, and so on, until the
frame that ends workers is alone; that one is rejected, and all others go on.

Threads would not do: VRL and Python hold the interpreter lock, and the event loop must stay free.
"""

import asyncio
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from tailrace.collect.buffer.segment import Segment
from tailrace.collect.fused import fused
from tailrace.collect.handover import hand_over, receive
from tailrace.collect.pipeline import Frame, Pipeline, PipelineSpec, Processed, frames
from tailrace.collect.plain_lines import are_plain, process_plain
from tailrace.collect.ready_lines import are_ready, process_ready
from tailrace.collect.sink import Encoder, RejectedRow
from tailrace.telemetry import Logger

DEATHS_UNTIL_SPLIT = 2
POISON_REASON = "cannot transform the event: it ended the process that tried"
STOP_SECS = 1.0


class WorkerDiedError(Exception):
    """A worker ended while it worked."""


@dataclass(frozen=True)
class Job:
    """One segment's work; `span` are the first and the end of the frames that are meant."""

    source_id: str
    segment: Segment
    encoders: Mapping[str, Encoder]
    span: tuple[int, int] | None = None


def serve(connection: Connection, specs: Mapping[str, PipelineSpec]) -> None:
    """A worker's life: jobs come in, results go out, until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ways = {source_id: Ways(spec) for source_id, spec in specs.items()}
    while True:
        try:
            job: Job = connection.recv()
        except (EOFError, OSError):
            return
        processed = ways[job.source_id].process(job)
        try:
            hand_over(connection, processed)
        except OSError:
            return  # the collector was killed meanwhile


class Ways:
    """The long way of a source's segments, and the shorter ones with the same end."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec = spec
        self._pipeline = Pipeline(spec)
        self._fused = fused(spec, self._pipeline)

    def process(self, job: Job) -> Processed:
        """What becomes of a job's segment."""
        if job.span is not None:
            first, end = job.span
            found = list(frames(job.segment.records()))
            return self._pipeline.process(found[first:end], job.encoders)
        records = job.segment.records()
        if are_plain(self._spec, job.encoders):
            return process_plain(self._spec, records, job.encoders)
        if are_ready(self._spec, job.encoders):
            return process_ready(self._spec, self._pipeline, records, job.encoders)
        if self._fused:
            return self._fused.process(records, job.encoders)
        return self._pipeline.process(list(frames(records)), job.encoders)


Life = Callable[[Connection, Mapping[str, PipelineSpec]], None]
"""What a worker does, in a process of its own; it is pickled."""


class Worker:
    """One process; its methods block, and may be called in any thread."""

    def __init__(self, specs: Mapping[str, PipelineSpec], life: Life | None = None) -> None:
        self._specs = specs
        self._life = life or serve
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._in_use = threading.Lock()

    def work(self, job: object) -> Processed:
        """Raises WorkerDiedError where the process ended; the next call starts another."""
        with self._in_use:
            connection = self._start()
            try:
                connection.send(job)
                return receive(connection)
            except (EOFError, OSError) as error:
                self._end()
                raise WorkerDiedError(str(error)) from error

    def stop(self) -> None:
        """End the process; one that works is given a moment, and is killed then."""
        # Its connection stays open as long as another thread reads from it.
        if not self._in_use.acquire(timeout=STOP_SECS):
            process = self._process
            if process:
                # What is closed already has been ended by the thread that it worked for.
                with suppress(ValueError):
                    process.kill()
            self._in_use.acquire()
        try:
            self._end()
        finally:
            self._in_use.release()

    def _end(self) -> None:
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.join(STOP_SECS)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join()
            self._process.close()
        self._connection = self._process = None

    def _start(self) -> Connection:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=self._life, args=(theirs, self._specs), daemon=True, name="transforms"
            )
            self._process.start()
            theirs.close()
        return self._connection


class Workers:
    """As many workers as the settings say; they start with their first job."""

    def __init__(self, count: int, specs: Mapping[str, PipelineSpec], log: Logger) -> None:
        self.count = count
        self._all = [Worker(specs) for _ in range(count)]
        self._free: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()
        for worker in self._all:
            self._free.put_nowait(worker)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._log = log

    async def process(self, job: Job) -> Processed:
        """What becomes of a segment, whatever its frames do to workers."""
        deaths = 0
        while True:
            try:
                return await self._work(job)
            except WorkerDiedError:
                deaths += 1
                self._log.error("a worker died", source=job.source_id, deaths=deaths)
                if deaths == DEATHS_UNTIL_SPLIT:
                    return await self._process_apart(job)

    async def close(self) -> None:
        """End all processes, side by side: many take no longer than one."""
        async with asyncio.TaskGroup() as group:
            for worker in self._all:
                group.create_task(asyncio.to_thread(worker.stop))
        self._threads.shutdown()

    async def _work(self, job: Job) -> Processed:
        worker = await self._free.get()
        try:
            loop = asyncio.get_running_loop()
            return await asyncio.shield(loop.run_in_executor(self._threads, worker.work, job))
        finally:
            self._free.put_nowait(worker)

    async def _process_apart(self, job: Job) -> Processed:
        found = await asyncio.to_thread(lambda: list(frames(job.segment.records())))
        first, end = job.span or (0, len(found))
        if end - first == 1:
            return _reject(job, found[first])
        middle = (first + end) // 2
        whole = Processed(bodies=dict.fromkeys(job.encoders, b""))
        for span in ((first, middle), (middle, end)):
            half = Job(job.source_id, job.segment, job.encoders, span)
            try:
                _add(whole, await self._work(half))
            except WorkerDiedError:
                _add(whole, await self._process_apart(half))
        return whole


def _reject(job: Job, frame: Frame) -> Processed:
    processed = Processed(bodies=dict.fromkeys(job.encoders, b""))
    processed.rejected.append(
        RejectedRow(
            job.source_id, frame.origin.peer, frame.received_at_ms, POISON_REASON, frame.data
        )
    )
    processed.counts[job.source_id, "rejected", ""] += 1
    return processed


def _add(whole: Processed, part: Processed) -> None:
    for sink_id, body in part.bodies.items():
        whole.bodies[sink_id] = b"".join((whole.bodies[sink_id], body))
    whole.rows += part.rows
    whole.rejected += part.rejected
    whole.counts += part.counts
