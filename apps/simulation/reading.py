"""Reads a span's decisions in blocks, in the order of deciding, with what is known of them by now.

Each block is a statement of its own that goes on behind the last row of the one before (keyset): memory stays flat, no
transaction stays open, and what is simulated can be seen to come further.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from apps.analytics.replica import reading_in
from apps.scoring.engine.block import ACTIONS
from apps.scoring.engine.held import Stored, made_of, stored_facts
from apps.scoring.engine.own_features import kind_of
from apps.scoring.engine.transaction import TransactionSchema
from apps.simulation.curves import FRAUD, LEGITIMATE, UNKNOWN
from apps.simulation.tally import Seen
from apps.times import instant_us

#: Decisions of a block: beyond some thousands the arrays are no faster, and leave the processor's caches.
BLOCK = 8_000
EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
_BLOCK = """
SELECT id, created_at, schema, facts::text, features, made_on, fraud_probability, recommended_action, decisive,
       amount, hidden::text, transaction_id, model_name, policy_version
FROM scoring_decision
WHERE livemode = %s AND created_at >= %s AND created_at < %s AND (created_at, id) > (%s, %s)
ORDER BY created_at, id LIMIT %s
"""
_LABELS = """
SELECT decision_id, label, amount_lost::float8 FROM review_label
WHERE holds AND livemode = %s AND decided_at >= %s AND decided_at <= %s
"""
_LABEL = {"fraud": FRAUD, "legitimate": LEGITIMATE}
_WORDS = {FRAUD: "fraud", LEGITIMATE: "legitimate", UNKNOWN: ""}
_PLACE: dict[str, int] = {name: place for place, name in enumerate(ACTIONS)}
_facts = msgspec.json.Decoder(dict[str, Any]).decode


class Span(NamedTuple):
    """Whose decisions: of one mode, from `begin` to before `end`; of one kind, or of all (`schema` is "")."""

    tenant_schema: str
    livemode: bool
    begin: datetime
    end: datetime
    schema: str = ""


class Row(NamedTuple):
    """A stored decision, as far as a simulation needs it."""

    id: str
    created_at: datetime
    schema: str
    facts: str
    features: bytes
    made_on: bytes | None
    fraud_probability: float | None
    recommended_action: str
    decisive: str
    amount: float
    hidden_as_json: str | None
    transaction_id: str
    model_name: str
    policy_version: int | None

    @property
    def hidden(self) -> dict[str, str] | None:
        """The hashes of what is masked in its facts."""
        return None if self.hidden_as_json is None else msgspec.json.decode(self.hidden_as_json, type=dict[str, str])


class Read(NamedTuple):
    """Decisions of one kind: as rows, as what a policy is held against, and as what is known of them."""

    schema: str
    rows: Sequence[Row]
    stored: Stored
    seen: Seen

    def label(self, row: int) -> str:
        return _WORDS[int(self.seen.label[row])]


def blocks(span: Span) -> Iterator[list[Read]]:
    """The span's decisions, block by block; of each block a part a kind of transaction."""
    behind: tuple[datetime, str] = (span.begin, "")
    while rows := _rows(span, behind):
        behind = (rows[-1].created_at, rows[-1].id)
        labels = _labels(span, rows[0].created_at, rows[-1].created_at)
        yield [_read(kind, mine, labels) for kind, mine in _by_kind(rows).items() if span.schema in ("", kind.name)]
        if len(rows) < BLOCK:
            return


def _rows(span: Span, behind: tuple[datetime, str]) -> list[Row]:
    with reading_in(span.tenant_schema) as connection, connection.cursor() as cursor:
        cursor.execute(_BLOCK, [span.livemode, span.begin, span.end, *behind, BLOCK])
        return list(map(Row._make, cursor.fetchall()))


def _labels(span: Span, first: datetime, last: datetime) -> dict[str, tuple[int, float | None]]:
    """Decision → what holds of it, and what was lost."""
    with reading_in(span.tenant_schema) as connection, connection.cursor() as cursor:
        cursor.execute(_LABELS, [span.livemode, first, last])
        return {name: (_LABEL[label], lost) for name, label, lost in cursor.fetchall()}


def _by_kind(rows: Sequence[Row]) -> dict[TransactionSchema, list[Row]]:
    """The rows of each schema, in the order of their names; those of own models, whose features are more, apart."""
    found: dict[TransactionSchema, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.schema):
        found.setdefault(kind_of(row.schema, row.features), []).append(row)
    return found


def _read(kind: TransactionSchema, rows: Sequence[Row], labels: dict[str, tuple[int, float | None]]) -> Read:
    told = np.array([np.nan if row.fraud_probability is None else row.fraud_probability for row in rows])
    kept = [row.made_on and bytes(row.made_on) for row in rows]
    made, exact = made_of(kind, kept, [bytes(row.features) for row in rows], told)
    masked = [place for place, row in enumerate(rows) if row.hidden_as_json is not None]
    came_ms = [instant_us(row.created_at) // 1000 for row in rows]
    block = stored_facts(kind, [_facts(row.facts) for row in rows], came_ms, masked)
    return Read(kind.name, rows, Stored(block, made), _seen(rows, labels, made.probability, exact))


def _seen(
    rows: Sequence[Row], labels: dict[str, tuple[int, float | None]], probability: np.ndarray, exact: np.ndarray
) -> Seen:
    found = [labels.get(row.id, (UNKNOWN, None)) for row in rows] if labels else [(UNKNOWN, None)] * len(rows)
    return Seen(
        action=np.array([_PLACE[row.recommended_action] for row in rows], dtype=np.int8),
        day=np.array([row.created_at.astimezone(UTC).toordinal() - EPOCH_DAY for row in rows], dtype=np.int64),
        label=np.array([label for label, _ in found], dtype=np.int8),
        amount=np.array([row.amount if lost is None else lost for row, (_, lost) in zip(rows, found, strict=True)]),
        probability=probability,
        exact=exact,
    )
