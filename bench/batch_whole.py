"""A batch's whole way: uploaded, read, scored, stored, rolled up and billed, beside single calls in the same run.

Memory is that of the processes that work on batches, the API's and the stores' apart, as in docs/benchmarks.md.
"""

import json
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench import copy as copies
from bench.batch_rows import write_log
from bench.copy import Copy
from bench.measures import Load, drained, family, load, pss_mb

LOOK_SECONDS = 1.0  # each look at the memory costs a worker some 10 ms
WORKER = "--queues batches"
CONNECTIONS, SECONDS = 16, 8.0
UNDER_WAY = ("queued", "running")


class Batched(NamedTuple):
    """One batch from the first byte sent to the state it ended in."""

    rows: int
    seconds: float
    peak_mb: float
    units: int


def measured(data: Path, sizes: Sequence[int], folder: Path) -> list[str]:
    """The table, and the ratio to single calls before and after."""
    lines = [
        "| rows | seconds | rows/s | ÷ single calls/s (≥ 12) | the workers' peak memory (≤ 700 MB) | units |",
        "|---|---|---|---|---|---|",
    ]
    with copies.running() as copy:
        key = copy.tenant_with_key("bench")
        load(copy.api, "/v1/decisions", key, CONNECTIONS, 3)  # warm
        singles = [_single(copy, key)]
        for rows in sizes:
            file = folder / "log.csv"
            write_log(data, rows, file)
            one = _batched(copy, copy.tenant_with_key(f"bench-{rows}"), file)  # another's rows are no duplicates
            file.unlink()
            singles.append(_single(copy, key))
            rate = sum(single.per_second for single in singles[-2:]) / 2
            speed = one.rows / one.seconds
            figures = (
                f"{one.seconds:,.1f} | {speed:,.0f} | **{speed / rate:.1f}** | {one.peak_mb:,.0f} MB | {one.units:,}"
            )
            lines.append(f"| {rows:,} | {figures} |")
            print(lines[-1], flush=True)
    calls = ", ".join(f"{single.per_second:,.0f}" for single in singles)
    return [*lines, "", f"Single calls a second at {CONNECTIONS} connections, before, between and after: {calls}."]


def _single(copy: Copy, key: str) -> Load:
    one = load(copy.api, "/v1/decisions", key, CONNECTIONS, SECONDS)
    drained(copy)
    return one


def _batched(copy: Copy, key: str, file: Path) -> Batched:
    """Send a file and wait for its end."""
    began, peak = time.monotonic(), 0.0
    with file.open("rb") as body:
        path = "/v1/batches?schema=paysim&explain=flagged"
        headers = {"Content-Type": "text/csv", "Content-Length": str(file.stat().st_size)}
        batch = _ask(copy, key, path, body, headers)
    while batch["state"] in UNDER_WAY:
        time.sleep(LOOK_SECONDS)
        peak = max(peak, _memory_mb(copy))
        batch = _ask(copy, key, f"/v1/batches/{batch['id']}")
    if batch["state"] != "completed":
        raise RuntimeError(f"the batch {batch['state']}: {batch['reason']}")
    return Batched(batch["rows"]["done"], time.monotonic() - began, peak, batch["units"])


def _memory_mb(copy: Copy) -> float:
    """Of all processes that work on batches."""
    found = 0.0
    for pid in family(copy.process.pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            if WORKER in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " "):
                found += pss_mb(pid)
    return found


def _ask(copy: Copy, key: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    asked = urllib.request.Request(copy.api + path, body, {"Authorization": f"Bearer {key}", **(headers or {})})
    with urllib.request.urlopen(asked, timeout=600) as answer:
        return json.load(answer)
