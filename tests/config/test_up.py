"""`make up` as a user meets it: the real processes, killed one by one, stopped, started again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.local.embedded import CHECKOUT
from config.local.supervisor import read_procfile
from tests.pace import within

#: Nothing of the test run's own surroundings may reach the copies started here.
FOREIGN = ("PALISADE_", "DATABASE_URL", "REDIS_URL", "DJANGO_", "PROMETHEUS_", "MAKE")


class Copy:
    """One `python -m config.local.up` on a data folder and ports of its own."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.api_port, self.portal_port = free_port(), free_port()
        ports = {"PALISADE_API_PORT": str(self.api_port), "PALISADE_PORTAL_PORT": str(self.portal_port)}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.environment = clean | ports | {"PALISADE_DATA": str(data)} | environment
        self.output = ""

    def start(self) -> "Copy":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "config.local.up"], cwd=CHECKOUT, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line

    def ready(self) -> "Copy":
        until(lambda: "Ctrl-C stops everything" in self.output or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.output
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(within(30))
        self._reader.join(within(30))
        return status

    def first_call(self) -> dict[str, Any]:
        """The banner's own line, given to a shell as it stands."""
        line = re.search(r"^curl .*$", self.output, re.MULTILINE)
        assert line, self.output
        said = subprocess.run(line[0], shell=True, capture_output=True, check=True, timeout=within(30))  # noqa: S602
        return json.loads(said.stdout)

    def scores(self) -> bool:
        """Whether the banner's line gets a decision. What it got instead goes to the output, for a failure's report."""
        try:
            answer = self.first_call()
        except (ValueError, subprocess.SubprocessError) as trouble:
            answer = {"trouble": trouble}
        if "fraud_probability" not in answer:
            self.output += f"test     | {answer}\n"
        return "fraud_probability" in answer

    def processes(self) -> dict[int, str]:
        """Whatever on this machine names our data or socket folder in its command, or our data in its environment."""
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        sockets = str(self.sockets)
        return {pid: read_process(pid, "cmdline") for pid in pids if self._owns(pid, sockets)}

    def _owns(self, pid: int, sockets: str) -> bool:
        command = read_process(pid, "cmdline")
        named = f"{self.data}/" in command or f"[{self.data}]" in command or sockets in command
        return named or f"PALISADE_DATA={self.data} " in read_process(pid, "environ")

    @property
    def sockets(self) -> Path:
        found = subprocess.run(
            [sys.executable, "-c", "from config.local import embedded; print(embedded.postgres().sockets)"],
            cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=True,
            timeout=within(30),
        )  # fmt: skip
        return Path(found.stdout.strip())

    def pids(self, part: str) -> set[int]:
        return {pid for pid, command in self.processes().items() if part in command}


def read_process(pid: int, what: str) -> str:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + within(seconds)
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    copy = Copy(tmp_path_factory.mktemp("up") / "data").start()
    try:
        yield copy.ready()
    finally:
        copy.stop()


def test_curl_line_of_the_banner_works_as_it_stands(up: Copy) -> None:
    decision = up.first_call()
    assert decision["object"] == "decision"
    assert decision["recommended_action"] == "block"


def test_second_copy_runs_beside_the_first_on_ports_and_data_of_its_own(up: Copy, tmp_path: Path) -> None:
    other = Copy(tmp_path / "data").start()
    try:
        assert other.ready().scores(), other.output
        assert up.scores(), up.output
    finally:
        other.stop()
    assert up.scores(), up.output


def test_port_in_use_is_one_sentence_that_names_port_and_variable(up: Copy, tmp_path: Path) -> None:
    late = Copy(tmp_path / "data", PALISADE_API_PORT=str(up.api_port)).start()
    assert late.process.wait(within(10)) == 1
    late.stop()
    assert late.output == (
        f"palisade: port {up.api_port} on 127.0.0.1 is already in use. Set PALISADE_API_PORT to a free one.\n"
    )


def test_second_copy_on_the_same_data_is_refused_with_a_sentence(up: Copy) -> None:
    late = Copy(up.data).start()
    assert late.process.wait(within(10)) == 1
    late.stop()
    assert "another `make up` already uses" in late.output
    assert "Traceback" not in late.output


@pytest.mark.parametrize(
    "part",
    [
        "bin/postgres -D",
        "valkey-server",
        "manage.py record",
        "manage.py deliver",
        "config.serving.api",
        "-A config worker",
    ],
)
def test_process_killed_by_force_is_replaced_and_scoring_goes_on(up: Copy, part: str) -> None:
    """Of gunicorn's processes the youngest is a worker."""
    victim = max(up.pids(part))
    before = len(up.pids(part))
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: len(up.pids(part) - {victim}) == before, 5)
    assert until(up.scores, 10), up.output


def test_master_of_the_api_killed_by_force_takes_its_workers_along_and_a_new_one_comes(up: Copy) -> None:
    before = up.pids("config.serving.api")
    os.kill(min(before), signal.SIGKILL)
    assert until(lambda: not before & up.pids("config.serving.api"), 5)
    assert until(up.scores, 10), up.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_to_make_up_leaves_nothing_running_and_the_next_start_keeps_the_data(up: Copy, number: int) -> None:
    decision = up.first_call()
    status, sockets = up.stop(number), up.sockets
    assert until(lambda: not up.processes(), 10), up.processes()
    assert not sockets.exists()
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    up.output = ""
    up.start().ready()
    assert kept(up, decision["id"])["id"] == decision["id"]


def kept(up: Copy, decision: str) -> dict[str, Any]:
    address = f"http://127.0.0.1:{up.api_port}/v1/decisions/{decision}"
    return json.loads(
        subprocess.run(["curl", "-s", address], capture_output=True, check=True, timeout=within(30)).stdout
    )


def test_procfile_variables_are_taken_from_the_environment_or_their_default(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text('# a comment\nweb: serve --on ${HOST:-::1}:$PORT "two words"\n')
    read = read_procfile(tmp_path / "Procfile", {"PORT": "80"})
    assert read == {"web": ["serve", "--on", "::1:80", "two words"]}
