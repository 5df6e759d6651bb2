"""A file through the whole path of a running copy: received, read, scored, stored, billed, put together.

    python -m bench.batch_jobs --data FILE [--rows 1000000] [--kills 3] [--restart-valkey]

`--kills` ends a batch worker with SIGKILL that many times while it goes; `--restart-valkey` kills Valkey once (`make
up` starts it again). Then every book is held against the others. Memory is proportional (PSS), of the batch workers
together.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.batch_rows import write_log
from bench.copy import Copy, running
from bench.measures import family, pss_mb

LOOK_SECONDS = 0.5
WORKER = "--queues batches"


class Job(NamedTuple):
    """What came of it."""

    batch: dict[str, Any]
    seconds: float
    peak_mb: float
    kills: int


def send(copy: Copy, key: str, file: Path) -> dict[str, Any]:
    """Send a file as curl does: it streams."""
    address = f"{copy.api}/v1/batches?schema=paysim"
    command = ["curl", "-sS", "-X", "POST", "-T", str(file), "-H", "Content-Type: text/csv", "-H", f"X-API-Key: {key}"]
    done = subprocess.run([*command, address], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    if "id" not in answer:
        raise RuntimeError(done.stdout)
    return answer


def asked(copy: Copy, key: str, path: str) -> dict[str, Any]:
    request = urllib.request.Request(copy.api + path, headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def done(copy: Copy, key: str, file: Path, kills: int = 0, restart: bool = False) -> Job:
    """Send a file and wait until it stands still."""
    began, peak, killed = time.monotonic(), 0.0, 0
    name = send(copy, key, file)["id"]
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            batch = asked(copy, key, f"/v1/batches/{name}")
        except OSError:  # Valkey is coming back
            continue
        with suppress(FileNotFoundError, ProcessLookupError):  # one that ended while it was looked at
            peak = max(peak, sum(map(pss_mb, workers(copy))))
        if batch["state"] not in ("queued", "running"):
            return Job(batch, time.monotonic() - began, peak, killed)
        if killed < kills and batch["rows"]["total"] and batch["percent"] >= 90 * (killed + 1) // (kills + 1):
            killed += 1
            os.kill(workers(copy)[-1], signal.SIGKILL)
            print(f"killed a worker at {batch['percent']} %", flush=True)
        if restart and batch["percent"] >= 40:
            restart = False
            os.kill(valkey_of(copy), signal.SIGKILL)
            print(f"killed Valkey at {batch['percent']} %", flush=True)


def workers(copy: Copy) -> list[int]:
    """The processes that score batches, those that work last."""
    while True:
        with suppress(FileNotFoundError, ProcessLookupError):  # one ended while it was looked at
            return [pid for pid in family(copy.process.pid) if WORKER in _command(pid)]


def valkey_of(copy: Copy) -> int:
    return next(
        pid for pid in _pids() if "valkey-server" in _command(pid) and copy.environment["PALISADE_DATA"] in _cwd(pid)
    )


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _cwd(pid: int) -> str:
    try:
        return f"{os.readlink(f'/proc/{pid}/cwd')} {_command(pid)}"
    except OSError:
        return ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--restart-valkey", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running() as copy:
        file = Path(folder) / "log.csv"
        write_log(options.data, options.rows, file)
        key = copy.tenant_with_key("batches")
        job = done(copy, key, file, options.kills, options.restart_valkey)
        print(json.dumps(job.batch, indent=1))
        rate = options.rows / job.seconds
        print(f"{job.seconds:.1f} s, {rate:,.0f} rows/s, {job.peak_mb:.0f} MB at most, {job.kills} workers killed")
        usage = asked(copy, key, "/v1/usage")
        print(f"usage: {usage['used']:,} units, {usage['decisions']:,} decisions")
        print(copy.manage("reconcile"))
    return 0 if job.batch["state"] == "completed" and job.batch["units"] == options.rows == usage["used"] else 1


if __name__ == "__main__":
    sys.exit(main())
