"""Deciding while Valkey is away: what it would have known is asked of Postgres, what is new is written there.

Such decisions are marked as degraded and not billed.
"""

import msgspec

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.errors import Problem
from apps.scoring.serving import decision_formats, decisions
from apps.scoring.serving.journal_entries import WITHOUT_VALKEY, Made, entry_of, joined
from apps.scoring.serving.requests import Attempt, Item
from apps.scoring.serving.store import record
from apps.scoring.serving.stored_answers import Answered


def find_or_record(attempt: Attempt, item: Item, made: Made) -> Answered:
    """Answer what was decided before on this request or these facts, else this decision, recorded."""
    try:
        found = _find(attempt, item)
    except POSTGRES_AWAY as failure:
        raise _both_away() from failure
    return found or record_directly(attempt, item, made)


def record_directly(attempt: Attempt, item: Item, made: Made) -> Answered:
    """Record in one transaction, marked and not billed; if it is there already, answer as it stands there."""
    degraded = joined(made.decision.degraded, WITHOUT_VALKEY)
    decision = msgspec.structs.replace(made.decision, degraded=degraded, billed_units=0)
    body = decision_formats.encode(decision)
    entry = entry_of(attempt, item, made._replace(decision=decision, body=body), direct=True)
    try:
        new = record([entry])
        row = None if new else decisions.find(attempt.admission.tenant_schema, decision.livemode, decision.id)
    except POSTGRES_AWAY as failure:
        raise _both_away() from failure
    return Answered(body if row is None else decision_formats.answer_of(row), attempt.admission)


def _find(attempt: Attempt, item: Item) -> Answered | None:
    """A replay (under today's or yesterday's id) or a duplicate. Raises `Problem` for a key used for another body."""
    return _find_replay(attempt, item) or (_find_duplicate(attempt, item) if item.named else None)


def _find_replay(attempt: Attempt, item: Item) -> Answered | None:
    for decision_id in item.possible_ids:
        row = decisions.find(attempt.admission.tenant_schema, attempt.request.key.livemode, decision_id)
        if row is None:
            continue
        if row.fingerprint != attempt.request.fingerprint:
            raise Problem("idempotency_mismatch")
        return Answered(decision_formats.answer_of(row), attempt.admission, replayed=True)
    return None


def _find_duplicate(attempt: Attempt, item: Item) -> Answered | None:
    row = decisions.find_same_facts(
        attempt.admission.tenant_schema,
        attempt.request.key.livemode,
        item.schema.name,
        item.transaction_id,
        item.body_hash,
    )
    return (
        None
        if row is None
        else Answered(decision_formats.as_duplicate(decision_formats.answer_of(row)), attempt.admission)
    )


def _both_away() -> Problem:
    return Problem("stores_away", "Valkey and Postgres are both away.", retry_after=2.0)
