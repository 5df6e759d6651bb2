"""Commercial (schema `ieee_cis`): {"transaction_data": {…}} in, `fraud_probability` and `is_fraud` out.

`model_version` "v1" is the champion, whichever that is; a model's own name, or name@version, asks for that one.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.errors import Problem
from apps.scoring.dialects import outcomes
from apps.scoring.dialects.requests import Asked, AskedMany, Rows, transaction, transactions
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decision_formats import Decision

SCHEMA = "ieee_cis"
CHAMPION = "v1"
LONGEST_NAME = 80


Version = Annotated[str, Meta(max_length=80, description="v1: the champion. Or a model's name, or name@version.")]


class CommercialRequest(msgspec.Struct, frozen=True):
    """The Commercial interface's body."""

    transaction_data: Annotated[dict[str, Any], Meta(description="Any of the IEEE-CIS columns.")]
    model_version: Version | None = "v1"


class CommercialBatchRequest(msgspec.Struct, frozen=True):
    """Many transactions of the Commercial interface."""

    transactions: Rows
    model_version: Version | None = "v1"


class CommercialAnswer(msgspec.Struct, frozen=True):
    """What Commercial clients read, and behind it what they never had."""

    transaction_id: str
    fraud_probability: Annotated[float | None, Meta(description="null when no model could be asked.")]
    is_fraud: bool
    risk_level: str
    model_version: Annotated[str, Meta(description="v1 when the champion was asked; else model@version.")]
    reasons: tuple[Reason, ...]
    processing_time_ms: float
    billed_units: int
    id: Annotated[str, Meta(description="Read it again at /v1/decisions/{id}.")]
    model: str | None
    recommended_action: str
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]


class CommercialBatchAnswer(msgspec.Struct, frozen=True):
    """The predictions in the order of `transactions`."""

    predictions: tuple[CommercialAnswer, ...]
    total: int
    fraud_count: int
    processing_time_ms: float
    billed_units: int


def parse(body: dict[str, Any], received_ms: int) -> Asked:
    """Raises `Problem` (422) naming the field."""
    parsed = transaction(SCHEMA, body["transaction_data"], received_ms, "transaction_data")
    return Asked(SCHEMAS[SCHEMA], parsed, _model(body))


def render(asked: Asked, decision: Decision) -> CommercialAnswer:
    return _answer(asked.model, decision)


def parse_many(body: dict[str, Any], received_ms: int) -> AskedMany:
    """Raises `Problem` (422) naming the first wrong row and field."""
    return AskedMany(SCHEMAS[SCHEMA], transactions(SCHEMA, body, received_ms), _model(body))


def render_many(asked: AskedMany, decisions: Sequence[Decision], elapsed_ms: float) -> CommercialBatchAnswer:
    return CommercialBatchAnswer(
        predictions=tuple([_answer(asked.model, decision) for decision in decisions]),
        total=len(decisions),
        fraud_count=sum(map(outcomes.is_fraud, decisions)),
        processing_time_ms=elapsed_ms,
        billed_units=outcomes.units(decisions),
    )


def _model(body: dict[str, Any]) -> str | None:
    value = body.get("model_version")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise Problem("field_invalid", f"'model_version' must be text, like \"{CHAMPION}\".", "model_version")
    return None if value == CHAMPION else value


def _answer(model: str | None, decision: Decision) -> CommercialAnswer:
    used = outcomes.model_name(decision.model)
    return CommercialAnswer(
        transaction_id=decision.transaction_id,
        fraud_probability=decision.fraud_probability,
        is_fraud=outcomes.is_fraud(decision),
        risk_level=decision.risk_level,
        model_version=CHAMPION if model is None or used is None else used,
        reasons=decision.reasons,
        processing_time_ms=decision.timing_ms.total,
        billed_units=decision.billed_units,
        id=decision.id,
        model=used,
        recommended_action=decision.recommended_action,
        degraded=decision.degraded,
        warnings=decision.warnings,
    )
