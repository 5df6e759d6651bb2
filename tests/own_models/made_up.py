"""A tenant's decisions and labels, made up: now and then a merchant is a thief's for two weeks, and nothing but what
labels tell gives it away."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.review.models import Label
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision

PAYMENTS = SCHEMAS["payments"]
DAYS, A_DAY, MERCHANTS, USERS = 110, 60, 20, 50
KNOWN_AFTER = timedelta(days=3)


class Payment(NamedTuple):
    """A payment of the log, and whether it was a fraud."""

    at: datetime
    user: str
    merchant: str
    amount: float
    is_fraud: bool


def payments(begin: datetime, days: int = DAYS) -> list[Payment]:
    """In order of time."""
    random = np.random.default_rng(7)
    count = days * A_DAY
    seconds = np.sort(random.uniform(0, days * 86_400, count))
    users, merchants = random.integers(0, USERS, count), random.integers(0, MERCHANTS, count)
    amounts = np.round(random.gamma(2.0, 20.0, count), 2)
    bad = (seconds // (14 * 86_400)).astype(int) * 3 % MERCHANTS  # for two weeks one merchant after the other
    is_fraud = (merchants == bad) & (random.random(count) < 0.9)
    return [
        Payment(begin + timedelta(seconds=float(at)), f"u{user}", f"m{merchant}", float(amount), bool(fraud))
        for at, user, merchant, amount, fraud in zip(seconds, users, merchants, amounts, is_fraud, strict=True)
    ]


def store(tenant: Tenant, log: list[Payment], livemode: bool = True, until: datetime | None = None) -> None:
    """Keep the log as decisions of the tenant's with labels of its frauds; of those that were known `until` then."""
    random = np.random.default_rng(8)
    rows, labels = [], []
    for number, one in enumerate(log):
        features = random.normal(size=len(PAYMENTS.features)).astype("<f4")
        features[0] = np.log1p(one.amount)
        facts = {"transaction_id": f"t{number}", "timestamp": one.at.isoformat(), "amount": one.amount,
                 "user_id": one.user, "merchant_id": one.merchant}  # fmt: skip
        decision = Decision(
            id=f"dec_{number:028x}", created_at=datetime.now(UTC), livemode=livemode, schema="payments",
            transaction_id=f"t{number}", body_hash="", status="new", fraud_probability=0.1, risk_score=100,
            risk_level="low", recommended_action="approve", decisive="model:xgboost", model_name="xgboost",
            model_version="1", facts=facts, answer="{}", features=features.tobytes(), contributions=b"",
            amount=one.amount, row=number % 30_000,
        )  # fmt: skip
        rows.append(decision)
        if one.is_fraud and (until is None or one.at + KNOWN_AFTER <= until):
            labels.append(_label(decision, one, number))
    with in_tenant(tenant):
        Decision.objects.bulk_create(rows, batch_size=2_000)
        Label.objects.bulk_create(labels)


def _label(decision: Decision, one: Payment, number: int) -> Label:
    return Label(
        id=f"lbl_{number}", livemode=decision.livemode, decision_id=decision.pk,
        transaction_id=decision.transaction_id, schema="payments", label="fraud", source="chargeback",
        known_at=one.at + KNOWN_AFTER, recorded_at=datetime.now(UTC), recorded_by="test", holds=True,
        decided_at=decision.created_at, recommended_action="approve", marked_at=datetime.now(UTC),
    )  # fmt: skip
