"""The single measurements of `make bench`: load, memory, tenants, the recorder."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench.copy import PYTHON, ROOT, Copy
from bench.transactions import write_bodies

LUA = ROOT / "bench" / "load.lua"
BODIES = 20_000  # different ones a run


class Load(NamedTuple):
    """One run of wrk."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def load(
    url: str,
    path: str,
    key: str,
    connections: int,
    seconds: float,
    schema: str = "paysim",
    model: str | None = None,
    *,
    get: bool = False,
) -> Load:
    """POST different transactions of a schema (or GET a page) over so many connections for so long."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(LUA), url]
    with tempfile.TemporaryDirectory() as folder:
        bodies = write_bodies(Path(folder) / "bodies", BODIES, schema, model, seed=time.time_ns())
        said = os.environ | {"KEY": key, "ADDRESS": path, "BODIES": str(bodies), "METHOD": "GET" if get else "POST"}
        done = subprocess.run(command, env=said, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return Load(said["requests"], said["requests"] / said["seconds"], said["p50_ms"], said["p99_ms"], said["errors"])


def drained(copy: Copy, seconds: float = 120) -> float:
    """Wait until the journal is empty; how long that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if copy.get("/ready")["journal_entries"] == 0:
            return time.monotonic() - begun
        time.sleep(0.02)
    raise RuntimeError("the journal was not drained")


def drain_rate(copy: Copy, key: str) -> dict[str, float]:
    """Rows a second with the copy's own recorder frozen while the journal fills."""
    with journal_filled(copy, key):
        return in_process(copy, "bench.drain")


@contextmanager
def journal_filled(copy: Copy, key: str) -> Iterator[None]:
    """The journal is full and the copy's own recorder frozen, until the block ends."""
    recorder = _pid_of(copy, "manage.py record")
    drained(copy)  # frozen in the middle of a transaction it would hold the rows it is recording
    os.kill(recorder, signal.SIGSTOP)
    try:
        load(copy.api, "/v1/decisions", key, 16, 12)
        yield
    finally:
        os.kill(recorder, signal.SIGCONT)


def _pid_of(copy: Copy, mark: str) -> int:
    found = subprocess.run(["ps", "--ppid", str(copy.process.pid), "-o", "pid=,args="], capture_output=True, text=True)
    return next(int(line.split()[0]) for line in found.stdout.splitlines() if mark in line)


def cpu_seconds(copy: Copy) -> dict[str, float]:
    """Processor time of every process of the copy so far, by what it is; that of ended children is their parent's."""
    found: dict[str, float] = {}
    for pid in family(copy.process.pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended: its time is its parent's now
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            name = name_of(pid)
            found[name] = found.get(name, 0.0) + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return found


def memory_mb(copy: Copy) -> dict[str, float]:
    """Proportional memory of every process of the copy, by what it is."""
    found: dict[str, float] = {}
    for pid in family(copy.process.pid):
        name = name_of(pid)
        found[name] = found.get(name, 0.0) + pss_mb(pid)
    return dict(sorted(found.items()))


def in_process(copy: Copy, module: str, *arguments: str) -> dict[str, float]:
    """A measurement that runs inside Django, in a process of its own; it prints one JSON object."""
    command = [PYTHON, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=copy.environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def family(pid: int) -> list[int]:
    """A process and all below it, and the servers that were detached from it."""
    children: list[str] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    below = [one for child in children for one in family(int(child))]
    return [pid, *below]


def name_of(pid: int) -> str:
    said = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    for mark, name in (
        ("config.local.up", "make up (supervisor)"),
        ("config.serving.api", "api"),
        ("config.serving.portal", "portal"),
        (" record", "recorder"),
        (" deliver", "deliver"),
        ("manage.py probe", "prober"),
        ("--queues money", "money"),
        ("--queues heavy", "heavy"),
        (" beat ", "beat"),
        ("postgres", "postgres"),
        ("valkey", "valkey"),
    ):
        if mark in said:
            return name
    return "other"


def pss_mb(pid: int) -> float:
    """A process's proportional memory."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
