"""`make bench`: Palisade's whole path beside a peer that only runs the model, in one run on this machine.

    python -m bench [--rounds 5] [--seconds 6] [--quick]

Prints the table and writes docs/benchmarks.md between its markers. The machine is shared: only ratios within one run
count, and each is the median of the rounds.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench import copy as copies
from bench import kinds, slow
from bench.copy import PYTHON, ROOT, Copy
from bench.measures import Load, drain_rate, drained, in_process, load, memory_mb

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
CONNECTIONS = (1, 16)


@contextmanager
def peer() -> Iterator[str]:
    """The FastAPI peer on two workers."""
    port = copies.free_port()
    command = [
        PYTHON,
        "-m",
        "uvicorn",
        "bench.peer:app",
        "--workers",
        "2",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    with tempfile.TemporaryDirectory() as folder, (log := Path(folder) / "peer.log").open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, text=True, start_new_session=True)
        try:
            copies.wait_for(f"http://127.0.0.1:{port}/openapi.json", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)


def compare(copy: Copy, key: str, rounds: int, seconds: float) -> dict[tuple[str, int], list[Load]]:
    """Both in turn, round after round, at each number of connections."""
    found: dict[tuple[str, int], list[Load]] = {}
    with peer() as other:
        sides = (
            ("peer", other, "/predict", ""),
            ("peer, async def", other, "/predict_async", ""),
            ("palisade", copy.api, "/v1/decisions", key),
        )
        for _, url, path, secret in sides:
            load(url, path, secret, 16, 2)  # warm
        for number in range(rounds):
            for connections in CONNECTIONS:
                for name, url, path, secret in sides:
                    one = load(url, path, secret, connections, seconds)
                    found.setdefault((name, connections), []).append(one)
                    print(
                        f"round {number + 1}: {name} {connections}c {one.per_second:,.0f}/s p99 {one.p99_ms:.1f} ms",
                        flush=True,
                    )
    return found


def recorded_all(copy: Copy, key: str, served: int) -> str:
    """Whether every answer is a row once the journal is empty."""
    waited = drained(copy)
    rows = _decisions(copy, key)
    return f"{rows:,} rows for {served:,} answers wrk counted; the journal was empty {waited:.2f} s after the last one"


def _decisions(copy: Copy, key: str) -> int:
    request = urllib.request.Request(copy.api + "/v1/usage", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["decisions"]


def median(loads: list[Load], field: str) -> float:
    return statistics.median(getattr(one, field) for one in loads)


def comparison(found: dict[tuple[str, int], list[Load]]) -> list[str]:
    """The table of both sides, medians of the rounds."""
    lines = ["| connections | side | requests/s | p50 | p99 |", "|---|---|---|---|---|"]
    for connections in CONNECTIONS:
        for side in ("peer", "peer, async def", "palisade"):
            one = found[side, connections]
            figures = (
                f"{median(one, 'per_second'):,.0f} | {median(one, 'p50_ms'):.2f} ms | {median(one, 'p99_ms'):.2f} ms"
            )
            lines.append(f"| {connections} | {side} | {figures} |")
    return lines


def verdicts(found: dict[tuple[str, int], list[Load]]) -> list[str]:
    """The ratios asked for, each the median of the rounds' own ratios."""
    pairs = list(zip(found["palisade", 16], found["peer", 16], strict=True))
    ratio = statistics.median(ours.per_second / theirs.per_second for ours, theirs in pairs)
    tail = statistics.median(ours.p99_ms / theirs.p99_ms for ours, theirs in pairs)
    alone = list(zip(found["palisade", 1], found["peer", 1], strict=True))
    single = statistics.median(ours.p50_ms / theirs.p50_ms for ours, theirs in alone)
    errors = sum(one.errors for loads in found.values() for one in loads)
    return [
        "| figure | required | measured |",
        "|---|---|---|",
        f"| requests/s at 16 connections ÷ the peer's | ≥ 2.6 | **{ratio:.2f}** |",
        f"| p99 at 16 connections ÷ the peer's | ≤ 0.25 | **{tail:.3f}** |",
        f"| p50 at 1 connection ÷ the peer's | < 1 | **{single:.3f}** |",
        f"| answers that were not 200 | 0 | {errors} |",
    ]


def main() -> int:
    options = _options()
    if not shutil.which("wrk"):
        print("make bench needs wrk: apt-get install wrk.", file=sys.stderr)
        return 1
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {_machine()}, load average {os.getloadavg()[0]:.1f}.",
        "",
    ]
    with copies.running() as copy:
        key = copy.tenant_with_key("bench")
        found = compare(copy, key, options.rounds, options.seconds)
        served = sum(one.requests for (side, _), loads in found.items() if side == "palisade" for one in loads)
        lines += [*verdicts(found), "", *comparison(found), "", recorded_all(copy, key, served) + ".", ""]
        if not options.quick:
            lines += [*kinds.measured(copy, key, options.seconds / 2, min(options.rounds, 3)), ""]
            lines += [*slow.measured(copy, key), ""]
            lines += _rest(copy, key)
        _print_and_write(lines, options.quick)
    return 0


def _rest(copy: Copy, key: str) -> list[str]:
    drain = drain_rate(copy, key)
    tenants = in_process(copy, "bench.tenants")
    memory = memory_mb(copy)
    first, second = copy.ready_seconds, _second_start(copy)
    always = _with_appendfsync("always")
    everysec = _with_appendfsync("everysec")
    return [
        "| figure | required | measured |",
        "|---|---|---|",
        f"| recorder, rows/s drained | ≥ 10,000 | **{drain['per_second']:,.0f}** ({drain['entries']:,.0f} entries) |",
        f"| tenant creation, median | ≤ 100 ms | **{tenants['ready_ms']:.0f} ms** (schema not ready: "
        f"{tenants['built_ms']:.0f} ms) |",
        f"| `make up` to ready, empty data folder | – | {first:.1f} s |",
        f"| `make up` to ready, second start | ≤ 15 s | **{second:.1f} s** |",
        f"| `appendfsync` always ÷ everysec, requests/s | ≥ 0.85 to be the default | **{always / everysec:.2f}** |",
        "",
        "Memory by process (proportional, MB): "
        + ", ".join(f"{name} {size:.0f}" for name, size in memory.items())
        + ".",
    ]


def _second_start(copy: Copy) -> float:
    """The same data folder once more, beside which nothing runs."""
    copy.process.send_signal(signal.SIGTERM)
    copy.process.wait(timeout=60)
    with copies.started(copy.environment) as again:
        return again.ready_seconds


def _with_appendfsync(policy: str) -> float:
    with copies.running(PALISADE_APPENDFSYNC=policy) as copy:
        key = copy.tenant_with_key("bench")
        load(copy.api, "/v1/decisions", key, 16, 2)
        return statistics.median(load(copy.api, "/v1/decisions", key, 16, 5).per_second for _ in range(3))


def _print_and_write(lines: list[str], quick: bool) -> None:
    text = "\n".join(lines)
    print(text)
    if quick:
        return
    page = PAGE.read_text()
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--quick", action="store_true", help="only the comparison, and write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
