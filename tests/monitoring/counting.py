"""A process that counts what its command line says, tells that it has, and lives on."""

import sys

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("calls_total", "Calls", ["kind"])
SECONDS = Histogram("call_seconds", "Seconds", buckets=(1, 2))
LAST = Gauge("last", "The last", multiprocess_mode="mostrecent")
ALIVE = Gauge("alive", "Of the living", multiprocess_mode="livesum")

if __name__ == "__main__":
    for number in map(float, sys.argv[1:]):
        CALLS.labels("some").inc(number)
        SECONDS.observe(number)
        LAST.set(number)
    ALIVE.set(1)
    print("counted", flush=True)
    sys.stdin.read()
