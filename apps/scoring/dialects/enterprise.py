"""Enterprise (schema `payments`): the transaction's fields at the top of the body, levels in capitals out."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.scoring.dialects import outcomes
from apps.scoring.dialects.requests import Asked, AskedMany, Rows, transaction, transactions
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decision_formats import Decision

SCHEMA = "payments"
#: A flat body is one of these, not a forgotten wrapper, when it names a party as this interface does.
RECOGNISED_BY = frozenset(("user_id", "merchant_id"))
#: The published actions begin above these probabilities, ours at them.
AT_THE_EDGE = {0.7: "review", 0.3: "approve"}


class EnterpriseBatchRequest(msgspec.Struct, frozen=True):
    """Many transactions of the Enterprise interface."""

    transactions: Rows


class EnterpriseAnswer(msgspec.Struct, frozen=True):
    """What Enterprise clients read, and behind it what they never had."""

    transaction_id: str
    fraud_probability: Annotated[float | None, Meta(description="null when no model could be asked.")]
    risk_level: Annotated[str, Meta(description="LOW, MEDIUM, HIGH, CRITICAL.")]
    recommended_action: Annotated[str, Meta(description="block above 0.7, review above 0.3, else approve.")]
    fraud_type: str | None
    reasons: tuple[Reason, ...]
    id: Annotated[str, Meta(description="Read it again at /v1/decisions/{id}.")]
    model: str | None
    processing_time_ms: float
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    billed_units: int


class EnterpriseBatchAnswer(msgspec.Struct, frozen=True):
    """The results in the order of `transactions`."""

    results: tuple[EnterpriseAnswer, ...]
    total: int
    processing_time_ms: float
    billed_units: int


def parse(body: dict[str, Any], received_ms: int) -> Asked:
    """Raises `Problem` (422) naming the field."""
    return Asked(SCHEMAS[SCHEMA], transaction(SCHEMA, body, received_ms))


def render(asked: Asked, decision: Decision) -> EnterpriseAnswer:
    return _answer(decision)


def parse_many(body: dict[str, Any], received_ms: int) -> AskedMany:
    """Raises `Problem` (422) naming the first wrong row and field."""
    return AskedMany(SCHEMAS[SCHEMA], transactions(SCHEMA, body, received_ms))


def render_many(asked: AskedMany, decisions: Sequence[Decision], elapsed_ms: float) -> EnterpriseBatchAnswer:
    return EnterpriseBatchAnswer(
        results=tuple(map(_answer, decisions)),
        total=len(decisions),
        processing_time_ms=elapsed_ms,
        billed_units=outcomes.units(decisions),
    )


def _action(decision: Decision) -> str:
    """This interface never knew a challenge: somebody has to look at it."""
    if decision.decisive.kind == "model" and decision.fraud_probability in AT_THE_EDGE:
        return AT_THE_EDGE[decision.fraud_probability]
    return "review" if decision.recommended_action == "challenge" else decision.recommended_action


def _answer(decision: Decision) -> EnterpriseAnswer:
    return EnterpriseAnswer(
        transaction_id=decision.transaction_id,
        fraud_probability=decision.fraud_probability,
        risk_level=decision.risk_level.upper(),
        recommended_action=_action(decision),
        fraud_type=decision.fraud_type,
        reasons=decision.reasons,
        id=decision.id,
        model=outcomes.model_name(decision.model),
        processing_time_ms=decision.timing_ms.total,
        degraded=decision.degraded,
        warnings=decision.warnings,
        billed_units=decision.billed_units,
    )
