"""A chunk into Postgres: its decisions, its usage event and all roll-ups, in the transaction of whoever scores it.

Decisions are copied into their table as they are: the chunk's lock and its mark `done`, written in the same
transaction, see that this happens once, so nothing is looked up row by row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
from django.db import connection

from apps.batches import columns
from apps.batches.receipted import lines_of
from apps.review.cases import opening
from apps.scoring import counting, receipts, tallies
from apps.scoring.serving.store import NewDecisions
from apps.usage.metering import events
from apps.usage.metering.events import UsageEvent

#: Bytes handed to Postgres at a time.
AT_ONCE = 1 << 20
#: KB of new entries a GIN index gathers before it sorts them in: a few chunks' parties at once, rather than each 4 MB.
PENDING_KB = 65_536


def record(
    tenant_schema: str, stored: Mapping[str, pa.Array], counted: counting.Columns, event: UsageEvent
) -> list[bytes]:
    """Store a chunk's decisions, by column, and its usage event; the leaves of the decisions' receipt.

    Inside the caller's transaction, which writes the receipt as its last: others' wait for its commit.
    """
    if not event.decisions:
        return []
    copied = columns.as_copy(stored)
    with connection.cursor() as cursor:
        _copy(cursor, tenant_schema, list(stored), copied)
        tallies.add(cursor, tenant_schema, tallies.counted(counted))
        events.record(cursor, [event])
    _open_cases(tenant_schema, stored, counted)
    return receipts.leaves(lines_of(stored, copied))


def _open_cases(tenant_schema: str, stored: Mapping[str, pa.Array], counted: counting.Columns) -> None:
    """Rows that ask for a review become cases, as decisions of single calls do."""
    statuses = stored["status"].to_pylist()
    rows = [
        row
        for row, action in enumerate(counted.recommended_action)
        if action == "review" or statuses[row] == "superseding"
    ]
    if not rows:
        return
    columns: dict[str, Sequence[Any]] = {
        name: stored[name].take(pa.array(rows)).to_pylist() for name in ("id", "transaction_id", "status", "risk_score")
    }
    hidden = stored["hidden"].take(pa.array(rows)).to_pylist()
    columns["hidden"] = [None if text is None else msgspec.json.decode(text) for text in hidden]
    for name in ("created_us", "livemode", "schema", "fraud_probability", "recommended_action", "amount", "rules_hit"):
        values = getattr(counted, name)
        columns[name] = [values[row] for row in rows]
    opening.open_cases(tenant_schema, NewDecisions(columns, range(len(rows))))


def _copy(cursor: Any, tenant_schema: str, stored: Sequence[str], copied: pa.Buffer) -> None:
    schema, names = connection.ops.quote_name(tenant_schema), ", ".join(f'"{name}"' for name in stored)
    text = memoryview(copied)
    cursor.execute(f"SET LOCAL gin_pending_list_limit = {PENDING_KB}")
    with cursor.copy(f"COPY {schema}.scoring_decision ({names}) FROM STDIN (FORMAT csv)") as copy:
        for start in range(0, len(text), AT_ONCE):
            copy.write(text[start : start + AT_ONCE])
