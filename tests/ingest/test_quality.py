"""What the checks of a transaction's data find, a row a check."""

from typing import Any

import pytest

from apps.ingest import quality
from apps.scoring.engine.schemas import SCHEMAS

PAYMENT: dict[str, Any] = {
    "step": 1, "type": "PAYMENT", "amount": 1000.0, "nameOrig": "C1", "oldbalanceOrg": 5000.0, "newbalanceOrig": 4000.0,
    "nameDest": "M9", "oldbalanceDest": 0.0, "newbalanceDest": 0.0,
}  # fmt: skip
PAID: dict[str, Any] = {
    "amount": 5.0, "user_id": "u", "merchant_id": "m", "device_id": "d", "email": "a@example.com",
    "ip_address": "192.0.2.1", "timestamp": "2026-11-29T12:00:00Z",
}  # fmt: skip
NOON_MS = 1_795_953_600_000


def found(schema: str, content: dict[str, Any], *, duplicate: bool = False) -> list[tuple[str, str]]:
    kind = SCHEMAS[schema]
    findings = quality.found(kind, kind.parse(content, NOON_MS), duplicate=duplicate)
    assert all(one.detail.endswith(".") for one in findings)
    return [(one.check, one.field) for one in findings]


@pytest.mark.parametrize(
    ("schema", "content", "expected"),
    [
        ("paysim", PAYMENT, []),
        ("paysim", PAYMENT | {"type": "GIFT"}, [("unknown_category", "type")]),
        ("paysim", PAYMENT | {"newbalanceOrig": 4000.01}, []),
        ("paysim", PAYMENT | {"newbalanceOrig": 3000.0}, [("balance_mismatch", "newbalanceOrig")]),
        ("paysim", PAYMENT | {"type": "CASH_IN", "newbalanceOrig": 6000.0}, []),
        ("paysim", PAYMENT | {"type": "TRANSFER"}, [("balance_mismatch", "newbalanceDest")]),
        ("paysim", PAYMENT | {"type": "TRANSFER", "newbalanceDest": 1000.0}, []),
        ("paysim", PAYMENT | {"nameOrig": None}, [("missing", "nameOrig")]),
        ("payments", PAID, []),
        ("payments", PAID | {"timestamp": "2026-11-29T12:14:00Z"}, []),
        ("payments", PAID | {"timestamp": "2026-11-29T12:16:00Z"}, [("clock_skew", "timestamp")]),
        ("payments", PAID | {"timestamp": "2026-11-01T12:00:00Z"}, [("clock_skew", "timestamp")]),
        ("payments", PAID | {"timestamp": None}, []),
        ("payments", PAID | {"email": None}, [("missing", "email")]),
    ],
)
def test_each_check_finds_its_own(schema: str, content: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert found(schema, content) == expected


def test_a_transaction_sent_before_is_one_finding() -> None:
    assert found("paysim", PAYMENT, duplicate=True) == [("duplicate", "")]


def test_what_is_refused_is_missing_or_out_of_range() -> None:
    content = {name: value for name, value in PAYMENT.items() if name != "oldbalanceOrg"} | {"amount": -1, "step": "x"}
    findings = quality.refused(SCHEMAS["paysim"], content)
    assert [(one.check, one.field) for one in findings] == [
        ("out_of_range", "amount"), ("missing", "oldbalanceOrg"), ("out_of_range", "step"),
    ]  # fmt: skip


def test_no_name_is_looked_at_for_being_constant() -> None:
    for content, schema in ((PAYMENT | {"transaction_id": "t"}, SCHEMAS["paysim"]), (PAID, SCHEMAS["payments"])):
        looked_at = quality.comparable(schema, schema.parse(content, NOON_MS))
        assert not set(looked_at) & {"nameOrig", "nameDest", "transaction_id", "user_id", "merchant_id", "email"}
        assert "amount" in looked_at
