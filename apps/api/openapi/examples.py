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


_MERCHANT: dict[str, Any] = {
    "transaction_id": "test_123",
    "step": 1,
    "type": "PAYMENT",
    "amount": 1000.0,
    "nameOrig": "C123456789",
    "oldbalanceOrg": 5000.0,
    "newbalanceOrig": 4000.0,
    "nameDest": "M987654321",
    "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0,
}
_CARD: dict[str, Any] = {
    "TransactionAmt": 150.0,
    "ProductCD": "W",
    "card1": 1234,
    "card2": 567,
    "card3": 150,
    "addr1": 123,
    "addr2": 456,
}
_PAYMENT: dict[str, Any] = {
    "transaction_id": "TXN_123456",
    "timestamp": "2024-01-15T10:30:00Z",
    "amount": 150.0,
    "user_id": "USER_001",
    "merchant_id": "MERCH_001",
    "merchant_category": "electronics",
    "distance_from_home_km": 25.5,
    "foreign_transaction": False,
}
_ACTIVITY: dict[str, Any] = {
    "User_ID": 12345,
    "Transaction_Amount": 150000,
    "Transaction_Location": "USA",
    "Merchant_ID": 987,
    "Device_ID": 555,
    "Card_Type": "Credit",
    "Transaction_Currency": "USD",
    "Transaction_Status": "Completed",
    "Previous_Transaction_Count": 25,
    "Distance_Between_Transactions_km": 2500,
    "Time_Since_Last_Transaction_min": 1440,
    "Authentication_Method": "OTP",
    "Transaction_Velocity": 3,
    "Transaction_Category": "Travel",
    "Transaction_Hour": 14,
    "Transaction_Day": 15,
    "Transaction_Month": 1,
    "Transaction_Weekday": 3,
}
DECISION = {
    "drained": _example("An emptied account", {"schema": "paysim", "transaction": _NAMED | _DRAINED}),
    "honest": _example("An ordinary transfer", {"schema": "paysim", "transaction": _HONEST}),
    "vanished": _example("Money that never arrives: a rule decides", {"schema": "paysim", "transaction": _VANISHED}),
    "dry_run": _example(
        "Scored, not stored, not billed",
        {"schema": "paysim", "transaction": _HONEST, "model": "xgboost", "dry_run": True},
    ),
    "payments": _example("A purchase, held against the user's habits", {"schema": "payments", "transaction": _PAYMENT}),
    "ieee_cis": _example("A few of Vesta's columns", {"schema": "ieee_cis", "transaction": _CARD}),
    "card_activity": _example(
        "A large amount, far away, on a new device", {"schema": "card_activity", "transaction": _ACTIVITY}
    ),
    "ensemble": _example(
        "All models of the schema, with their votes",
        {"schema": "payments", "transaction": _PAYMENT | {"transaction_id": "TXN_123457"}, "model": "ensemble"},
    ),
}
BATCH = {
    "three": _example(
        "Three transactions, one of them wrong",
        {"schema": "paysim", "transactions": [_HONEST, _DRAINED, _HONEST | {"amount": -1}]},
    )
}
PREDICT = {
    "commercial": _example("Commercial", {"transaction_data": _CARD, "model_version": "v1"}),
    "drained": _example("Hybrid: an emptied account, fraud by the model", {"payload": _DRAINED}),
    "honest": _example("Hybrid: an ordinary transfer", {"payload": _HONEST}),
    "vanished": _example("Hybrid: the black-hole rule", {"payload": _VANISHED}),
    "enterprise": _example("Enterprise", _PAYMENT),
}
COMMERCIAL_BATCH = {
    "two": _example(
        "Two payments",
        {
            "transactions": [
                {"TransactionAmt": 150.0, "ProductCD": "W", "card1": 1234},
                {"TransactionAmt": 75.0, "ProductCD": "C", "card1": 5678},
            ],
            "model_version": "v1",
        },
    )
}
ENTERPRISE_BATCH = {
    "two": _example(
        "Two payments",
        {
            "transactions": [
                _PAYMENT,
                {"transaction_id": "TXN_1", "amount": 100.0, "user_id": "U1", "merchant_id": "M1"},
            ]
        },
    )
}
GATEWAY = {"merchant": _example("A payment to a merchant", {"transactions": [_MERCHANT]})}
DETECT = {"abroad": _example("A large amount, far away, on a new device", _ACTIVITY)}
TOKEN = {"reader": _example("A token that may only read, for five minutes", {"scopes": ["read"], "expires_in": 300})}
BUDGET = {
    "cap": _example("Never more than 500 a month", {"spend_cap": "500.00"}),
    "own": _example("No cap; told at half and at the end", {"spend_cap": None, "thresholds": [50, 100]}),
}
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
            "fraud_probability": 0.986405,
            "risk_score": 999,
            "risk_level": "critical",
            "recommended_action": "block",
            "fraud_type": "account_takeover",
            "decisive": {"kind": "model", "id": "xgboost"},
            "reasons": [
                {
                    "code": "ACCOUNT_EMPTIED",
                    "field": "newbalanceOrig",
                    "value": 0.0,
                    "contribution": 10.4023,
                    "direction": "up",
                    "text": "Nothing to speak of is left of what the origin held.",
                    "unit": None,
                    "usual": None,
                }
            ],
            "rules": [
                {"id": "black_hole", "outcome": "no_hit"},
                {"id": "drained_account", "outcome": "hit"},
                {"id": "money_lost", "outcome": "no_hit"},
                {"id": "collecting_account", "outcome": "no_hit"},
                {"id": "many_transactions", "outcome": "no_hit"},
            ],
            "model": {
                "name": "xgboost",
                "version": "2026.11.2",
                "threshold": 0.5,
                "ranks_among": "7,374 later transactions (301 to 400), weighted to their true rates, and a share of "
                "0.1 of them as new users, and 0.1 with the required fields alone",
            },
            "degraded": [],
            "warnings": [],
            "timing_ms": {"total": 0.71},
            "billed_units": 1,
            "policy_version": 0,
        },
    )
}
