"""Gateway (schema `paysim`): a list of transactions in, `results` with a `confidence` each out."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.scoring.dialects import outcomes
from apps.scoring.dialects.requests import AskedMany, Rows, transactions
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decision_formats import Decision

SCHEMA = "paysim"


class GatewayRequest(msgspec.Struct, frozen=True):
    """Transactions of the Gateway interface."""

    transactions: Rows


class GatewayResult(msgspec.Struct, frozen=True):
    """One transaction's result."""

    transaction_id: str
    fraud_probability: Annotated[float | None, Meta(description="null when no model could be asked.")]
    is_fraud: bool
    risk_level: str
    confidence: Annotated[
        float | None,
        Meta(description="How sure the model is of its side: the larger of probability and 1 - probability."),
    ]
    reasons: tuple[Reason, ...]
    id: Annotated[str, Meta(description="Read it again at /v1/decisions/{id}.")]
    recommended_action: str
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    billed_units: int


class GatewayAnswer(msgspec.Struct, frozen=True):
    """The results in the order of `transactions`."""

    results: tuple[GatewayResult, ...]
    count: int
    model_version: Annotated[str | None, Meta(description="model@version; null when no model could be asked.")]
    processing_time_ms: float
    billed_units: int


def parse_many(body: dict[str, Any], received_ms: int) -> AskedMany:
    """Raises `Problem` (422) naming the first wrong row and field."""
    return AskedMany(SCHEMAS[SCHEMA], transactions(SCHEMA, body, received_ms))


def render_many(asked: AskedMany, decisions: Sequence[Decision], elapsed_ms: float) -> GatewayAnswer:
    return GatewayAnswer(
        results=tuple(map(_result, decisions)),
        count=len(decisions),
        model_version=outcomes.first_model(decisions),
        processing_time_ms=elapsed_ms,
        billed_units=outcomes.units(decisions),
    )


def _result(decision: Decision) -> GatewayResult:
    probability = decision.fraud_probability
    return GatewayResult(
        transaction_id=decision.transaction_id,
        fraud_probability=probability,
        is_fraud=outcomes.is_fraud(decision),
        risk_level=decision.risk_level,
        confidence=None if probability is None else round(max(probability, 1.0 - probability), 6),
        reasons=decision.reasons,
        id=decision.id,
        recommended_action=decision.recommended_action,
        degraded=decision.degraded,
        warnings=decision.warnings,
        billed_units=decision.billed_units,
    )
