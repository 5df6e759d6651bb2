"""`make bench-scale`: what N machines can decide, by what each part of a decision was measured to cost on this one.

    python -m bench.scale [--seconds 8] [--cores 4] [--postgres-cores 8] [--disk-mb 200]

Measures a running copy under load, then reckons: no part can do more than its time allows, and the first that is full
bounds all. Prints the table and writes docs/scaling.md between its markers.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from bench import copy as copies
from bench.copy import ROOT, Copy
from bench.measures import cpu_seconds, drained, in_process, journal_filled, load

PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
MACHINES = (1, 4, 16, 64)
#: Primaries of Valkey: one server, a small cluster, a primary a hash tag.
PRIMARIES = (1, 3, 16)
CONNECTIONS = 16

T = TypeVar("T")


class Costs(NamedTuple):
    """What one decision was measured to cost."""

    api_us: float  # of a processor of an API machine
    gate_us: float  # a round trip to Valkey with the gate's script, seen from the API
    valkey_us: float  # of Valkey's one thread
    recorder_us: float  # of the one recorder that works: it prepares rows while Postgres writes those before them
    postgres_us: float  # of a processor of Postgres' machine
    wal_bytes: float  # written to its log


class Hardware(NamedTuple):
    """What the machines have: API machines each, and Postgres'."""

    cores: int
    postgres_cores: int
    disk_mb: float


def most(costs: Costs, hardware: Hardware, machines: int, primaries: int) -> Mapping[str, float]:
    """Decisions a second that each part can do at most."""
    return {
        "API": machines * hardware.cores * 1e6 / costs.api_us,
        "Valkey": primaries * 1e6 / costs.valkey_us,
        "recorder": 1e6 / costs.recorder_us,
        "Postgres, processors": hardware.postgres_cores * 1e6 / costs.postgres_us,
        "Postgres, log": hardware.disk_mb * 1e6 / costs.wal_bytes,
    }


def measured(copy: Copy, seconds: float) -> Costs:
    """Each part's cost in processor time, which a busy machine stretches less than the clock; what the copy spends on
    itself is taken off. The recorder's and Postgres' are those of full batches, as when they are saturated."""
    key = copy.tenant_with_key("scale")
    load(copy.api, "/v1/decisions", key, CONNECTIONS, 2)
    drained(copy)
    idle, waited = spent(copy, lambda: time.sleep(seconds))[1:]
    one, serving, served_in = spent(copy, lambda: load(copy.api, "/v1/decisions", key, CONNECTIONS, seconds))
    with journal_filled(copy, key):
        before = in_process(copy, "bench.scale_probe")["wal_bytes"]
        drain, recording, _ = spent(copy, lambda: in_process(copy, "bench.drain"))
    probe = in_process(copy, "bench.scale_probe")

    def cost(name: str) -> float:
        return (serving[name] - idle[name] / waited * served_in) / one.requests * 1e6

    postgres_us = recording["postgres"] / drain["entries"] * 1e6
    return Costs(
        api_us=cost("api"),
        gate_us=probe["gate_us"],
        valkey_us=cost("valkey"),
        recorder_us=max(drain["python_us"], drain["writer_us"] + postgres_us),
        postgres_us=postgres_us,
        wal_bytes=(probe["wal_bytes"] - before) / drain["entries"],
    )


def spent(copy: Copy, work: Callable[[], T]) -> tuple[T, Mapping[str, float], float]:
    """What the work gave, the processor seconds each part of the copy took meanwhile, and how long it was."""
    begun, before = time.monotonic(), cpu_seconds(copy)
    found = work()
    after = cpu_seconds(copy)
    return found, {name: after[name] - before.get(name, 0.0) for name in after}, time.monotonic() - begun


def told(costs: Costs, hardware: Hardware) -> Iterator[str]:
    """The page's part."""
    yield f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}:"
    yield ""
    yield "| a decision takes | |"
    yield "|---|---|"
    yield f"| of the API's processors | {costs.api_us:.0f} µs |"
    yield f"| a round trip to the gate (two of them) | {costs.gate_us:.0f} µs |"
    yield f"| of Valkey's thread | {costs.valkey_us:.0f} µs |"
    yield f"| of the recorder | {costs.recorder_us:.0f} µs |"
    yield f"| of Postgres' processors | {costs.postgres_us:.0f} µs |"
    yield f"| of Postgres' log | {costs.wal_bytes:,.0f} bytes |"
    yield ""
    yield (
        f"Reckoned for API machines of {hardware.cores} cores, a Postgres of {hardware.postgres_cores} and a disk that"
        f" writes {hardware.disk_mb:.0f} MB/s:"
    )
    yield ""
    yield "| API machines | primaries of Valkey | decisions/s | saturated first | of what the APIs could |"
    yield "|---|---|---|---|---|"
    for machines in MACHINES:
        for primaries in PRIMARIES:
            can = most(costs, hardware, machines, primaries)
            first = min(can, key=lambda part: can[part])
            yield (f"| {machines} | {primaries} | {can[first]:,.0f} | {first} | {can[first] / can['API']:.0%} |")
            if first != "Valkey":
                break  # more primaries help no further


def main() -> int:
    options = _options()
    with copies.running() as copy:
        costs = measured(copy, options.seconds)
    text = "\n".join(told(costs, Hardware(options.cores, options.postgres_cores, options.disk_mb)))
    print(text)
    page = PAGE.read_text()
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--cores", type=int, default=4)
    parser.add_argument("--postgres-cores", type=int, default=8)
    parser.add_argument("--disk-mb", type=float, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
