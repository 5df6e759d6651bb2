"""Transactions of the streams' tests."""

from typing import Any

TRANSACTION = {
    "step": 1, "type": "TRANSFER", "amount": 180.0, "nameOrig": "C1", "oldbalanceOrg": 180.0, "newbalanceOrig": 0.0,
    "nameDest": "C2", "oldbalanceDest": 0.0, "newbalanceDest": 180.0,
}  # fmt: skip


def transaction(number: int | str, **fields: Any) -> dict[str, Any]:
    """One of that number, by a person of its own."""
    return TRANSACTION | {"transaction_id": f"t{number}", "nameOrig": f"C{number}"} | fields
