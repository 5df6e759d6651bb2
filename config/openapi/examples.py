"""Bodies that work as they stand, and what they are answered. A test sends each of them."""

from typing import Any

_DRAINED: dict[str, Any] = {
    "type": "TRANSFER",
    "amount": 180000.0,
    "oldbalanceOrg": 180000.0,
    "newbalanceOrig": 0.0,
    "oldbalanceDest": 50000.0,
    "newbalanceDest": 230000.0,
    "step": 372,
}
_HONEST: dict[str, Any] = {
    "type": "TRANSFER",
    "amount": 5000.0,
    "oldbalanceOrg": 10000.0,
    "newbalanceOrig": 5000.0,
    "oldbalanceDest": 1000.0,
    "newbalanceDest": 6000.0,
    "step": 15,
}
_VANISHED: dict[str, Any] = {
    "type": "CASH_OUT",
    "amount": 10000.0,
    "oldbalanceOrg": 10000.0,
    "newbalanceOrig": 0.0,
    "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0,
    "step": 1,
}
_NAMED = {"transaction_id": "txn_123", "nameOrig": "C1231006815", "nameDest": "C1979787155"}


def _example(summary: str, value: Any) -> dict[str, Any]:
    return {"summary": summary, "value": value}


DECISION = {
    "drained": _example("An emptied account", {"schema": "paysim", "transaction": _NAMED | _DRAINED}),
    "honest": _example("An ordinary transfer", {"schema": "paysim", "transaction": _HONEST}),
    "vanished": _example("Money that never arrives: a rule decides", {"schema": "paysim", "transaction": _VANISHED}),
    "dry_run": _example(
        "Scored, not stored, not billed",
        {"schema": "paysim", "transaction": _HONEST, "model": "xgboost", "dry_run": True},
    ),
}
BATCH = {
    "three": _example(
        "Three transactions, one of them wrong",
        {"schema": "paysim", "transactions": [_HONEST, _DRAINED, _HONEST | {"amount": -1}]},
    )
}
HYBRID = {
    "drained": _example("An emptied account: fraud by the model", {"payload": _DRAINED}),
    "honest": _example("An ordinary transfer", {"payload": _HONEST}),
    "vanished": _example("The black-hole rule", {"payload": _VANISHED}),
}
TOKEN = {"reader": _example("A token that may only read, for five minutes", {"scopes": ["read"], "expires_in": 300})}
DECIDED = {
    "drained": _example(
        "Block: an emptied account",
        {
            "id": "dec_0pc6m3fcl2g9t8k1q5v7n4rd",
            "object": "decision",
            "livemode": True,
            "created_at": "2026-01-05T10:00:00.123Z",
            "transaction_id": "txn_123",
            "schema": "paysim",
            "status": "new",
            "fraud_probability": 0.998736,
            "risk_score": 998,
            "risk_level": "critical",
            "recommended_action": "block",
            "fraud_type": None,
            "decisive": {"kind": "model", "id": "xgboost"},
            "reasons": [
                {
                    "code": "ACCOUNT_EMPTIED",
                    "field": "newbalanceOrig",
                    "value": 1.0,
                    "contribution": 6.1043,
                    "direction": "up",
                    "text": "The transaction takes exactly all the origin held.",
                }
            ],
            "rules": [{"id": "black_hole", "outcome": "no_hit"}],
            "model": {"name": "xgboost", "version": "2026.11.1", "threshold": 0.5},
            "degraded": [],
            "warnings": [],
            "timing_ms": {"total": 0.71},
            "billed_units": 1,
        },
    )
}
