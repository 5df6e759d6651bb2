"""A tenant's decisions and labels as arrays: what its own models are trained on, and what is known of its parties; and
as events, for the live store to know of what came by files.

Read once from end to end by a cursor at the server, inside the tenant's schema: memory holds the arrays alone.
Decisions no model had a part in have no features, those of an older form of the schema can't be read, and those dated
ahead of the clocks count nowhere: they are left out, and counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from django.db import connection, transaction

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.scoring.engine.operations import SCALAR
from apps.scoring.engine.own_decisions import Decisions
from apps.scoring.engine.own_features import parties_of
from apps.scoring.engine.own_past import FOR_GOOD, hundredths_of, known_second
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.past_events import is_ahead
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import FOREVER, Parsed, TransactionSchema
from apps.scoring.serving import activity, own_pasts
from apps.scoring.serving.filling import Filling
from apps.scoring.serving.ids import text_hash
from apps.scoring.serving.journal_entries import TRANSACTION_HASH
from apps.times import instant_us

AT_ONCE = 20_000  # rows
_DECISIONS = """
SELECT id, transaction_id, created_at, facts::text, hidden::text, features, recommended_action FROM scoring_decision
WHERE livemode = %s AND schema = %s ORDER BY created_at, "row", id
"""
_LABELS = """
SELECT decision_id, label, known_at FROM review_label
WHERE livemode = %s AND schema = %s ORDER BY decision_id, known_at, recorded_at, id
"""
#: What a party's name begins with that is masked: the rest is the hash it goes by.
_MASKED = "\0"


class FraudSpan(NamedTuple):
    """The seconds since which a decision was known to be a fraud, and until which (`FOR_GOOD` without a correction)."""

    since: int
    until: int


class Read(NamedTuple):
    """Decisions in order of event time. `names`: of each role the name of each party's number; `transactions`: of
    the frauds' transactions their hashes uint64[m]; `filling`: the same decisions as events of their parties;
    `left_out`: decisions that could not be taken."""

    decisions: Decisions
    names: Sequence[Sequence[str]]
    transactions: np.ndarray
    filling: Filling
    left_out: int


class _Chunk(NamedTuple):
    """Rows as arrays, in the order of arrival; `frauds` int64[m, 3], `transactions` of them."""

    features: np.ndarray
    at_ms: np.ndarray
    hundredths: np.ndarray
    parties: np.ndarray
    frauds: np.ndarray
    transactions: np.ndarray


def read(tenant: Tenant, schema_name: str, livemode: bool) -> Read:
    """Everything of one kind and mode that a tenant decided."""
    schema, parties = SCHEMAS[schema_name], parties_of(schema_name)
    index: list[dict[str, int]] = [{} for _ in parties]
    filling = Filling(names_of(tenant.handle, livemode))
    chunks, left_out, rows = [_empty(schema, len(parties))], 0, 0
    with in_tenant(tenant), transaction.atomic():
        frauds = _frauds(livemode, schema_name)
        for fetched in _fetched(_DECISIONS, [livemode, schema_name]):
            chunk = _chunk(schema, fetched, index, frauds, filling, rows)
            rows += len(chunk.at_ms)
            left_out += len(fetched) - len(chunk.at_ms)
            chunks.append(chunk)
    return _sorted(_Chunk(*(np.concatenate(parts) for parts in zip(*chunks, strict=True))), index, filling, left_out)


def key_of(name: str) -> str:
    """A party's name as it was numbered, as it stands in Valkey's keys."""
    return own_pasts.key_of(name.removeprefix(_MASKED) if name.startswith(_MASKED) else text_hash(name))


def _chunk(
    schema: TransactionSchema, fetched: Sequence[tuple[Any, ...]], index: Sequence[dict[str, int]],
    frauds: Mapping[str, Sequence[FraudSpan]], filling: Filling, before: int,
) -> _Chunk:  # fmt: skip
    """Rows as arrays, `before` being how many came before them."""
    width, decode = 4 * len(schema.features), msgspec.json.Decoder(schema.struct).decode
    features: list[bytes] = []
    at: list[int] = []
    amounts: list[int] = []
    parties: list[tuple[int, ...]] = []
    spans: list[tuple[int, int, int]] = []
    transactions: list[int] = []
    for name, transaction_id, created_at, facts, hidden_text, kept, action in fetched:
        received_ms = instant_us(created_at) // 1000
        came_ms = received_ms if schema.moment else FOREVER
        try:
            told = decode(facts)
        except msgspec.ValidationError:
            continue
        at_ms = int(schema.event_time_ms(told, received_ms, SCALAR))
        if len(kept) < width or is_ahead(at_ms, came_ms):
            continue
        hidden = msgspec.json.decode(hidden_text) if hidden_text else {}
        transaction, known = _transaction(transaction_id, hidden), frauds.get(name, ())
        for span in known:
            spans.append((before + len(at), known_second(span.since * 1000, at_ms), span.until))
            transactions.append(transaction)
        if not any(field in schema.types for field in hidden):  # history knows parties by names that are not kept then
            seen = activity.seen(schema, Parsed(told, {}, told, {}, (), at_ms, came_ms), transaction)
            filling.add(seen, 0 if action == "block" else _refused_ms(known))
        features.append(kept[:width])
        at.append(at_ms)
        amounts.append(hundredths_of(float(schema.amount(told))))
        parties.append(_parties(schema, told, hidden, index))
    return _Chunk(
        np.frombuffer(b"".join(features), "<f4").reshape(len(at), len(schema.features)),
        np.array(at, dtype=np.int64),
        np.array(amounts, dtype=np.float64),
        np.array(parties, dtype=np.int64).reshape(len(at), len(index)),
        np.array(spans, dtype=np.int64).reshape(len(spans), 3),
        np.array(transactions, dtype=np.uint64),
    )


def _transaction(transaction_id: str, hidden: Mapping[str, str]) -> int:
    """A transaction's hash, as the live store knows it."""
    return int((hidden.get(TRANSACTION_HASH) or text_hash(transaction_id))[:16], 16)


def _refused_ms(known: Sequence[FraudSpan]) -> int | None:
    """Since when a decision is known to be a fraud; None of one that is none."""
    return known[-1].since * 1000 if known and known[-1].until == FOR_GOOD else None


def _parties(
    schema: TransactionSchema, told: Any, hidden: Mapping[str, str], index: Sequence[dict[str, int]]
) -> tuple[int, ...]:
    """The parties' numbers, -1 where not named; one whose name is masked goes by the hash beside it."""
    found = []
    for field, known in zip(parties_of(schema.name), index, strict=True):
        name = getattr(told, field)
        if name is None:
            found.append(-1)
            continue
        key = f"{_MASKED}{hidden[field]}" if field in hidden else party_name(name)
        found.append(known.setdefault(key, len(known)))
    return tuple(found)


def _empty(schema: TransactionSchema, parties: int) -> _Chunk:
    """No rows: what the others are put behind."""
    return _Chunk(
        np.empty((0, len(schema.features)), np.float32), np.empty(0, np.int64), np.empty(0),
        np.empty((0, parties), np.int64), np.empty((0, 3), np.int64), np.empty(0, np.uint64),
    )  # fmt: skip


def _sorted(rows: _Chunk, index: Sequence[dict[str, int]], filling: Filling, left_out: int) -> Read:
    """The rows in order of event time; of a moment, in that of arrival."""
    order = np.argsort(rows.at_ms, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    frauds = rows.frauds.copy()
    frauds[:, 0] = place[frauds[:, 0]]
    known, is_fraud = np.full(len(order), FOR_GOOD, dtype=np.int64), np.zeros(len(order), dtype=bool)
    holding = frauds[frauds[:, 2] == FOR_GOOD]
    known[holding[:, 0]], is_fraud[holding[:, 0]] = holding[:, 1], True
    decisions = Decisions(
        rows.features[order], rows.at_ms[order], rows.hundredths[order], rows.parties[order], is_fraud, known, frauds
    )
    return Read(decisions, [list(names) for names in index], rows.transactions, filling, left_out)


def _frauds(livemode: bool, schema_name: str) -> dict[str, list[FraudSpan]]:
    """Decision → the spans in which it was known to be a fraud: of its labels that one holds which was learned last."""
    found: dict[str, list[FraudSpan]] = {}
    for decision_id, label, known_at in (row for rows in _fetched(_LABELS, [livemode, schema_name]) for row in rows):
        second = -(-instant_us(known_at) // 1_000_000)
        spans = found.setdefault(decision_id, []) if label == "fraud" else found.get(decision_id, [])
        is_open = bool(spans) and spans[-1].until == FOR_GOOD
        if label == "fraud" and not is_open:
            spans.append(FraudSpan(second, FOR_GOOD))
        elif label != "fraud" and is_open:
            spans[-1] = spans[-1]._replace(until=max(second, spans[-1].since))
    return found


def _fetched(query: str, parameters: Sequence[Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Rows of a query, read at the server some at a time; inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"DECLARE own_models NO SCROLL CURSOR FOR {query}", parameters)
        while True:
            cursor.execute(f"FETCH {AT_ONCE} FROM own_models")
            rows = cursor.fetchall()
            if not rows:
                break
            yield rows
        cursor.execute("CLOSE own_models")
