"""Decisions and their usage events into Postgres, in one transaction, once each however often it is repeated."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from zlib import crc32

import msgspec
from django.db import connection, transaction

from apps import binary_copy
from apps.accounts.tenancy import in_tenant
from apps.api_keys import networks
from apps.api_keys.networks import Use
from apps.api_keys.services import touch
from apps.scoring import counting, sought, tallies
from apps.scoring.models import Decision
from apps.scoring.serving import decision_formats
from apps.scoring.serving.decision_formats import Record
from apps.scoring.sought import Sought, Traits
from apps.usage.metering import events
from apps.usage.metering.events import moment
from apps.usage.metering.journal import Entry

#: Decisions as columns: a field of `Record` → its values.
Columns = Mapping[str, Sequence[Any]]
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
def _defined() -> str:
    return ", ".join(f"{column} {of_type}" for column, of_type in _types().items())


@cache
def _table() -> str:
    """Named after its columns: behind a pooler other versions of this program come by the same connection."""
    return f"incoming_decision_{crc32(_defined().encode()):08x}"


def _incoming() -> str:
    return f"CREATE TEMP TABLE IF NOT EXISTS {_table()} ({_defined()}) ON COMMIT DELETE ROWS"


def record(entries: Sequence[Entry]) -> int:
    """Store decisions and usage events; the number of events that was new. Commits or raises."""
    columns = columns_of([decision_formats.unpack(entry.record) for entry in entries])
    uses = _first_uses(entries)
    with in_tenant("public"), transaction.atomic(), connection.cursor() as cursor:
        insert_decisions(cursor, columns)
        new = events.record(cursor, [entry.event for entry in entries])
        touch(cursor, _last_uses(entries))
        networks.note_networks(cursor, uses)
    networks.remember(uses)
    return new


def columns_of(records: Sequence[Record]) -> Columns:
    """Records as columns, by the names of their fields."""
    values: Iterable[Sequence[Any]] = zip(*map(msgspec.structs.astuple, records), strict=True)
    return dict(zip(Record.__struct_fields__, values, strict=True))


def insert_decisions(cursor: Any, columns: Columns) -> int:
    """Insert decisions, in columns by the fields of `Record`, and add those that were new to every roll-up; how many.

    Inside the caller's transaction: the recorder's, and that of a batch's chunk. What they hold was masked before,
    field by field: this passes the net below every connection.
    """
    found = map(sought.read, columns["schema"], columns["facts"], columns["answer"])
    stored, traits = zip(*found, strict=True)
    _copy(cursor, columns, stored)
    tenants = columns[_TENANT]
    new = {name for tenant_schema in sorted(set(tenants)) for name in _insert(cursor, tenant_schema)}
    last = {name: row for row, name in enumerate(columns["id"]) if name in new}  # named twice, it is counted once
    for tenant_schema in sorted(set(tenants)):
        mine = [row for row in last.values() if tenants[row] == tenant_schema]
        if mine:
            tallies.add(cursor, tenant_schema, _counted(columns, stored, traits).where(mine))
    return len(new)


def _copy(cursor: Any, columns: Columns, stored: Sequence[Sought]) -> None:
    """Fill the temporary table."""
    hidden = [None if hashes is None else msgspec.json.encode(hashes) for hashes in columns["hidden"]]
    values = [*{**columns, "hidden": hidden}.values(), *zip(*stored, strict=True)]
    types = {**_types(), "answer": binary_copy.UTF8}
    cursor.execute(_incoming())
    binary_copy.copy_into(cursor, _table(), binary_copy.rows_of(list(types.values()), values))


def _insert(cursor: Any, tenant_schema: str) -> list[str]:
    """Insert a tenant's rows of the temporary table; the ids of those that were new."""
    columns, schema = ", ".join(_STORED), connection.ops.quote_name(tenant_schema)
    cursor.execute(
        f"INSERT INTO {schema}.scoring_decision ({columns}) SELECT {columns} FROM {_table()}"
        " WHERE tenant_schema = %s ON CONFLICT (id) DO NOTHING RETURNING id",
        [tenant_schema],
    )
    return [row[0] for row in cursor.fetchall()]


def _counted(columns: Columns, stored: Sequence[Sought], traits: Sequence[Traits]) -> counting.Columns:
    """What roll-ups are made of."""
    models = zip(columns["model_name"], columns["model_version"], strict=True)
    beside = {
        **columns,
        "model": [f"{name}@{version}" if name else "" for name, version in models],
        **dict(zip(Sought._fields, zip(*stored, strict=True), strict=True)),
        **dict(zip(Traits._fields, zip(*traits, strict=True), strict=True)),
    }
    return counting.Columns(*(beside[name] for name in counting.Columns._fields))


def _first_uses(entries: Sequence[Entry]) -> list[Use]:
    """The first use of the batch of every key from every address."""
    found: dict[tuple[int, str], int] = {}
    for entry in entries:
        pair, at = (entry.event.key_id, entry.event.address), entry.event.occurred_us
        found[pair] = min(at, found.get(pair, at))
    return [Use(key_id, address, moment(at)) for (key_id, address), at in found.items()]


def _last_uses(entries: Sequence[Entry]) -> dict[int, tuple[datetime, str]]:
    """The last use of every key in the batch: entries come in order of time within a bucket, keys belong to one."""
    return {
        entry.event.key_id: (moment(entry.event.occurred_us), entry.event.address)
        for entry in sorted(entries, key=lambda entry: entry.event.occurred_us)
    }
