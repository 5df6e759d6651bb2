"""Decisions and their usage events into Postgres, in one transaction, once each however often it is repeated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection, transaction
from psycopg.types.string import StrDumperUnknown

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import touch
from apps.scoring.serving import decision_formats
from apps.scoring.serving.decision_formats import Record
from apps.usage.metering import events
from apps.usage.metering.events import moment
from apps.usage.metering.journal import Entry

_COLUMNS = (
    "id, created_at, livemode, schema, transaction_id, body_hash, idempotency_hash, fingerprint, status,"
    " fraud_probability, risk_score, risk_level, recommended_action, decisive, model_name, model_version, facts,"
    " answer, features, contributions, row, hidden"
)
_INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS incoming_decision (
    tenant_schema varchar, id varchar, created_at timestamptz, livemode boolean, schema varchar, transaction_id varchar,
    body_hash varchar, idempotency_hash varchar, fingerprint varchar, status varchar,
    fraud_probability double precision, risk_score smallint, risk_level varchar, recommended_action varchar,
    decisive varchar, model_name varchar, model_version varchar,
    facts jsonb, answer text, features bytea, contributions bytea, row smallint, hidden jsonb
) ON COMMIT DELETE ROWS
"""


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
    cursor.execute(_INCOMING)
    with cursor.copy("COPY incoming_decision FROM STDIN") as copy:
        for one in records:
            copy.write_row(_row(one))
    for schema in sorted({one.tenant_schema for one in records}):
        cursor.execute(
            f"INSERT INTO {connection.ops.quote_name(schema)}.scoring_decision ({_COLUMNS})"
            f" SELECT {_COLUMNS} FROM incoming_decision WHERE tenant_schema = %s ON CONFLICT (id) DO NOTHING",
            [schema],
        )


def _row(one: Record) -> tuple:
    """In the order of the temporary table."""
    return (
        one.tenant_schema,
        one.id,
        moment(one.created_us),
        one.livemode,
        one.schema,
        one.transaction_id,
        one.body_hash,
        one.idempotency_hash,
        one.fingerprint,
        one.status,
        one.fraud_probability,
        one.risk_score,
        one.risk_level,
        one.recommended_action,
        one.decisive,
        one.model_name,
        one.model_version,
        one.facts.decode(),
        one.answer.decode(),
        one.features,
        one.contributions,
        one.row,
        None if one.hidden is None else msgspec.json.encode(one.hidden).decode(),
    )


def _last_uses(entries: Sequence[Entry]) -> dict[int, tuple[datetime, str]]:
    """The last use of every key in the batch: entries come in order of time within a bucket, keys belong to one."""
    return {
        entry.event.key_id: (moment(entry.event.occurred_us), entry.event.address)
        for entry in sorted(entries, key=lambda entry: entry.event.occurred_us)
    }
