"""A chunk into Postgres: its decisions, its usage event and all roll-ups, in the transaction of whoever scores it.

Decisions are copied into their table as they are: the chunk's lock and its mark `done`, written in the same
transaction, see that this happens once, so nothing is looked up row by row.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import pyarrow as pa
from django.db import connection

from apps.batches import columns
from apps.batches.binary_rows import Column
from apps.batches.receipted import contents
from apps.binary_copy import HEADER, TRAILER
from apps.review.cases import opening
from apps.scoring import counting, receipts, tallies
from apps.scoring.serving.store import NewDecisions
from apps.usage.metering import events
from apps.usage.metering.events import UsageEvent

#: What cases are opened of, beside what is counted.
OF_CASES = ("id", "transaction_id", "status", "risk_score", "hidden")


def record(
    tenant_schema: str, stored: Iterator[Mapping[str, Column]], counted: counting.Columns, event: UsageEvent
) -> list[bytes]:
    """Store a chunk's decisions, by column, some rows after the other, and its usage event; the leaves of the
    decisions' receipt.

    Inside the caller's transaction, which writes the receipt as its last: others' wait for its commit.
    """
    if not event.decisions:
        return []
    with connection.cursor() as cursor:
        parts, leaves = _copy(cursor, tenant_schema, stored)
        tallies.add(cursor, tenant_schema, tallies.counted(counted))
        events.record(cursor, [event])
    _open_cases(tenant_schema, parts, counted)
    return leaves


def _open_cases(tenant_schema: str, parts: Sequence[Mapping[str, pa.Array]], counted: counting.Columns) -> None:
    """Rows that ask for a review become cases, as decisions of single calls do."""
    stored = {name: pa.concat_arrays([part[name] for part in parts]) for name in OF_CASES}
    statuses = stored["status"].to_pylist()
    rows = [
        row
        for row, action in enumerate(counted.recommended_action)
        if action == "review" or statuses[row] == "superseding"
    ]
    if not rows:
        return
    facts: dict[str, Sequence[Any]] = {name: one.take(pa.array(rows)).to_pylist() for name, one in stored.items()}
    facts["hidden"] = [None if text is None else msgspec.json.decode(text) for text in facts["hidden"]]
    for name in ("created_us", "livemode", "schema", "fraud_probability", "recommended_action", "amount", "rules_hit"):
        values = getattr(counted, name)
        facts[name] = [values[row] for row in rows]
    opening.open_cases(tenant_schema, NewDecisions(facts, range(len(rows))))


def _copy(
    cursor: Any, tenant_schema: str, stored: Iterator[Mapping[str, Column]]
) -> tuple[list[Mapping[str, pa.Array]], list[bytes]]:
    """Copy the columns into the table; those that cases are opened of, and the leaves of the receipt."""
    first = next(stored)
    schema, names = connection.ops.quote_name(tenant_schema), ", ".join(f'"{name}"' for name in first)
    parts: list[Mapping[str, pa.Array]] = []
    leaves: list[bytes] = []
    with cursor.copy(f"COPY {schema}.scoring_decision ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(HEADER)
        for part in chain([first], stored):
            rows = columns.copied(part)
            copy.write(memoryview(rows.buffers()[2]))
            parts.append({name: part[name] for name in OF_CASES})
            leaves += receipts.leaves(contents(rows))
        copy.write(TRAILER)
    return parts, leaves
