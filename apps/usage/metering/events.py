"""Usage events into Postgres, once each, and their roll-ups, in the transaction of whoever records them.

An event is a decision, or a chunk of a batch: as many decisions as were made in one transaction.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any
from zlib import crc32

import msgspec

from apps import binary_copy

#: The endpoint of batches' chunks: their worker records them itself, they never stand in the journal.
BATCHES = "batches"


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
#: Named after its columns: behind a pooler other versions of this program come by the same connection.
_TABLE = f"incoming_usage_{crc32(_DEFINED.encode()):08x}"
_INCOMING = f"CREATE TEMP TABLE IF NOT EXISTS {_TABLE} ({_DEFINED}) ON COMMIT DELETE ROWS"
#: The roll-ups add up only what was really inserted: repeating a batch changes nothing.
_RECORD = f"""
WITH inserted AS (
    INSERT INTO public.usage_usageevent ({", ".join(_COLUMNS)})
    SELECT * FROM {_TABLE} ON CONFLICT (id) DO NOTHING
    RETURNING tenant_id, key_id, occurred_at, endpoint, schema, livemode, degraded, units, latency_us, decisions
), hours AS (
    INSERT INTO public.usage_usagehour AS known
        (tenant_id, hour, key_id, endpoint, schema, livemode, decisions, units, degraded, latency_us)
    SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), key_id, endpoint, schema, livemode,
           sum(decisions), sum(units), coalesce(sum(decisions) FILTER (WHERE degraded), 0),
           sum(latency_us::bigint * decisions)
    FROM inserted GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant_id, hour, key_id, endpoint, schema, livemode) DO UPDATE
    SET decisions = known.decisions + EXCLUDED.decisions, units = known.units + EXCLUDED.units,
        degraded = known.degraded + EXCLUDED.degraded, latency_us = known.latency_us + EXCLUDED.latency_us
), days AS (
    INSERT INTO public.usage_usageday AS known (tenant_id, day, endpoint, livemode, decisions, units, degraded)
    SELECT tenant_id, (occurred_at AT TIME ZONE 'UTC')::date, endpoint, livemode,
           sum(decisions), sum(units), coalesce(sum(decisions) FILTER (WHERE degraded), 0)
    FROM inserted GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (tenant_id, day, endpoint, livemode) DO UPDATE
    SET decisions = known.decisions + EXCLUDED.decisions, units = known.units + EXCLUDED.units,
        degraded = known.degraded + EXCLUDED.degraded
), latencies AS (
    INSERT INTO public.usage_latencyhour AS known (tenant_id, hour, livemode, step, decisions)
    SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), livemode,
           floor(4 * ln(greatest(latency_us, 1)::float8) / ln(2::float8)), sum(decisions)
    FROM inserted GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (tenant_id, livemode, hour, step) DO UPDATE SET decisions = known.decisions + EXCLUDED.decisions
)
SELECT count(*) FROM inserted
"""


def rows_of(events: Sequence[UsageEvent]) -> bytes:
    """Events as `record_rows` copies them in."""
    columns = list(zip(*map(attrgetter(*_FIELDS), events), strict=True))
    return binary_copy.rows_of(_TYPES, columns)


def record_rows(cursor: Any, rows: bytes) -> int:
    """Insert events and add up the roll-ups; the number that was new. Inside the caller's transaction."""
    cursor.execute(_INCOMING)
    binary_copy.copy_into(cursor, _TABLE, rows)
    cursor.execute(_RECORD)
    return int(cursor.fetchone()[0])


def record(cursor: Any, events: Sequence[UsageEvent]) -> int:
    """The same of events."""
    return record_rows(cursor, rows_of(events))


def moment(microseconds: int) -> datetime:
    """µs since 1970 as a time, UTC."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
