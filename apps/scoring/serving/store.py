"""Decisions and their usage events into Postgres, in one transaction, once each however often it is repeated."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from django.db import connection, transaction
from psycopg.types.string import StrDumperUnknown

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import touch
from apps.scoring import tallies
from apps.scoring.models import Decision
from apps.scoring.serving import decision_formats
from apps.scoring.serving.decision_formats import Record
from apps.scoring.sought import Sought, sought_of
from apps.usage.metering import events
from apps.usage.metering.events import moment
from apps.usage.metering.journal import Entry

#: Fields of a record that are not their column as they stand: the column's name, and how the value becomes it.
_OTHERWISE: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "created_us": ("created_at", moment),
    "facts": ("facts", bytes.decode),
    "answer": ("answer", bytes.decode),
    "hidden": ("hidden", lambda hashes: None if hashes is None else msgspec.json.encode(hashes).decode()),
}
_TENANT, *_FIELDS = Record.__struct_fields__
_COLUMNS = [_OTHERWISE[name][0] if name in _OTHERWISE else name for name in _FIELDS]
_STORED = [*_COLUMNS, *Sought._fields]
_CONVERTED = [(Record.__struct_fields__.index(name), convert) for name, (_, convert) in _OTHERWISE.items()]


@cache
def _incoming() -> str:
    """The temporary table: the tenant's schema, and the columns of a decision in the order of a record's fields."""
    types = [f"{column} {Decision._meta.get_field(column).db_type(connection)}" for column in _STORED]
    columns = ", ".join([f"{_TENANT} varchar", *types])
    return f"CREATE TEMP TABLE IF NOT EXISTS incoming_decision ({columns}) ON COMMIT DELETE ROWS"


def record(entries: Sequence[Entry]) -> int:
    """Store decisions and usage events; the number of events that was new. Commits or raises."""
    records = [decision_formats.unpack(entry.record) for entry in entries]
    with in_tenant("public"), transaction.atomic(), connection.cursor() as cursor:
        # Masked before it was journaled, field by field; the net below every connection would read JSON as one text.
        cursor.adapters.register_dumper(str, StrDumperUnknown)
        _insert_decisions(cursor, records)
        new = events.record(cursor, (entry.event for entry in entries))
        touch(cursor, _last_uses(entries))
    return new


def _insert_decisions(cursor: Any, records: Sequence[Record]) -> None:
    columns = ", ".join(_STORED)
    cursor.execute(_incoming())
    with cursor.copy("COPY incoming_decision FROM STDIN") as copy:
        for record in records:
            copy.write_row(_row(record))
    for tenant_schema in sorted({record.tenant_schema for record in records}):
        schema = connection.ops.quote_name(tenant_schema)
        cursor.execute(
            f"WITH inserted AS (INSERT INTO {schema}.scoring_decision ({columns})"
            f" SELECT {columns} FROM incoming_decision WHERE tenant_schema = %s ON CONFLICT (id) DO NOTHING"
            f" RETURNING {tallies.ADDED_UP}), {tallies.ADD_UP.format(schema=schema)} SELECT 1",
            [tenant_schema],
        )


def _row(record: Record) -> list[Any]:
    """A record in the order of the temporary table."""
    values = list(msgspec.structs.astuple(record))
    for place, convert in _CONVERTED:
        values[place] = convert(values[place])
    return [*values, *sought_of(record.schema, record.facts, record.answer)]


def _last_uses(entries: Sequence[Entry]) -> dict[int, tuple[datetime, str]]:
    """The last use of every key in the batch: entries come in order of time within a bucket, keys belong to one."""
    return {
        entry.event.key_id: (moment(entry.event.occurred_us), entry.event.address)
        for entry in sorted(entries, key=lambda entry: entry.event.occurred_us)
    }
