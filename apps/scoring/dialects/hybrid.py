"""Hybrid (schema `paysim`): {"payload": {…}} in, {"fraud", "model_used", "model_prob", …} out."""

from typing import Any, NoReturn

from apps.errors import Problem
from apps.scoring.dialects.requests import Asked
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction
from apps.scoring.serving.decision_formats import Decision

SCHEMA = "paysim"


def parse(body: dict[str, Any], received_ms: int) -> Asked:
    """The payload as a PaySim transaction. Raises `Problem` (400) naming the first field that is wrong."""
    payload = body["payload"]
    if not isinstance(payload, dict):
        raise Problem("payload_invalid", "Invalid payload: it must be a JSON object")
    try:
        return Asked(SCHEMAS[SCHEMA], SCHEMAS[SCHEMA].parse(payload, received_ms))
    except InvalidTransaction as wrong:
        _refuse(wrong)


def render(asked: Asked, decision: Decision) -> dict[str, Any]:
    """The decision as Hybrid clients read it; what it never had (id, reasons, billed_units) stands behind."""
    return _verdict(decision) | _extras(decision)


def _verdict(decision: Decision) -> dict[str, Any]:
    if decision.decisive.kind == "rule":
        fraud = decision.recommended_action == "block"
        return {
            "fraud": fraud,
            "reason": f"{decision.decisive.id}_rule",
            "model_used": False,
            "model_prob": None,
        }
    if decision.model is None or decision.fraud_probability is None:
        return {"fraud": False, "reason": "model_unavailable", "model_used": False, "model_prob": None}
    return {
        "fraud": decision.fraud_probability >= decision.model.threshold,
        "model_used": True,
        "model_prob": decision.fraud_probability,
        "decision_threshold": decision.model.threshold,
    }


def _extras(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "transaction_id": decision.transaction_id,
        "recommended_action": decision.recommended_action,
        "reasons": decision.reasons,
        "degraded": decision.degraded,
        "warnings": decision.warnings,
        "billed_units": decision.billed_units,
    }


def _refuse(wrong: InvalidTransaction) -> NoReturn:
    field = f"'{wrong.param}'" if wrong.param else "the payload"
    said = f"Invalid payload or missing required numeric fields: {field}"
    raise Problem("payload_invalid", said if wrong.missing else f"{said}. {wrong.detail}", wrong.param) from wrong
