"""Where a person's data stands, a place a row: each removes what it has and tells a line a thing, without its content.

A new place where data of a transaction is kept gets its row here. `waits_for` says what may still write to them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from django.db import connection, transaction
from django.db.models import Q, TextField, Value
from django.db.models.functions import Cast, Concat

from apps import card_numbers
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.alerts.models import Alert
from apps.api_keys.gate import Names, names_of
from apps.batches import list_files
from apps.ingest.models import Prediction
from apps.notifications.models import Event
from apps.offboarding import erased_batches, exports, removed_days
from apps.offboarding.models import Export
from apps.offboarding.persons import Person
from apps.review import label_months
from apps.review.cases import evidence
from apps.review.models import Case, CaseNote, Label
from apps.scoring import aggregate_changes, receipts, tallies
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction
from apps.scoring.lists import services as list_changes
from apps.scoring.lists.item_types import NoItem, item_of
from apps.scoring.lists.tokens import token_of
from apps.scoring.models import Decision, SavedSearch, ValueList
from apps.scoring.serving import activity, aggregate_pasts, decision_formats, ids, own_pasts
from apps.scoring.serving.journal_entries import TRANSACTION_HASH
from apps.simulation.models import Flip
from apps.times import instant_us
from apps.usage.metering.journal import decode
from apps.valkey import Valkey

#: Decisions that are removed in one transaction.
AT_ONCE = 500
#: Keys that are looked at in one call.
SCANNED = 2_000
#: Kind of person → the types of lists they may stand in.
LISTED_AS: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "text"),
    "account": ("user", "text"),
    "merchant": ("merchant", "text"),
    "device": ("device", "text"),
    "email": ("email", "text"),
    "ip_address": ("ip", "text"),
    "card": ("card", "text"),
}
_CLAIM_HEAD = 1 + 32  # "D" and the request's fingerprint stand in front of what a claim was answered with


class Sweep(NamedTuple):
    """One going over: whose data, of which tenant, written until when."""

    tenant: Tenant
    person: Person
    until: datetime
    now: datetime
    valkey: Valkey

    @property
    def names(self) -> tuple[Names, Names]:
        """The Valkey keys of both modes."""
        return names_of(self.tenant.handle, True), names_of(self.tenant.handle, False)


def decisions(sweep: Sweep) -> list[str]:
    """Decisions that name the person, with what hangs on them: labels, cases with notes and files, predictions, answers
    in Valkey, events in the pasts of all their parties."""
    lines: list[str] = []
    while batch := _next_decisions(sweep):
        lines += _remove(sweep, batch)
    return lines


def batches(sweep: Sweep) -> list[str]:
    """Files of batches that are over, with their results."""
    return erased_batches.delete_naming(sweep.tenant, sweep.person, sweep.until, sweep.now)


def history(sweep: Sweep) -> list[str]:
    """The person's own recent activity and habits, what aggregates count of them, and what own models know of them."""
    named = [
        (schema, field, sweep.person.name)
        for schema, fields in sweep.person.fields.items()
        for field in fields
        if field in own_pasts.parties_of(schema)
    ]
    counted = aggregate_changes.ever(sweep.tenant).aggregates
    removed = sum(
        activity.forget_parties(sweep.valkey, names, sweep.person.parties)
        + own_pasts.forget_parties(sweep.valkey, names, named)
        + aggregate_pasts.forget_parties(sweep.valkey, names, counted, sweep.person.fields, sweep.person.name)
        for names in sweep.names
    )
    return ["past"] * removed


def set_aside(sweep: Sweep) -> list[str]:
    """Journal entries that could not be recorded and wait for an operator."""
    stream = f"{sweep.names[0].journal()}:dead"
    found = []
    for entry_id, fields in sweep.valkey.command("XRANGE", stream, "-", "+"):
        entry = decode(fields[1])
        record = decision_formats.unpack(entry.record)
        mine = entry.handle == sweep.tenant.handle
        if mine and sweep.person.is_named(record.schema, msgspec.json.decode(record.facts), record.hidden):
            sweep.valkey.command("XDEL", stream, entry_id)
            found.append(record.id)
    return found


def riskiest_parties(sweep: Sweep) -> list[str]:
    """Days whose parties with the most risky decisions they are among."""
    return ["day"] * tallies.forget_parties(sweep.tenant.schema_name, sweep.person.spellings)


def alerts(sweep: Sweep) -> list[str]:
    """Alerts that name the person in their words, and what was told of them and of cases."""
    name = _in_words(sweep)
    kinds = Q(kind__startswith="alert") | Q(kind__startswith="case")
    told = Event.objects.filter(kinds, occurred_at__lte=sweep.until)
    found = []
    for rows, columns in (
        (Alert.objects.filter(opened_at__lte=sweep.until), ("title", "text", "values")),
        (told, ("data",)),
    ):
        words = Concat(*(Cast(column, TextField()) for column in (*columns, Value(" "))))
        named = rows.filter(tenant=sweep.tenant).annotate(words=words).filter(words__iregex=name)
        found += list(named.values_list("pk", flat=True))
        rows.filter(pk__in=found).delete()
    return found


def case_notes(sweep: Sweep) -> list[str]:
    """Notes on cases, of other transactions too, that name the person."""
    with in_tenant(sweep.tenant):
        named = CaseNote.objects.filter(at__lte=sweep.until, text__iregex=_in_words(sweep))
        found = list(named.values_list("pk", flat=True))
        CaseNote.objects.filter(pk__in=found).delete()
    return found


def _in_words(sweep: Sweep) -> str:
    """The person's name as it stands between other words, for Postgres."""
    return f"(^|[^[:alnum:]]){re.escape(card_numbers.mask(sweep.person.name))}([^[:alnum:]]|$)"


def searches(sweep: Sweep) -> list[str]:
    """Searches that people of the tenant keep for the person."""
    found = []
    with in_tenant(sweep.tenant):
        for row in SavedSearch.objects.all():
            values = {party_name(value) for _, value in parse_qsl(row.query)} | {party_name(row.name)}
            if values & set(sweep.person.spellings):
                row.delete()
                found.append("search")
    return found


def lists(sweep: Sweep) -> list[str]:
    """Items of lists that are the person, and that they were: networks an address lies in are not."""
    found = []
    with in_tenant(sweep.tenant):
        rows = list(ValueList.objects.filter(item_type__in=LISTED_AS[sweep.person.kind]))
    for row in rows:
        with suppress(NoItem):
            tokens = [token_of(item_of(row.item_type, sweep.person.name).name)]
            until = list_files.in_force_by(sweep.tenant, row, sweep.until)
            removed = list_changes.forget(tenant=sweep.tenant, row=row, tokens=tokens, valkey=sweep.valkey, until=until)
            found += [row.pk] * removed
    return found


def export_files(sweep: Sweep) -> list[str]:
    """Exports of everything, made before: they are asked for anew when they are needed."""
    found = list(Export.objects.filter(tenant=sweep.tenant, asked_at__lte=sweep.until))
    for export in found:
        exports.forget(export)
    return [export.pk for export in found]


#: Every place, in the order of sweeping: a batch's late decisions are found while the batch is there.
PLACES: Mapping[str, Callable[[Sweep], list[str]]] = {
    "history": history,
    "decisions": decisions,
    "batches": batches,
    "set_aside": set_aside,
    "riskiest_parties": riskiest_parties,
    "alerts": alerts,
    "case_notes": case_notes,
    "searches": searches,
    "lists": lists,
    "exports": export_files,
}


def waits_for(sweep: Sweep) -> list[str]:
    """What was sent until then and may still be written: the journal's entries, batches, files of lists.

    Raises `apps.valkey.Away`.
    """
    first = sweep.valkey.command("XRANGE", sweep.names[0].journal(), "-", "+", "COUNT", 1)
    waiting = first and int(first[0][0].partition(b"-")[0]) <= instant_us(sweep.until) // 1000
    under_way = erased_batches.under_way(sweep.tenant, sweep.person, sweep.until)
    files = list_files.sent_until(sweep.tenant, sweep.until)
    return [*(["journal"] if waiting else []), *under_way, *files]


# --- decisions ------------------------------------------------------------------------------------------------------


def _next_decisions(sweep: Sweep) -> list[Decision]:
    """Some that name the person; none when all are gone."""
    person = sweep.person
    found: list[Decision] = []
    with in_tenant(sweep.tenant):
        parties = Q()
        for name in person.spellings:
            parties |= Q(parties__contains=[name])
        rows = Decision.objects.filter(parties, schema__in=list(person.fields)).filter(_sent_until(sweep))
        for row in rows.defer("answer", "features", "contributions").order_by("created_at", "id").iterator(AT_ONCE):
            if person.is_named(row.schema, row.facts, row.hidden):
                found.append(row)
                if len(found) == AT_ONCE:
                    break
    return found


def _sent_until(sweep: Sweep) -> Q:
    """What was sent before the erasure was asked for; what the same name does later is another matter."""
    late = erased_batches.rows_sent(sweep.tenant, sweep.person, sweep.until)
    return Q(created_at__lte=sweep.until) | late


def _remove(sweep: Sweep, rows: Sequence[Decision]) -> list[str]:
    """Valkey first: when it is away nothing is removed, and all of it is found again."""
    counted = aggregate_changes.ever(sweep.tenant)
    for livemode, names in zip((True, False), sweep.names, strict=True):
        _forget_answers(sweep.valkey, names, [row for row in rows if row.livemode == livemode], counted)
    removed = [row.pk for row in rows]
    with in_tenant(sweep.tenant), transaction.atomic():
        labels = _remove_labels(sweep, removed)
        cases = _remove_cases(sweep, rows)
        told = Prediction.objects.filter(transaction_id__in=[row.transaction_id for row in rows])
        predictions = list(told.values_list("pk", flat=True))
        Prediction.objects.filter(pk__in=predictions).delete()
        Decision.objects.filter(pk__in=removed).delete()
        Flip.objects.filter(decision_id__in=removed).delete()
        removed_days.note(sweep.tenant, [row.created_at for row in rows])
        receipts.append(sweep.tenant.schema_name, receipts.REMOVED, removed, (), sweep.now)
    return [*(f"{row.pk} {row.body_hash}" for row in rows), *labels, *cases, *predictions]


def _remove_labels(sweep: Sweep, decisions: Sequence[str]) -> list[str]:
    """Labels of decisions go, and no longer count in their months."""
    found = dict(Label.objects.filter(decision_id__in=decisions).values_list("pk", "decided_at"))
    Label.objects.filter(pk__in=list(found)).delete()
    with connection.cursor() as cursor:
        label_months.changed(cursor, sweep.tenant.schema_name, found.values())
    return list(found)


def _remove_cases(sweep: Sweep, rows: Sequence[Decision]) -> list[str]:
    """Cases of the decisions' transactions with their files, and what webhooks were told of them; within the tenant."""
    mine = Case.objects.filter(transaction_hash__in=[_known_by(row) for row in rows])
    cases = list(mine.values_list("pk", flat=True))
    evidence.forget_files(sweep.tenant.schema_name, cases)
    Event.objects.filter(tenant=sweep.tenant, kind__startswith="case", data__case__in=cases).delete()
    mine.filter(pk__in=cases).delete()
    return cases


def _forget_answers(valkey: Valkey, names: Names, rows: Sequence[Decision], counted: Policy) -> None:
    """What Valkey knows of decisions: events in pasts, pointers of transactions, answers of Idempotency-Keys."""
    if not rows:
        return
    seen = [one for row in rows if (one := _seen(row))]
    activity.forget(valkey, names, seen)
    aggregate_pasts.forget(valkey, names, seen, counted)
    keys = [names.decision(row.pk) for row in rows]
    keys += [names.transaction(row.schema, _known_by(row)) for row in rows]
    keys += [names.claim(row.idempotency_hash) for row in rows if row.idempotency_hash]
    keys += _answers_with(valkey, names, {row.pk.encode() for row in rows})
    valkey.command("UNLINK", *keys)


def _answers_with(valkey: Valkey, names: Names, decision_ids: set[bytes]) -> Iterator[str]:
    """Keys of whole answers of batches in which one of these decisions stands, and of the claims that lead to them or
    to one of the decisions."""
    answers = {
        key.rpartition(b":")[2]: key
        for key, body in _scanned(valkey, f"{names.mode}:dec:bat_*")
        if any(one in body for one in decision_ids)
    }
    wanted = {*answers, *decision_ids, *(b"dup:" + one for one in decision_ids)}
    yield from (key.decode() for key in answers.values())
    for key, value in _scanned(valkey, f"{names.mode}:idem:*"):
        if value[_CLAIM_HEAD:] in wanted:
            yield key.decode()


def _scanned(valkey: Valkey, pattern: str) -> Iterator[tuple[bytes, bytes]]:
    """Keys of a pattern with their values."""
    cursor: Any = b"0"
    while True:
        cursor, keys = valkey.command("SCAN", cursor, "MATCH", pattern, "COUNT", SCANNED)
        if keys:
            values = valkey.command("MGET", *keys)
            yield from ((key, value) for key, value in zip(keys, values, strict=True) if value is not None)
        if cursor == b"0":
            return


def _known_by(row: Decision) -> str:
    return (row.hidden or {}).get(TRANSACTION_HASH) or ids.text_hash(row.transaction_id)


def _seen(row: Decision) -> activity.Seen | None:
    """A decision's transaction as history saw it; None under an older form of its schema."""
    schema = SCHEMAS[row.schema]
    try:
        parsed = schema.parse(dict(row.facts), instant_us(row.created_at) // 1000)
    except InvalidTransaction:
        return None
    return activity.seen(schema, parsed, int(_known_by(row)[:16], 16))
