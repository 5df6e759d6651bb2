"""`make bench-batch`: files of a million rows: as a batch beside single calls, from a terminal beside a script.

    python -m bench.batch --data FILE [--rows 1000000 5000000] [--quick]

FILE is a PaySim log (CSV or Parquet), of which longer ones are made. Prints the tables and writes docs/benchmarks.md
between its markers. Memory is proportional (PSS), of all processes of a run together, the highest of five looks a
second.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench import batch_whole
from bench.__main__ import PAGE, _machine
from bench.batch_rows import write_log
from bench.batch_stages import stages
from bench.copy import PYTHON, ROOT
from bench.measures import family, pss_mb

BEGIN, END = "<!-- batch: begin -->", "<!-- batch: end -->"
LOOK_SECONDS = 0.2
MILLION = 1_000_000


class Run(NamedTuple):
    """One command's run."""

    seconds: float
    processor_seconds: float
    peak_mb: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end; its processes' memory is looked at all the while."""
    began, before = time.monotonic(), os.times()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = 0.0
    while process.poll() is None:
        with suppress(FileNotFoundError, ProcessLookupError):
            peak = max(peak, sum(map(pss_mb, family(process.pid))))
        time.sleep(LOOK_SECONDS)
    said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(said[-3000:])
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(time.monotonic() - began, used, peak)


def terminal(file: Path, out: Path) -> Run:
    """`manage.py score`, reasons for the flagged."""
    return run([PYTHON, "manage.py", "score", str(file), "--schema", "paysim", "--out", str(out), "--local"])


def peer(file: Path, out: Path) -> Run:
    """The script."""
    return run([PYTHON, "-m", "bench.batch_peer", str(file), str(out)])


def compared(data: Path, sizes: Sequence[int], folder: Path) -> list[str]:
    """Both in turn, of every size."""
    lines = [
        "| rows | side | rows/s | processor µs a row | peak memory | ÷ the script's rows/s |",
        "|---|---|---|---|---|---|",
    ]
    for rows in sizes:
        file, out = folder / "log.csv", folder / "out.csv"
        write_log(data, rows, file)
        theirs, ours = peer(file, out), terminal(file, out)
        for side, one, ratio in (
            ("pandas + xgboost, a script", theirs, ""),
            ("`manage.py score --local`", ours, f"**{theirs.seconds / ours.seconds:.2f}**"),
        ):
            used = 1e6 * one.processor_seconds / rows
            figures = f"{rows / one.seconds:,.0f} | {used:.1f} | {one.peak_mb:,.0f} MB | {ratio}"
            lines.append(f"| {rows:,} | {side} | {figures} |")
            print(lines[-1], flush=True)
        file.unlink()
    return lines


def staged(data: Path, rows: int, folder: Path) -> list[str]:
    """Where the microseconds of a row go, in one process."""
    file = folder / "log.csv"
    write_log(data, rows, file)
    found = stages(file)
    file.unlink()
    lines = ["| step | µs a row |", "|---|---|"]
    lines += [f"| {step} | {1e6 * seconds / rows:.2f} |" for step, seconds in found.items()]
    return [*lines, f"| all of it | **{1e6 * sum(found.values()) / rows:.2f}** |"]


def main() -> int:
    options = _options()
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {_machine()}, load average {os.getloadavg()[0]:.1f}.",
        "",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines += [*batch_whole.measured(options.data, options.rows, folder), ""]
        lines += [*compared(options.data, options.rows, folder), ""]
        lines += ["Where the microseconds of a row go (processor time, one process):", ""]
        lines += staged(options.data, min(options.rows), folder)
    text = "\n".join(lines)
    print(text)
    if not options.quick:
        page = PAGE.read_text()
        PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="a PaySim log, CSV or Parquet")
    parser.add_argument("--rows", type=int, nargs="+", default=[MILLION, 5 * MILLION])
    parser.add_argument("--quick", action="store_true", help="write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
