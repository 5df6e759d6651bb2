"""The journal, the queues and whether the stores answer: asked of Valkey in one round trip, at most every few seconds.

They are told by every process that answers /metrics, so that they are told when the worker, the recorder or the clock
is what has died.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
from django.conf import settings

from apps.monitoring.queues import ASKED_AT, QUEUES
from apps.monitoring.sample import Family, Sample
from apps.usage.metering.journal import STREAMS
from apps.valkey import Argument, Away, Valkey

STORES = ("valkey", "postgres")

FAMILIES: Mapping[str, Family] = {
    "palisade_store_up": Family("1 while the store answers; of Postgres as the recorder found it", ("store",)),
    "palisade_journal_entries": Family("Decisions acknowledged and not yet recorded"),
    "palisade_journal_age_seconds": Family("For how long the oldest of them waits"),
    "palisade_journal_full_ratio": Family("How full its fullest stream is; at 1 scoring answers 503"),
    "palisade_journal_dead_entries": Family("Journal entries that can't be recorded; a person must look"),
    "palisade_queue_tasks": Family("Tasks that wait for a worker", ("queue",)),
    "palisade_queue_age_seconds": Family("For how long the oldest of them waits, 0 when none does", ("queue",)),
    "palisade_tasks_under_way": Family("Tasks that workers have in hand"),
}


class _Message(msgspec.Struct):
    headers: dict[str, Any]


_decode = msgspec.json.Decoder(_Message).decode


def samples(valkey: Valkey) -> Iterator[Sample]:
    """All of them, now; while Valkey is away that it is."""
    try:
        answers = _asked(valkey)
    except Away:
        yield Sample("palisade_store_up", ("valkey",), 0)
        return
    (clock, away, under_way), lengths, firsts, aside, waiting, oldest = answers
    now = int(clock[0]) + int(clock[1]) / 1_000_000
    yield Sample("palisade_store_up", ("valkey",), 1)
    yield Sample("palisade_store_up", ("postgres",), 0 if away else 1)
    yield Sample("palisade_journal_entries", (), sum(lengths))
    yield Sample("palisade_journal_age_seconds", (), _age(firsts, now))
    yield Sample("palisade_journal_full_ratio", (), max(lengths) / settings.JOURNAL_MAX)
    yield Sample("palisade_journal_dead_entries", (), sum(aside))
    for queue, tasks, message in zip(QUEUES, waiting, oldest, strict=True):
        yield Sample("palisade_queue_tasks", (queue,), tasks)
        yield Sample("palisade_queue_age_seconds", (queue,), _waits(message, now))
    yield Sample("palisade_tasks_under_way", (), under_way)


def _asked(valkey: Valkey) -> list[list[Any]]:
    """The server's clock, the flag of Postgres, tasks in hand; then of each stream its length, its first entry, what
    was set aside of it; then of each queue its length and its oldest message."""
    flag = STREAMS[0].replace(":journal", ":storage_away")
    groups: list[list[tuple[Argument, ...]]] = [
        [("TIME",), ("EXISTS", flag), ("HLEN", "unacked")],
        [("XLEN", stream) for stream in STREAMS],
        [("XRANGE", stream, "-", "+", "COUNT", 1) for stream in STREAMS],
        [("XLEN", f"{stream}:dead") for stream in STREAMS],
        [("LLEN", queue) for queue in QUEUES],
        [("LINDEX", queue, -1) for queue in QUEUES],
    ]
    answers = iter(valkey.pipeline([command for group in groups for command in group]))
    return [list(islice(answers, len(group))) for group in groups]


def _age(firsts: list[Any], now: float) -> float:
    oldest = [int(found[0][0].partition(b"-")[0]) / 1_000 for found in firsts if found]
    return max(now - min(oldest), 0.0) if oldest else 0.0


def _waits(message: bytes | None, now: float) -> float:
    """For how long a task waits that says when it was asked for; 0 for none, and for one that doesn't."""
    if message is None:
        return 0.0
    return max(now - float(_decode(message).headers.get(ASKED_AT, now)), 0.0)
