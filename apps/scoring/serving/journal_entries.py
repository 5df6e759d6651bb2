"""Mappers from the engine's decision to the API's, and to the journal's entry. Pure."""

from typing import NamedTuple

import msgspec
from msgspec import UNSET

from apps import times
from apps.scoring.engine import decide
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.transaction import Parsed
from apps.scoring.serving import decision_formats, ids
from apps.scoring.serving.decision_formats import Decision, Record, Timing
from apps.scoring.serving.requests import Attempt, Item
from apps.usage.metering.events import UsageEvent
from apps.usage.metering.journal import Entry

#: What the answer says when Valkey was away: no history was read, limits were each process's own.
WITHOUT_VALKEY = ("history", "limits")
#: Beside the fields' hashes: the one duplicates are known by.
TRANSACTION_HASH = "transaction_hash"


class Made(NamedTuple):
    """A decision made and not yet acknowledged."""

    decision: Decision
    body: bytes
    found: decide.Decision


def entry_of(attempt: Attempt, item: Item, made: Made, *, direct: bool = False, trace: str = "") -> Entry:
    """A decision as the journal carries it: what is billed, what is stored, and the trace it is a part of."""
    return Entry(
        handle=attempt.request.key.handle,
        event=_event(attempt, made.decision, direct),
        body_hash=item.body_hash if item.named else "",
        transaction_hash=item.transaction_hash,
        record=msgspec.Raw(decision_formats.pack(_record(attempt, item, made))),
        trace=trace,
    )


def _event(attempt: Attempt, decision: Decision, direct: bool) -> UsageEvent:
    request, admission = attempt.request, attempt.admission
    return UsageEvent(
        id=decision.id,
        tenant_id=admission.tenant_id,
        key_id=admission.key_id,
        occurred_us=request.received_us,
        endpoint=request.endpoint,
        schema=decision.schema,
        livemode=decision.livemode,
        degraded=bool(decision.degraded),
        units=decision.billed_units,
        latency_us=int(decision.timing_ms.total * 1000),
        address=request.address,
        direct=direct,
    )


def _record(attempt: Attempt, item: Item, made: Made) -> Record:
    request, decision, found = attempt.request, made.decision, made.found
    return Record(
        tenant_schema=attempt.admission.tenant_schema,
        id=decision.id,
        created_us=request.received_us,
        livemode=decision.livemode,
        schema=decision.schema,
        transaction_id=decision.transaction_id,
        body_hash=item.body_hash,
        idempotency_hash="" if request.many else request.idempotency_key,
        fingerprint=request.fingerprint,
        status=decision.status,
        fraud_probability=decision.fraud_probability,
        risk_score=decision.risk_score,
        risk_level=decision.risk_level,
        recommended_action=decision.recommended_action,
        decisive=f"{decision.decisive.kind}:{decision.decisive.id}",
        model_name=decision.model.name if decision.model else "",
        model_version=decision.model.version if decision.model else "",
        facts=msgspec.json.encode(item.parsed.facts),
        answer=made.body,
        features=found.features,
        contributions=found.contributions,
        row=item.row,
        hidden=hidden_hashes(item.parsed, item.transaction_hash),
        untold=found.untold,
        shadows=found.shadows or None,
        policy_version=found.policy_version,
        made_on=found.made_on,
        hits=tuple([rule.id for rule in decision.rules if rule.outcome == "hit"]),
        fraud_type=decision.fraud_type or "",
    )


def hidden_hashes(parsed: Parsed, transaction_hash: str) -> dict[str, str] | None:
    """Keyed hashes by which two masked numbers differ, of the names parties and lists know them by. None where nothing
    is masked."""
    masked = parsed.masked
    if not masked:
        return None
    hashes = {name: ids.text_hash(party_name(parsed.sent[name])) for name in masked}
    return hashes | {TRANSACTION_HASH: transaction_hash}


def made_of(attempt: Attempt, item: Item, found: decide.Decision, supersedes: str, elapsed_ms: float) -> Made:
    """The engine's decision as it is answered: named, marked with what was away, priced."""
    request, admission = attempt.request, attempt.admission
    degraded = found.degraded
    if admission.storage_away:
        degraded = joined(degraded, ("storage",))
    if admission.gate_away:
        degraded = joined(degraded, WITHOUT_VALKEY)
    free = request.dry_run or bool(degraded) or not request.key.livemode
    decision = Decision(
        id=item.decision_id,
        livemode=request.key.livemode,
        created_at=times.rfc3339_of_us(request.received_us),
        transaction_id=item.transaction_id,
        schema=item.schema.name,
        status="superseding" if supersedes else "new",
        supersedes=supersedes or UNSET,
        dry_run=True if request.dry_run else UNSET,
        fraud_probability=found.fraud_probability,
        risk_score=found.risk_score,
        risk_level=found.risk_level,
        recommended_action=found.recommended_action,
        fraud_type=found.fraud_type,
        decisive=found.decisive,
        reasons=found.reasons,
        rules=found.rules,
        model=found.model,
        policy_version=found.policy_version,
        ensemble=found.ensemble or UNSET,
        degraded=degraded,
        warnings=found.warnings,
        timing_ms=Timing(round(elapsed_ms, 3)),
        billed_units=0 if free else 1,
    )
    return Made(decision, decision_formats.encode(decision), found)


def joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Both, each word once."""
    return (*one, *(word for word in other if word not in one))
