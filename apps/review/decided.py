"""Finds the decisions that labels are about: stored ones, and those still on their way in the journal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import Q

from apps.api_keys.gate import Names
from apps.review.given import Meant
from apps.scoring import sought
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.serving import decision_formats, ids
from apps.scoring.serving.decision_formats import Record
from apps.text import spellings
from apps.usage.metering.events import moment
from apps.usage.metering.journal import Journal
from apps.valkey import Away

_COLUMNS = (
    "id", "created_at", "schema", "transaction_id", "fraud_probability", "recommended_action", "model_name",
    "model_version", "amount", "rules_hit", "facts", "hidden",
)  # fmt: skip
#: In front of the decision's id in a transaction's pointer: the hash of its facts.
_BODY_HASH = 32


class Decided(NamedTuple):
    """A decision as far as a label needs it."""

    id: str
    created_at: datetime
    schema: str
    transaction_id: str
    fraud_probability: float | None
    recommended_action: str
    model_name: str
    model_version: str
    amount: float
    rules_hit: Sequence[str]
    facts: Mapping[str, Any]
    hidden: Mapping[str, str] | None


class Found(NamedTuple):
    """The decisions by their ids, and the last one of each transaction by its id as it is stored."""

    by_id: Mapping[str, Decided]
    by_transaction: Mapping[str, Decided]

    def of(self, label: Meant) -> Decided | None:
        if label.decision_id is not None:
            return self.by_id.get(label.decision_id)
        return self.by_transaction.get(str(label.transaction_id))


def find(labels: Iterable[Meant], livemode: bool, journal: Journal, names: Names) -> Found:
    """Find what labels are about; to be asked within their tenant. What is nowhere is left out."""
    wanted = list(labels)
    by_id, by_transaction = _stored(wanted, livemode)
    for label in wanted:
        if label.decision_id is not None and label.decision_id not in by_id:
            found = on_its_way(journal, names, label.decision_id)
            by_id |= {found.id: found} if found else {}
        elif label.transaction_id is not None and label.transaction_id not in by_transaction:
            found = _last_on_its_way(journal, names, label.transaction_id)
            by_transaction |= {label.transaction_id: found} if found else {}
    return Found(by_id, by_transaction)


def _stored(wanted: list[Meant], livemode: bool) -> tuple[dict[str, Decided], dict[str, Decided]]:
    spelled = {
        spelling: label.transaction_id
        for label in wanted
        if label.transaction_id is not None
        for spelling in spellings(label.transaction_id)
    }
    named = [label.decision_id for label in wanted if label.decision_id is not None]
    rows = Decision.objects.filter(Q(pk__in=named) | Q(transaction_id__in=list(spelled)), livemode=livemode)
    decided = [Decided(*row) for row in rows.order_by("created_at", "row", "id").values_list(*_COLUMNS)]
    by_transaction = {spelled[one.transaction_id]: one for one in decided if one.transaction_id in spelled}
    return {one.id: one for one in decided}, by_transaction  # of a transaction the last one stays


def by_ids(names: Iterable[str]) -> dict[str, Decided]:
    """Stored decisions; to be asked within their tenant."""
    rows = Decision.objects.filter(pk__in=list(names)).values_list(*_COLUMNS)
    return {row[0]: Decided(*row) for row in rows}


def on_its_way(journal: Journal, names: Names, decision_id: str) -> Decided | None:
    """A decision that is journaled and not recorded yet; None also while Valkey is away."""
    try:
        entry = journal.copy(names, decision_id)
    except Away:
        return None
    return None if entry is None else _of_record(decision_formats.unpack(entry.record))


def _last_on_its_way(journal: Journal, names: Names, transaction_id: str) -> Decided | None:
    """The last decision on a transaction of the last days, if it is still on its way."""
    known_by = ids.text_hash(transaction_id)
    try:
        pointers = journal.valkey.pipeline([("GET", names.transaction(schema, known_by)) for schema in SCHEMAS])
    except Away:
        return None
    waiting = [on_its_way(journal, names, pointer[_BODY_HASH:].decode()) for pointer in pointers if pointer]
    return max((one for one in waiting if one), key=lambda one: one.created_at, default=None)


def _of_record(record: Record) -> Decided:
    found_by = sought.sought_of(record.schema, record.facts, record.answer, record.untold)
    return Decided(
        record.id,
        moment(record.created_us),
        record.schema,
        record.transaction_id,
        record.fraud_probability,
        record.recommended_action,
        record.model_name,
        record.model_version,
        found_by.amount,
        found_by.rules_hit,
        msgspec.json.decode(record.facts),
        record.hidden,
    )
