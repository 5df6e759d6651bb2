"""Decisions and their usage events into Postgres, in one transaction, once each however often it is repeated."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from django.db import connection, transaction

from apps import binary_copy
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

#: Fields of a record that have another name as a column.
_RENAMED = {"created_us": "created_at"}
_TENANT, *_FIELDS = Record.__struct_fields__
_COLUMNS = [_RENAMED.get(name, name) for name in _FIELDS]
_STORED = [*_COLUMNS, *Sought._fields]


@cache
def _types() -> Mapping[str, str]:
    """Column → its type in Postgres, in the order of the temporary table: the tenant's schema, then what is stored."""
    stored = {column: str(Decision._meta.get_field(column).db_type(connection)) for column in _STORED}
    return {_TENANT: "varchar"} | stored


@cache
def _incoming() -> str:
    columns = ", ".join(f"{column} {of_type}" for column, of_type in _types().items())
    return f"CREATE TEMP TABLE IF NOT EXISTS incoming_decision ({columns}) ON COMMIT DELETE ROWS"


def record(entries: Sequence[Entry]) -> int:
    """Store decisions and usage events; the number of events that was new. Commits or raises."""
    records = [decision_formats.unpack(entry.record) for entry in entries]
    rows = binary_copy.rows_of(*_columns(records))
    with in_tenant("public"), transaction.atomic(), connection.cursor() as cursor:
        _insert_decisions(cursor, rows, sorted({record.tenant_schema for record in records}))
        new = events.record(cursor, [entry.event for entry in entries])
        touch(cursor, _last_uses(entries))
    return new


def _columns(records: Sequence[Record]) -> tuple[list[str], list[Sequence[Any]]]:
    """Records as columns of the temporary table: their types, their values.

    What they hold was masked before it was journaled, field by field: this passes the net below every connection.
    """
    values: Iterable[Sequence[Any]] = zip(*map(msgspec.structs.astuple, records), strict=True)
    columns = dict(zip(Record.__struct_fields__, values, strict=True))
    columns["hidden"] = [None if hashes is None else msgspec.json.encode(hashes) for hashes in columns["hidden"]]
    found = map(sought_of, columns["schema"], columns["facts"], columns["answer"])
    types = {**_types(), "answer": binary_copy.UTF8}
    return list(types.values()), [*columns.values(), *zip(*found, strict=True)]


def _insert_decisions(cursor: Any, rows: bytes, tenant_schemas: Sequence[str]) -> None:
    columns = ", ".join(_STORED)
    cursor.execute(_incoming())
    binary_copy.copy_into(cursor, "incoming_decision", rows)
    for tenant_schema in tenant_schemas:
        schema = connection.ops.quote_name(tenant_schema)
        cursor.execute(
            f"WITH inserted AS (INSERT INTO {schema}.scoring_decision ({columns})"
            f" SELECT {columns} FROM incoming_decision WHERE tenant_schema = %s ON CONFLICT (id) DO NOTHING"
            f" RETURNING {tallies.ADDED_UP}), {tallies.ADD_UP.format(schema=schema)} SELECT 1",
            [tenant_schema],
        )


def _last_uses(entries: Sequence[Entry]) -> dict[int, tuple[datetime, str]]:
    """The last use of every key in the batch: entries come in order of time within a bucket, keys belong to one."""
    return {
        entry.event.key_id: (moment(entry.event.occurred_us), entry.event.address)
        for entry in sorted(entries, key=lambda entry: entry.event.occurred_us)
    }
