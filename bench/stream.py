"""`make bench-stream`: the same transactions as single calls and through a broker, in one run on this machine.

    python -m bench.stream [--rounds 3] [--seconds 6] [--members 2] [--quick]

A copy of Palisade, a broker in memory and two consumers of one group, all on these cores. In turn: wrk at 16
connections; a topic filled at once, until the last answer is read back; and a topic filled at 0.7 of the calls' rate,
where each message's wait is from its production to its answer in the reader's hands. Each filling has a broker of its
own: this one, in memory, takes the longer for a message the more it holds (at an even 450 a second its processor took
4 s of the first eight seconds, 23 of the fifth). Writes docs/benchmarks.md between its markers.
"""

import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench import broker as brokers
from bench import copy as copies
from bench.broker import Broker
from bench.copy import PYTHON, ROOT, Copy
from bench.measures import drained, load
from bench.transactions import transaction

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- stream: begin -->", "<!-- stream: end -->"
PARTITIONS = 4
SOURCE, RESULTS, DEAD = "transactions", "fraud_results", "transactions_dead_letter"
#: Of the calls' rate: below the 0.8 that are asked for.
BELOW = 0.7
WAIT_SECONDS = 120.0
#: Messages before the first that counts: by then all members have joined and are warm.
WARM = 400


class Round(NamedTuple):
    """One round: calls a second, messages a second, and the waits below that rate in milliseconds."""

    calls: float
    messages: float
    paced: float
    waits: list[float]

    @property
    def ratio(self) -> float:
        return self.messages / self.calls

    def wait(self, share: float) -> float:
        return sorted(self.waits)[int(share * (len(self.waits) - 1))]


class Billed(NamedTuple):
    """Units billed to a tenant, and answers that are not: a part of ours was away."""

    units: int
    degraded: int


class Topics:
    """Our ends of the topics: messages written, answers read back."""

    def __init__(self, broker: Broker) -> None:
        admin = AdminClient(broker.client)
        for made in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (SOURCE, RESULTS, DEAD)]).values():
            made.result(10)
        self.producer = Producer({**broker.client, "linger.ms": 1})
        self.reader = Consumer({**broker.client, "group.id": "bench", "fetch.wait.max.ms": 5})
        self.reader.assign([TopicPartition(RESULTS, number, 0) for number in range(PARTITIONS)])
        self.sent: dict[bytes, float] = {}
        self.waits: list[float] = []
        self.chance = random.Random(time.time_ns())

    def send(self, number: int) -> None:
        for _ in range(number):
            name = "".join(self.chance.choices(ascii_lowercase, k=16))  # of digits it may be a card number: masked
            value = json.dumps(transaction(self.chance) | {"transaction_id": name})
            self.sent[name.encode()] = time.monotonic()
            self.producer.produce(SOURCE, value, name)
        self.producer.poll(0)

    def read(self, seconds: float) -> None:
        """Take answers that have come, and note how long each was waited for."""
        for raw in self.reader.consume(1_000, timeout=seconds):
            at = self.sent.pop(raw.key() or b"", None)
            if at is not None:
                self.waits.append((time.monotonic() - at) * 1000)

    def all_answered(self) -> None:
        limit = time.monotonic() + WAIT_SECONDS
        while self.sent:
            if time.monotonic() > limit:
                raise RuntimeError(f"{len(self.sent)} messages were not answered")
            self.read(0.02)

    def at_once(self, number: int) -> float:
        """Messages a second, all of them written at once, until the last answer is read."""
        begun = time.monotonic()
        self.send(number)
        self.all_answered()
        return number / (time.monotonic() - begun)

    def paced(self, per_second: float, seconds: float) -> list[float]:
        """The waits at an even rate."""
        self.waits.clear()
        begun, sent = time.monotonic(), 0
        while (now := time.monotonic() - begun) < seconds:
            due = int(now * per_second)
            self.send(due - sent)
            sent = due
            self.read(0.002)
        self.all_answered()
        return list(self.waits)


@contextmanager
def members(copy: Copy, broker: Broker, key: str, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of `manage.py stream`, in one group."""
    own = {"PALISADE_STREAM_BROKERS": f"127.0.0.1:{broker.port}", "PALISADE_STREAM_KEY": key}
    command = [PYTHON, "manage.py", "stream", "--schema", "paysim"]
    log = Path(copy.environment["PALISADE_DATA"]) / "stream.log"
    with log.open("wb") as out:
        environment = copy.environment | own
        found = [subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out) for _ in range(number)]
        try:
            yield found
        finally:
            for one in found:
                one.send_signal(signal.SIGTERM)
            for one in found:
                if one.wait(timeout=30):
                    print(log.read_text()[-2000:], file=sys.stderr)


@contextmanager
def standing(copy: Copy, key: str, number: int) -> Iterator[Topics]:
    """A broker that holds nothing yet, and members of a group who are through with the first messages."""
    with brokers.running() as broker:
        topics = Topics(broker)
        with members(copy, broker, key, number):
            topics.send(WARM)
            topics.all_answered()
            drained(copy)
            yield topics
        topics.reader.close()
    drained(copy)


def measured(copy: Copy, calls: str, key: str, number: int, seconds: float) -> Round:
    """Calls, then messages at once, then messages below the calls' rate; the recorder is through in between."""
    with standing(copy, key, number) as topics:
        rate = load(copy.api, "/v1/decisions", calls, 16, seconds).per_second
        drained(copy)
        messages = topics.at_once(int(rate * seconds))
    with standing(copy, key, number) as topics:
        return Round(rate, messages, rate * BELOW, topics.paced(rate * BELOW, seconds))


def page(rounds: list[Round], number: int, billed: Billed, answers: int) -> list[str]:
    ratio = statistics.median(one.ratio for one in rounds)
    p99 = statistics.median(one.wait(0.99) for one in rounds)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores, load average"
        f" {os.getloadavg()[0]:.1f}, {number} consumers, {PARTITIONS} partitions; broker and both ends on these cores.",
        "",
        "| figure | required | measured |",
        "|---|---|---|",
        f"| messages/s through the broker ÷ single calls/s at 16 connections | ≥ 0.8 | **{ratio:.2f}** |",
        f"| p99 of the wait at {BELOW} of the calls' rate | ≤ 250 ms | **{p99:.0f} ms** |",
        f"| units billed for {answers:,} messages, {billed.degraded:,} of them degraded and free |"
        f" {answers - billed.degraded:,} | {billed.units:,} |",
        "",
        "| round | calls/s | messages/s | ratio | paced at | wait p50 | p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    for index, one in enumerate(rounds, start=1):
        lines.append(
            f"| {index} | {one.calls:,.0f} | {one.messages:,.0f} | {one.ratio:.2f} | {one.paced:,.0f}/s"
            f" | {one.wait(0.5):.0f} ms | {one.wait(0.99):.0f} ms |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="write nothing")
    options = parser.parse_args()
    with copies.running() as copy:
        calls, key = copy.tenant_with_key("calls"), copy.tenant_with_key("streams")
        load(copy.api, "/v1/decisions", calls, 16, 2)
        rounds, answers = [], 0
        for _ in range(options.rounds):
            one = measured(copy, calls, key, options.members, options.seconds)
            rounds.append(one)
            answers += 2 * WARM + int(one.calls * options.seconds) + len(one.waits)
            print(f"{one.calls:,.0f} calls/s, {one.messages:,.0f} messages/s, p99 {one.wait(0.99):.0f} ms", flush=True)
        billed = billed_to(copy, key)
        lines = page(rounds, options.members, billed, answers)
    text = "\n".join(lines)
    print(text)
    if not options.quick:
        PAGE.write_text(re.sub(f"{BEGIN}.*{END}", f"{BEGIN}\n{text}\n{END}", PAGE.read_text(), flags=re.DOTALL))
    return 0 if billed.units + billed.degraded == answers else 1


def billed_to(copy: Copy, key: str) -> Billed:
    """What the tenant of a key is billed for."""
    request = urllib.request.Request(copy.api + "/v1/usage", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        usage = json.load(answer)
    return Billed(usage["used"], usage["degraded"])


if __name__ == "__main__":
    sys.exit(main())
