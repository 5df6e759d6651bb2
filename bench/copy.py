"""A copy of Palisade of its own for a measurement: `make up`'s own processes on a fresh data folder and free ports."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


@dataclass(frozen=True)
class Copy:
    """A running copy: where it listens, its environment, how long it took to be ready."""

    api: str
    environment: dict[str, str]
    process: subprocess.Popen[str]
    ready_seconds: float

    def manage(self, *arguments: str) -> str:
        """`manage.py …` against this copy; what it printed."""
        command = [PYTHON, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
        return done.stdout

    def tenant_with_key(self, slug: str) -> str:
        """A tenant no limit stops, and its key."""
        limits = ["--rate-per-minute", "60000000", "--included", "1000000000"]
        self.manage("tenant_create", "--slug", slug, "--plan", "enterprise", *limits)
        said = self.manage("key_create", "--tenant", slug, "--scopes", "read,predict,batch", "--json")
        return json.loads(said)["key"]

    @property
    def portal(self) -> str:
        return f"http://127.0.0.1:{self.environment['PALISADE_PORTAL_PORT']}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.api + path, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def running(**settings: str) -> Iterator[Copy]:
    """A copy from an empty data folder to ready, stopped and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="palisade-bench-"))
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environment = inherited | {
        "PALISADE_DATA": str(folder),
        "PALISADE_API_PORT": str(free_port()),
        "PALISADE_PORTAL_PORT": str(free_port()),
        **settings,
    }
    try:
        with started(environment) as copy:
            yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(environment: dict[str, str]) -> Iterator[Copy]:
    """`python -m config.local.up` with this environment, until the block ends."""
    begun = time.monotonic()
    log = Path(environment["PALISADE_DATA"]) / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        command = [PYTHON, "-m", "config.local.up"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out, text=True)
        try:
            api = f"http://127.0.0.1:{environment['PALISADE_API_PORT']}"
            wait_for(api + "/health", process, log)
            _until_banner(log, process)
            yield Copy(api, environment, process, time.monotonic() - begun)
        finally:
            process.send_signal(signal.SIGTERM)
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """It was asked to; one that doesn't is killed."""
    try:
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait(timeout=60)


def wait_for(url: str, process: subprocess.Popen[str], log: Path, seconds: float = 300) -> None:
    """Until the address answers."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer:\n{log.read_text()[-3000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_banner(log: Path, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 300
    while time.monotonic() < limit and process.poll() is None:
        if re.search(r"curl ", log.read_text()):
            return
        time.sleep(0.05)
    raise RuntimeError(f"make up printed no banner:\n{log.read_text()[-3000:]}")
