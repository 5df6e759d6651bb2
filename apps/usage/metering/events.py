"""Usage events into Postgres, once each, and their roll-ups, in the transaction of whoever records them.

An event is a decision, or a chunk of a batch: as many decisions as were made in one transaction.
"""

import operator
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from math import floor, log
from operator import attrgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from apps import binary_copy, roll_ups
from apps.roll_ups import Added, RollUp

#: The endpoint of batches' chunks: their worker records them itself, they never stand in the journal.
BATCHES = "batches"
#: Sums by key.
Sums = dict[tuple[Any, ...], list[int]]
_LN_2 = log(2)


class UsageEvent(msgspec.Struct, array_like=True, frozen=True):
    """Decisions served, fixed when they were accepted: one, or a chunk's. Times in µs since 1970, UTC.

    `latency_us` is of each of them.
    """

    id: str
    tenant_id: int
    key_id: int
    occurred_us: int
    endpoint: str
    schema: str
    livemode: bool
    degraded: bool
    units: int
    latency_us: int
    address: str
    direct: bool = False  # written past the journal, while Valkey was away
    decisions: int = 1

    def day(self) -> date:
        """The UTC day it is counted on."""
        return moment(self.occurred_us).date()


#: What is stored of an event: its field, its column's name and type.
_STORED = (
    ("id", "id", "varchar"),
    ("tenant_id", "tenant_id", "bigint"),
    ("key_id", "key_id", "bigint"),
    ("occurred_us", "occurred_at", "timestamp with time zone"),
    ("endpoint", "endpoint", "varchar"),
    ("schema", "schema", "varchar"),
    ("livemode", "livemode", "boolean"),
    ("degraded", "degraded", "boolean"),
    ("units", "units", "integer"),
    ("latency_us", "latency_us", "integer"),
    ("direct", "direct", "boolean"),
    ("decisions", "decisions", "integer"),
)
_FIELDS, _COLUMNS, _TYPES = zip(*_STORED, strict=True)
_DEFINED = ", ".join(map(" ".join, zip(_COLUMNS, _TYPES, strict=True)))
_EVENTS = f"public.usage_usageevent ({', '.join(_COLUMNS)})"
#: Named after its columns: behind a pooler other versions of this program come by the same connection.
_TABLE = f"incoming_usage_{crc32(_DEFINED.encode()):08x}"
_INCOMING = f"CREATE TEMP TABLE IF NOT EXISTS {_TABLE} ({_DEFINED}) ON COMMIT DELETE ROWS"
_INSERT = f"INSERT INTO {_EVENTS} SELECT * FROM {_TABLE} ON CONFLICT (id) DO NOTHING RETURNING id"

_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000
_TENANT = {"tenant_id": "bigint"}
_COUNTED = {"decisions": "bigint", "units": "bigint", "degraded": "bigint"}
HOURS = RollUp(
    "usage_usagehour",
    {
        **_TENANT, "hour": "timestamptz", "key_id": "bigint", "endpoint": "varchar", "schema": "varchar",
        "livemode": "boolean",
    },
    {**_COUNTED, "latency_us": "bigint"},
)  # fmt: skip
DAYS = RollUp("usage_usageday", {**_TENANT, "day": "date", "endpoint": "varchar", "livemode": "boolean"}, _COUNTED)
LATENCIES = RollUp(
    "usage_latencyhour",
    {**_TENANT, "hour": "timestamptz", "livemode": "boolean", "step": "smallint"},
    {"decisions": "bigint"},
)


class Prepared(NamedTuple):
    """Events, as COPY reads them, and what they add to the roll-ups if all are new."""

    events: Sequence[UsageEvent]
    rows: bytes
    added: Added


def prepare(events: Sequence[UsageEvent]) -> Prepared:
    """All that can be made of events without a database."""
    columns = list(zip(*map(attrgetter(*_FIELDS), events), strict=True))
    return Prepared(events, binary_copy.rows_of(_TYPES, columns), counted(events))


def copy(cursor: Any, prepared: Prepared) -> None:
    """Copy events into their table. Raises `IntegrityError` when one of them is there; their sums are not added yet."""
    binary_copy.copy_into(cursor, _EVENTS, prepared.rows)


def insert(cursor: Any, prepared: Prepared) -> Prepared:
    """Insert those events that are not there yet, by way of a temporary table; which these are."""
    cursor.execute(_INCOMING)
    binary_copy.copy_into(cursor, _TABLE, prepared.rows)
    cursor.execute(_INSERT)
    new = {row[0] for row in cursor.fetchall()}
    first = {event.id: event for event in reversed(prepared.events) if event.id in new}  # named twice, the first is it
    events = list(first.values())
    return Prepared(events, b"", counted(events))


def add(cursor: Any, new: Prepared) -> None:
    """Add events that were new to the roll-ups: repeating a batch changes nothing."""
    roll_ups.add(cursor, "public", new.added)


def record(cursor: Any, events: Sequence[UsageEvent]) -> int:
    """Insert events and add up the roll-ups; the number that was new. Inside the caller's transaction."""
    if not events:
        return 0
    new = insert(cursor, prepare(events))
    add(cursor, new)
    return len(new.events)


def counted(events: Sequence[UsageEvent]) -> Added:
    """What events add to the roll-ups."""
    hours: Sums = defaultdict(lambda: [0, 0, 0, 0])
    latencies: Sums = defaultdict(lambda: [0])
    for one in events:
        hour, decisions = one.occurred_us // _HOUR_US, one.decisions
        row = hours[one.tenant_id, hour, one.key_id, one.endpoint, one.schema, one.livemode]
        row[0] += decisions
        row[1] += one.units
        row[2] += decisions if one.degraded else 0
        row[3] += one.latency_us * decisions
        latencies[one.tenant_id, hour, one.livemode, step_of(one.latency_us)][0] += decisions
    days: Sums = defaultdict(lambda: [0, 0, 0])
    for (tenant, hour, _, endpoint, _, livemode), (*sums, _) in hours.items():
        day = days[tenant, hour // 24, endpoint, livemode]
        day[:] = map(operator.add, day, sums)
    return [
        *roll_ups.added(HOURS, _timed(hours, _HOUR_US)),
        *roll_ups.added(DAYS, _timed(days, _DAY_US)),
        *roll_ups.added(LATENCIES, _timed(latencies, _HOUR_US)),
    ]


def _timed(sums: Sums, unit_us: int) -> Sums:
    """The same, the hour or day that is each key's second told as a time instead of its number since 1970."""
    return {(tenant, moment(number * unit_us), *rest): row for (tenant, number, *rest), row in sums.items()}


def step_of(latency_us: int) -> int:
    """The step s of a latency that is 2^(s/4) to 2^((s+1)/4) µs."""
    return floor(4 * log(max(latency_us, 1)) / _LN_2)


def moment(microseconds: int) -> datetime:
    """µs since 1970 as a time, UTC."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
