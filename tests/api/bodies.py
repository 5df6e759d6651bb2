"""Bodies the API's tests send."""

from typing import Any

TRANSFER: dict[str, Any] = {
    "type": "TRANSFER",
    "amount": 5000.0,
    "oldbalanceOrg": 10000.0,
    "newbalanceOrig": 5000.0,
    "oldbalanceDest": 1000.0,
    "newbalanceDest": 6000.0,
    "step": 15,
}
DRAINED = (
    TRANSFER
    | {"amount": 180000.0, "oldbalanceOrg": 180000.0, "newbalanceOrig": 0.0, "step": 372}
    | {
        "oldbalanceDest": 50000.0,
        "newbalanceDest": 230000.0,
    }
)


VANISHED = (
    TRANSFER
    | {"type": "CASH_OUT", "amount": 10000.0, "newbalanceOrig": 0.0, "step": 1}
    | {
        "oldbalanceDest": 0.0,
        "newbalanceDest": 0.0,
    }
)


def asking(transaction: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A body for POST /v1/decisions: an honest transfer, or another transaction; `more` beside it."""
    return {"schema": "paysim", "transaction": TRANSFER if transaction is None else transaction} | more


HONEST = asking()
