"""The journal, the queues and whether the stores answer: asked of Valkey in two round trips, at most every few seconds.

They are told by every process that answers /metrics, so that they are told when the worker, the recorder or the clock
is what has died.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
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


def samples(valkey: Valkey, broker: Valkey) -> Iterator[Sample]:
    """All of them, now; while Valkey is away that it is. `broker`: where tasks wait, mostly the same server."""
    try:
        yield from _of_the_journal(valkey)
    except Away:
        yield Sample("palisade_store_up", ("valkey",), 0)
    with suppress(Away):  # what is not told is an alert
        yield from _of_the_queues(broker)


def _of_the_journal(valkey: Valkey) -> Iterator[Sample]:
    """The flag of Postgres; then of each stream its length, its first entry, what was set aside of it."""
    flag = STREAMS[0].replace(":journal", ":storage_away")
    (clock, away), lengths, firsts, aside = _asked(
        valkey,
        [("TIME",), ("EXISTS", flag)],
        [("XLEN", stream) for stream in STREAMS],
        [("XRANGE", stream, "-", "+", "COUNT", 1) for stream in STREAMS],
        [("XLEN", f"{stream}:dead") for stream in STREAMS],
    )
    yield Sample("palisade_store_up", ("valkey",), 1)
    yield Sample("palisade_store_up", ("postgres",), 0 if away else 1)
    yield Sample("palisade_journal_entries", (), sum(lengths))
    yield Sample("palisade_journal_age_seconds", (), _age(firsts, _seconds(clock)))
    yield Sample("palisade_journal_full_ratio", (), max(lengths) / settings.JOURNAL_MAX)
    yield Sample("palisade_journal_dead_entries", (), sum(aside))


def _of_the_queues(broker: Valkey) -> Iterator[Sample]:
    """Tasks in hand; then of each queue its length and its oldest message."""
    (clock, under_way), waiting, oldest = _asked(
        broker,
        [("TIME",), ("HLEN", "unacked")],
        [("LLEN", queue) for queue in QUEUES],
        [("LINDEX", queue, -1) for queue in QUEUES],
    )
    for queue, tasks, message in zip(QUEUES, waiting, oldest, strict=True):
        yield Sample("palisade_queue_tasks", (queue,), tasks)
        yield Sample("palisade_queue_age_seconds", (queue,), _waits(message, _seconds(clock)))
    yield Sample("palisade_tasks_under_way", (), under_way)


def _asked(server: Valkey, *groups: Sequence[tuple[Argument, ...]]) -> list[list[Any]]:
    """The answers of each group, all in one round trip."""
    answers = iter(server.pipeline([command for group in groups for command in group]))
    return [list(islice(answers, len(group))) for group in groups]


def _seconds(clock: Sequence[bytes]) -> float:
    """The server's own clock, in seconds since 1970."""
    return int(clock[0]) + int(clock[1]) / 1_000_000


def _age(firsts: list[Any], now: float) -> float:
    oldest = [int(found[0][0].partition(b"-")[0]) / 1_000 for found in firsts if found]
    return max(now - min(oldest), 0.0) if oldest else 0.0


def _waits(message: bytes | None, now: float) -> float:
    """For how long a task waits that says when it was asked for; 0 for none, and for one that doesn't."""
    if message is None:
        return 0.0
    return max(now - float(_decode(message).headers.get(ASKED_AT, now)), 0.0)
