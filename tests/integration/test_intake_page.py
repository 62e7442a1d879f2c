"""docs/intake.md tells the truth: its commands, and the configurations that can run here, work."""

import re
import subprocess
import sys
from pathlib import Path

from tests.integration.intake_system import IntakeSystem
from tests.integration.test_syslog_shippers import running as shipper
from tests.needs import SHIPPERS, need_program, need_shipper

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "intake.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = 100


def block(language: str, number: int = 0) -> str:
    """The code of that language in the page."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found[number])


def here(text: str, intake: IntakeSystem) -> str:
    """The same with the ports that were free."""
    ports = {
        "8000": intake.url.rsplit(":", 1)[1],
        "9000": str(intake.collector.ports["tcp"]),
        "9001": str(intake.collector.ports["http"]),
    }
    return re.sub(r"\b(8000|9000|9001)\b", lambda found: ports[found[1]], text)


def test_the_commands_send_the_same_event_each_time(intake: IntakeSystem) -> None:
    need_program("curl", "curl")
    need_program("nc", "netcat-openbsd")
    script = here(block("sh"), intake)
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, capture_output=True)
    intake.wait_for(5)
    for row in intake.rows():
        assert (row["source"], row["log_level"]) == ("shop", "ERROR")
        assert (row["message"], row["attributes"]["order"]) == ("no stock", "7")


def test_the_readmes_commands(intake: IntakeSystem) -> None:
    need_program("curl", "curl")
    need_program("nc", "netcat-openbsd")
    commands = re.findall(r"^(?:echo .* \| nc|curl -d) .*$", README, re.MULTILINE)
    assert len(commands) == 2
    script = here("\n".join(commands), intake)
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, capture_output=True)
    intake.wait_for(2)
    assert {(row["source"], row["log_level"], row["message"]) for row in intake.rows()} == {
        ("payment", "WARNING", "retry 2/3"),
        ("auth", "ERROR", "no such user"),
    }


def test_netcat_sends_a_whole_file(intake: IntakeSystem, tmp_path: Path) -> None:
    """Many lines at once, the last one without a newline."""
    need_program("nc", "netcat-openbsd")
    log = tmp_path / "shop.jsonl"
    log.write_text("\n".join(f'{{"message": "event {n}"}}' for n in range(10 * LINES)))
    command = here("nc -q1 127.0.0.1 9000", intake).split()
    with log.open("rb") as lines:
        subprocess.run(command, stdin=lines, check=True, capture_output=True)
    intake.wait_for(10 * LINES)
    assert {row["message"] for row in intake.rows()} == {f"event {n}" for n in range(10 * LINES)}


def test_python(intake: IntakeSystem) -> None:
    subprocess.run([sys.executable, "-c", here(block("python"), intake)], check=True)
    intake.wait_for(1000)
    assert {row["attributes"]["_index"] for row in intake.rows("attributes")} == {"shop"}


def test_the_file_with_more_protocols_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "shippers.yaml"
    path.write_text(block("yaml", -1))
    subprocess.run(
        [sys.executable, "-m", "tailrace", "validate", str(path)], check=True, capture_output=True
    )


def check_syslog(intake: IntakeSystem) -> None:
    intake.wait_for(LINES)
    rows = intake.rows()
    assert {row["message"] for row in rows} == {f'event {n}: "ünïcode"' for n in range(LINES)}
    assert {(row["source"], row["log_level"]) for row in rows} == {("shop", "ERROR")}
    assert all(row["host"] for row in rows)


def write_log(path: Path) -> None:
    path.write_text("".join(f'event {n}: "ünïcode"\n' for n in range(LINES)))


def test_rsyslog(intake: IntakeSystem, tmp_path: Path) -> None:
    program = need_shipper("rsyslogd")
    log, configuration = tmp_path / "shop.log", tmp_path / "rsyslog.conf"
    write_log(log)
    configuration.write_text(
        f'global(workDirectory="{tmp_path}")\nmodule(load="imfile")\n'
        f'input(type="imfile" file="{log}" tag="shop:" severity="error")\n'
        + here(block("rsyslog"), intake)
    )
    modules = SHIPPERS / "usr/lib/x86_64-linux-gnu/rsyslog"
    files = ["-f", str(configuration), "-i", str(tmp_path / "pid"), "-M", str(modules)]
    with shipper([str(program), "-n", *files]):
        check_syslog(intake)


def test_syslog_ng(intake: IntakeSystem, tmp_path: Path) -> None:
    program = need_shipper("syslog-ng")
    log, configuration = tmp_path / "shop.log", tmp_path / "syslog-ng.conf"
    write_log(log)
    configuration.write_text(
        "@version: 3.38\n"
        f'source s_src {{ file("{log}" flags(no-parse) program-override("shop") '
        "default-priority(error)); };\n" + here(block("syslog-ng"), intake)
    )
    modules = SHIPPERS / "usr/lib/syslog-ng/3.38"
    arguments = [
        "-F", "--no-caps", "-f", str(configuration), "--module-path", str(modules),
        "-R", str(tmp_path / "persist"), "-p", str(tmp_path / "pid"),
        "-c", str(tmp_path / "control"),
    ]  # fmt: skip
    with shipper([str(program), *arguments]):
        check_syslog(intake)
