"""Hybrid (schema `paysim`): {"payload": {…}} in, {"fraud", "model_used", "model_prob", …} out."""

from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import UNSET, Meta, UnsetType

from apps.errors import Problem
from apps.scoring.dialects.requests import Asked
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.requests import errors_of

SCHEMA = "paysim"


class HybridRequest(msgspec.Struct, frozen=True):
    """The Hybrid interface's body."""

    payload: Annotated[dict[str, Any], Meta(description="A PaySim transaction.")]


class HybridAnswer(msgspec.Struct, frozen=True):
    """What Hybrid clients read, and behind it what they never had."""

    fraud: bool
    model_used: Annotated[bool, Meta(description="false: a rule decided, or no model was there.")]
    model_prob: Annotated[float | None, Meta(description="Fraud probability, null when no model was used.")]
    id: str
    transaction_id: str
    recommended_action: str
    reasons: tuple[Reason, ...]
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    billed_units: Annotated[int, Meta(description="Billed units.")]
    reason: Annotated[str, Meta(description="black_hole_rule or another rule.")] | UnsetType = UNSET
    decision_threshold: float | UnsetType = UNSET


def parse(body: dict[str, Any], received_ms: int) -> Asked:
    """The payload as a PaySim transaction. Raises `Problem` (400) naming the first field that is wrong."""
    payload = body["payload"]
    if not isinstance(payload, dict):
        raise Problem("payload_invalid", "Invalid payload: it must be a JSON object")
    try:
        return Asked(SCHEMAS[SCHEMA], SCHEMAS[SCHEMA].parse(payload, received_ms))
    except InvalidTransaction as wrong:
        _refuse(payload, wrong)


def render(asked: Asked, decision: Decision) -> HybridAnswer:
    """The decision as Hybrid clients read it; what it never had (id, reasons, billed_units) stands behind."""
    return HybridAnswer(
        **_verdict(decision),
        id=decision.id,
        transaction_id=decision.transaction_id,
        recommended_action=decision.recommended_action,
        reasons=decision.reasons,
        degraded=decision.degraded,
        warnings=decision.warnings,
        billed_units=decision.billed_units,
    )


def _verdict(decision: Decision) -> dict[str, Any]:
    """fraud, and by what: a rule, the model, or neither."""
    if decision.decisive.kind == "rule":
        fraud = decision.recommended_action == "block"
        return {"fraud": fraud, "reason": f"{decision.decisive.id}_rule", "model_used": False, "model_prob": None}
    if decision.model is None or decision.fraud_probability is None:
        return {"fraud": False, "reason": "model_unavailable", "model_used": False, "model_prob": None}
    return {
        "fraud": decision.fraud_probability >= decision.model.threshold,
        "model_used": True,
        "model_prob": decision.fraud_probability,
        "decision_threshold": decision.model.threshold,
    }


def _refuse(payload: Any, wrong: InvalidTransaction) -> NoReturn:
    field = f"'{wrong.param}'" if wrong.param else "the payload"
    message = f"Invalid payload or missing required numeric fields: {field}"
    detail = message if wrong.missing else f"{message}. {wrong.detail}"
    errors = errors_of(SCHEMAS[SCHEMA], payload, wrong, "payload")
    raise Problem("payload_invalid", detail, errors[0].param, errors=errors) from wrong
