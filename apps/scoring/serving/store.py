"""Decisions and their usage events into Postgres, in one transaction, once each however often it is repeated."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps import binary_copy
from apps.accounts.tenancy import in_tenant
from apps.api_keys import networks
from apps.api_keys.networks import Use
from apps.api_keys.services import touch
from apps.scoring import counting, receipts, sought, tallies
from apps.scoring.engine.decide import ShadowScore
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.serving import decision_formats, ids
from apps.scoring.serving.decision_formats import NO_COLUMNS, Record
from apps.scoring.sought import Found, Sought
from apps.scoring.tallies import Counted
from apps.times import instant_us
from apps.usage.metering import events
from apps.usage.metering.events import moment
from apps.usage.metering.journal import Entry

#: Decisions as columns: a field of `Record` → its values.
Columns = Mapping[str, Sequence[Any]]
#: Fields of a record that have another name as a column.
_RENAMED = {"created_us": "created_at"}
_AS_JSON = ("hidden", "shadows")
_TENANT, *_FIELDS = [name for name in Record.__struct_fields__ if name not in NO_COLUMNS]
_COLUMNS = [_RENAMED.get(name, name) for name in _FIELDS]
_STORED = [*_COLUMNS, *Sought._fields]


@cache
def _types() -> Mapping[str, str]:
    """Column → its type in Postgres."""
    return {column: str(Decision._meta.get_field(column).db_type(connection)) for column in _STORED}


@cache
def _copied_types() -> Mapping[str, str]:
    """Column → how its values are written for COPY."""
    return {**_types(), "answer": binary_copy.UTF8}


@cache
def _defined() -> str:
    """The columns of the temporary table."""
    return ", ".join(f"{column} {of_type}" for column, of_type in {_TENANT: "varchar", **_types()}.items())


@cache
def _table() -> str:
    """Named after its columns: behind a pooler other versions of this program come by the same connection."""
    return f"incoming_decision_{crc32(_defined().encode()):08x}"


def _incoming() -> str:
    return f"CREATE TEMP TABLE IF NOT EXISTS {_table()} ({_defined()}) ON COMMIT DELETE ROWS"


class Prepared(NamedTuple):
    """Entries as they will be written: all that can be made of them without a database.

    `decisions` (by the tenant's schema) are rows as COPY reads them, `counted` (likewise) is what all of them add to
    the roll-ups, of `facts`; `leaves` are those of their receipts.
    """

    columns: Columns
    found: Found
    facts: counting.Columns
    leaves: Sequence[bytes]
    decisions: Mapping[str, bytes]
    counted: Mapping[str, Counted]
    events: events.Prepared
    uses: list[Use]
    last_uses: dict[int, tuple[datetime, str]]


class NewDecisions(NamedTuple):
    """Decisions of one tenant that were stored just now: `rows` of the columns of `Record`, amounts and rules hit."""

    columns: Columns
    rows: Sequence[int]


#: Told of a tenant's new decisions, by its schema, in the transaction that stores them.
Follower = Callable[[str, NewDecisions], None]
_followers: list[Follower] = []


def follow(follower: Follower) -> None:
    """Tell a room above this one of every decision that is stored, once each (config/apps.py connects them)."""
    if follower not in _followers:
        _followers.append(follower)


def record(entries: Sequence[Entry]) -> int:
    """Store decisions and usage events; the number of events that was new. Commits or raises."""
    return write(prepare(entries))


def prepare(entries: Sequence[Entry]) -> Prepared:
    """What `write` needs of entries. Touches no store: the recorder prepares a batch while another one is written."""
    columns = columns_of([decision_formats.unpack(entry.record) for entry in entries])
    found = _found(columns)
    facts = _facts(columns, found)
    return Prepared(
        columns=columns,
        found=found,
        facts=facts,
        leaves=receipts.leaves(_contents(columns, found.rules_hit)),
        decisions=_rows_by_tenant(columns, found),
        counted=_counted(facts, columns[_TENANT], range(len(entries))),
        events=events.prepare([entry.event for entry in entries]),
        uses=_first_uses(entries),
        last_uses=_last_uses(entries),
    )


def _found(columns: Columns) -> Found:
    hits, fraud_types = columns["hits"], columns["fraud_type"]
    if None in hits:  # journaled by a version that did not tell
        hits, fraud_types = sought.told_by(columns["answer"])
    return sought.read(columns["schema"], columns["facts"], hits, fraud_types, columns["untold"])


def write(prepared: Prepared) -> int:
    """Store what was prepared; the number of events that was new. Commits or raises."""
    with in_tenant("public"), transaction.atomic(), connection.cursor() as cursor:
        inserted, new = _insert_all(cursor, prepared)
        events.add(cursor, new)
        touch(cursor, prepared.last_uses)
        networks.note_networks(cursor, prepared.uses)
        _give_receipts(prepared, inserted)
    networks.remember(prepared.uses)
    return len(new.events)


def columns_of(records: Sequence[Record]) -> Columns:
    """Records as columns, by the names of their fields."""
    values: Iterable[Sequence[Any]] = zip(*map(msgspec.structs.astuple, records), strict=True)
    return dict(zip(Record.__struct_fields__, values, strict=True))


def content_of(row: Decision) -> bytes:
    """What the leaf of a recorded decision is of."""
    values = {name: [getattr(row, _RENAMED.get(name, name))] for name in _FIELDS}
    values["created_us"] = [instant_us(row.created_at)]
    values["facts"] = [msgspec.json.encode(row.facts)]
    values["answer"] = [row.answer.encode()]
    values["shadows"] = [None if row.shadows is None else msgspec.convert(row.shadows, tuple[ShadowScore, ...])]
    for name in ("features", "contributions", "made_on"):
        values[name] = [None if values[name][0] is None else bytes(values[name][0])]
    return next(iter(_contents(values, [row.rules_hit])))


def _contents(columns: Columns, rules_hit: Sequence[Sequence[str]]) -> Iterator[bytes]:
    """What leaves are of: all that is stored of a decision. For its facts stands their hash; of masked ones, whose hash
    is of what was sent, one of the facts themselves."""
    told = [values for name, values in columns.items() if name not in (_TENANT, "facts", *NO_COLUMNS)]
    masked = [
        _facts_hash(schema, facts) if hidden else ""
        for schema, facts, hidden in zip(columns["schema"], columns["facts"], columns["hidden"], strict=True)
    ]
    return map(_pack_in_order, zip(*told, rules_hit, masked, strict=True))


_pack_in_order = msgspec.msgpack.Encoder(order="sorted").encode


def _facts_hash(schema: str, facts: bytes) -> str:
    return ids.body_hash(schema, SCHEMAS[schema].retyped(msgspec.json.decode(facts)))


def _give_receipts(prepared: Prepared, rows: Sequence[int]) -> None:
    """Receipts of the decisions that were inserted, a tenant after the other: the last that is written."""
    tenants, names, now = prepared.columns[_TENANT], prepared.columns["id"], timezone.now()
    for tenant_schema, mine in _by_tenant(tenants, rows).items():
        leaves = [prepared.leaves[row] for row in mine]
        receipts.append(tenant_schema, receipts.RECORDED, [names[row] for row in mine], leaves, now)


def _insert_all(cursor: Any, prepared: Prepared) -> tuple[Sequence[int], events.Prepared]:
    """Insert decisions and events, add the decisions that were new to every roll-up of theirs and tell who follows
    them; which rows these are, and which events were new.

    Inside the caller's transaction. What they hold was masked before, field by field: this passes the net below every
    connection.
    """
    rows: Sequence[int] = range(len(prepared.columns["id"]))
    new, counted = prepared.events, prepared.counted
    if not _copied(cursor, prepared):
        rows, new = _inserted(cursor, prepared), events.insert(cursor, prepared.events)
        counted = _counted(prepared.facts, prepared.columns[_TENANT], rows)
    for tenant_schema, found in counted.items():
        tallies.add(cursor, tenant_schema, found)
    _tell_followers(prepared, rows)
    return rows, new


def _tell_followers(prepared: Prepared, rows: Sequence[int]) -> None:
    """Tell who follows decisions of these rows, a tenant at a time."""
    columns = {**prepared.columns, "amount": prepared.facts.amount, "rules_hit": prepared.facts.rules_hit}
    for tenant_schema, mine in _by_tenant(prepared.columns[_TENANT], rows).items():
        for follower in _followers:
            follower(tenant_schema, NewDecisions(columns, mine))


def _copied(cursor: Any, prepared: Prepared) -> bool:
    """Copy decisions and events straight into their tables; False, with nothing done, when one of them is there."""
    try:
        with transaction.atomic():
            for tenant_schema, rows in prepared.decisions.items():
                binary_copy.copy_into(cursor, f"{_decisions_of(tenant_schema)} ({', '.join(_STORED)})", rows)
            events.copy(cursor, prepared.events)
    except IntegrityError:
        return False
    return True


def _inserted(cursor: Any, prepared: Prepared) -> list[int]:
    """Insert what is not there yet, by way of a temporary table; its rows. Named twice, a decision is the last one."""
    types = {_TENANT: "varchar", **_copied_types()}
    values = _values(prepared.columns, prepared.found)
    cursor.execute(_incoming())
    binary_copy.copy_into(cursor, _table(), binary_copy.rows_of(list(types.values()), values))
    new = {name for tenant_schema in sorted(prepared.decisions) for name in _insert(cursor, tenant_schema)}
    return list({name: row for row, name in enumerate(prepared.columns["id"]) if name in new}.values())


def _rows_by_tenant(columns: Columns, found: Found) -> Mapping[str, bytes]:
    """Decisions as they are copied into their tenants' tables."""
    tenants, *values = _values(columns, found)
    types, rows = list(_copied_types().values()), _by_tenant(tenants, range(len(tenants)))
    if len(rows) == 1:
        return {tenants[0]: binary_copy.rows_of(types, values)}
    return {
        tenant_schema: binary_copy.rows_of(types, [[column[row] for row in mine] for column in values])
        for tenant_schema, mine in rows.items()
    }


def _by_tenant(tenants: Sequence[str], rows: Iterable[int]) -> Mapping[str, list[int]]:
    """The rows of each tenant, in the order of their schemas."""
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(tenants[row], []).append(row)
    return dict(sorted(found.items()))


def _counted(facts: counting.Columns, tenants: Sequence[str], rows: Sequence[int]) -> Mapping[str, Counted]:
    """What some rows add to their tenants' roll-ups."""
    return {
        tenant_schema: tallies.counted(facts if len(mine) == len(tenants) else facts.where(mine))
        for tenant_schema, mine in _by_tenant(tenants, rows).items()
    }


def _values(columns: Columns, found: Found) -> list[Sequence[Any]]:
    """The tenant's schema and what is stored, in columns."""
    json = {
        name: [None if value is None else msgspec.json.encode(value) for value in columns[name]] for name in _AS_JSON
    }
    told = {name: column for name, column in {**columns, **json}.items() if name not in NO_COLUMNS}
    return [*told.values(), *(getattr(found, name) for name in Sought._fields)]


def _decisions_of(tenant_schema: str) -> str:
    return f"{connection.ops.quote_name(tenant_schema)}.scoring_decision"


def _insert(cursor: Any, tenant_schema: str) -> list[str]:
    """Insert a tenant's rows of the temporary table; the ids of those that were new."""
    columns = ", ".join(_STORED)
    cursor.execute(
        f"INSERT INTO {_decisions_of(tenant_schema)} ({columns}) SELECT {columns} FROM {_table()}"
        " WHERE tenant_schema = %s ON CONFLICT (id) DO NOTHING RETURNING id",
        [tenant_schema],
    )
    return [row[0] for row in cursor.fetchall()]


def _facts(columns: Columns, found: Found) -> counting.Columns:
    """What roll-ups are made of."""
    models = zip(columns["model_name"], columns["model_version"], strict=True)
    beside = {
        **columns,
        "model": [f"{name}@{version}" if name else "" for name, version in models],
        **found._asdict(),
    }
    return counting.Columns(*(beside[name] for name in counting.Columns._fields))


def _first_uses(entries: Sequence[Entry]) -> list[Use]:
    """The first use of the batch of every key from every address."""
    return [Use(key_id, address, moment(min(times))) for (key_id, address), times in _uses(entries).items()]


def _last_uses(entries: Sequence[Entry]) -> dict[int, tuple[datetime, str]]:
    """The last use of every key in the batch."""
    last: dict[int, tuple[int, str]] = {}
    for (key_id, address), times in _uses(entries).items():
        last[key_id] = max(last.get(key_id, (0, "")), (max(times), address))
    return {key_id: (moment(at), address) for key_id, (at, address) in last.items()}


def _uses(entries: Sequence[Entry]) -> Mapping[tuple[int, str], Sequence[int]]:
    """When each key was used from each address."""
    found: dict[tuple[int, str], list[int]] = {}
    for entry in entries:
        event = entry.event
        found.setdefault((event.key_id, event.address), []).append(event.occurred_us)
    return found
