"""Entries as they stood in a journal are read by every later version, and what a later one added by this one."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from apps.accounts.tenancy import in_tenant
from apps.api_keys.keys import bucket_of
from apps.scoring.models import Decision
from apps.scoring.serving.decision_formats import Record, unpack
from apps.usage.metering.events import UsageEvent
from apps.usage.metering.journal import Entry, Journal, decode
from apps.usage.models import UsageEvent as Recorded
from apps.valkey import Valkey
from tests.cast import Cast

#: Entries as Valkey had them, by the form they are of; the tenant's handle is 000000. Never edited: added to.
STORED: Mapping[str, str] = json.loads((Path(__file__).parent / "journal_entries.json").read_text())
#: Fields an array had when its form was first stored, in their order: they stay as they are, new ones follow.
BEGAN: Mapping[type[msgspec.Struct], Sequence[str]] = {
    Entry: ("handle", "event", "body_hash", "transaction_hash", "record"),
    UsageEvent: (
        "id", "tenant_id", "key_id", "occurred_us", "endpoint", "schema", "livemode", "degraded", "units", "latency_us",
        "address", "direct", "decisions",
    ),
    Record: (
        "tenant_schema", "id", "created_us", "livemode", "schema", "transaction_id", "body_hash", "idempotency_hash",
        "fingerprint", "status", "fraud_probability", "risk_score", "risk_level", "recommended_action", "decisive",
        "model_name", "model_version", "facts", "answer", "features", "contributions", "row", "hidden",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BEGAN)
def test_arrays_grow_at_their_end_and_what_is_new_has_a_default(kind: type[msgspec.Struct]) -> None:
    fields = msgspec.structs.fields(kind)
    began = BEGAN[kind]
    assert tuple(field.name for field in fields[: len(began)]) == began
    assert [field.name for field in fields[len(began) :] if field.required] == []


def of(cast: Cast, form: str) -> bytes:
    """A stored entry, as if it were of alice's."""
    return bytes.fromhex(STORED[form]).replace(b"000000", cast.alice.tenant.handle.encode())


@pytest.mark.parametrize("form", STORED)
@pytest.mark.django_db(transaction=True)
def test_stored_entry_is_recorded(cast: Cast, valkey: Valkey, drain: Callable[[], int], form: str) -> None:
    data = of(cast, form)
    entry = decode(data)
    valkey.command("XADD", f"{{b{bucket(cast)}}}:journal", "*", "e", data)
    assert drain() == 1
    event = Recorded.objects.get(pk=entry.event.id)
    assert (event.units, event.decisions, event.direct) == (1, 1, False)
    with in_tenant(cast.alice.tenant):
        row = Decision.objects.get(pk=entry.event.id)
    assert (row.transaction_id, row.answer) == (f"stored-{form}", unpack(entry.record).answer.decode())


@pytest.mark.django_db(transaction=True)
def test_what_a_later_version_added_is_passed_over(cast: Cast) -> None:
    handle, event, body, transaction, record = msgspec.msgpack.decode(of(cast, "2026-11"))
    since = Record.__struct_defaults__[len(record) - len(Record.__struct_fields__) :]
    grown = [handle, [*event, "more"], body, transaction, [*record, *since, {"and": "more"}], "still more"]
    later = msgspec.msgpack.encode(grown)
    assert decode(later).event == decode(of(cast, "2026-11")).event
    assert unpack(decode(later).record) == unpack(decode(of(cast, "2026-11")).record)


@pytest.mark.parametrize("data", [b"no msgpack at all", msgspec.msgpack.encode(["000000", 7]), None])
@pytest.mark.django_db(transaction=True)
def test_what_can_not_be_read_is_put_aside_and_the_rest_is_recorded(
    cast: Cast, valkey: Valkey, drain: Callable[[], int], data: bytes | None
) -> None:
    """None: an entry whose record, which the journal doesn't look into, is none."""
    broken = data or msgspec.msgpack.encode([*msgspec.msgpack.decode(of(cast, "2026-11"))[:4], ["nothing"]])
    stream = f"{{b{bucket(cast)}}}:journal"
    for one in (broken, of(cast, "2026-11")):
        valkey.command("XADD", stream, "*", "e", one)
    drain()
    assert Recorded.objects.count() == 1
    assert [fields[1] for _, fields in valkey.command("XRANGE", f"{stream}:dead", "-", "+")] == [broken]
    assert sum(Journal(valkey).lengths()) == 0


def bucket(cast: Cast) -> str:
    return f"{bucket_of(cast.alice.tenant.handle):02d}"
