"""A copy of Palisade as a user has it: `make up`'s own processes on a data folder and ports of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.local.embedded import CHECKOUT
from tests.live import free_port
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
        self.environment = clean | ports | {"PALISADE_DATA": str(data), "PALISADE_GIVE_WAY": "0"} | environment
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
        """The banner's own line, given to a shell as it stands. It comes when all is started: the API is sooner."""
        until(lambda: bool(re.search(r"^curl .*$", self.output, re.MULTILINE)), 30)
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

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def portal(self) -> str:
        return f"http://127.0.0.1:{self.portal_port}"

    def manage(self, *arguments: str) -> str:
        """What `manage.py …` prints, run by an operator at a shell beside the copy."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=CHECKOUT, env=self.environment, text=True,
            capture_output=True, timeout=within(60),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

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


def until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + within(seconds)
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Copy]:
    """A copy from an empty folder to ready, stopped afterwards."""
    copy = Copy(data, **environment).start()
    try:
        yield copy.ready()
    finally:
        copy.stop()
