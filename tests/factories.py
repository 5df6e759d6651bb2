"""Rows for tests, as factory_boy makes them; tenants and keys are made by their services (tests/cast.py)."""

import json
from datetime import UTC, datetime
from typing import Any

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from factory.django import DjangoModelFactory

from apps.accounts.models import Membership, User
from apps.scoring.models import Decision
from apps.usage.models import UsageDay, UsageHour


class UserFactory(DjangoModelFactory[User]):
    """A person; `password` is their address."""

    class Meta:
        model = User

    email = factory.Sequence(lambda number: f"person{number}@example.com")
    name = factory.Faker("name")
    password = factory.LazyAttribute(lambda user: make_password(user.email))


class OperatorFactory(UserFactory):
    is_staff = True
    is_superuser = True


class MembershipFactory(DjangoModelFactory[Membership]):
    """`tenant` is to be given."""

    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    role = Membership.Role.OWNER


class _UsageFactory(DjangoModelFactory[Any]):
    """Usage as the recorder adds it up; `tenant_id` is to be given."""

    class Meta:
        abstract = True

    endpoint = "decisions"
    livemode = True
    decisions = 10
    units = factory.SelfAttribute("decisions")
    degraded = 0


class UsageDayFactory(_UsageFactory):
    class Meta:
        model = UsageDay

    day = factory.LazyFunction(lambda: datetime.now(UTC).date())


class UsageHourFactory(_UsageFactory):
    class Meta:
        model = UsageHour

    hour = factory.LazyFunction(lambda: datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
    key_id = 1
    schema = "payments"
    latency_us = 7_000


class DecisionFactory(DjangoModelFactory[Decision]):
    """A stored decision of test mode on a payment of Ann's; to be made within its tenant."""

    class Meta:
        model = Decision

    id = factory.Sequence(lambda number: f"dec_{number:028x}")
    created_at = factory.LazyFunction(timezone.now)
    livemode = False
    schema = "payments"
    transaction_id = factory.Sequence(lambda number: f"txn_{number}")
    body_hash = "0" * 32
    status = "new"
    fraud_probability = 0.2
    risk_score = 500
    risk_level = "low"
    recommended_action = "approve"
    decisive = "model:xgboost"
    model_name = "xgboost"
    model_version = "2026.11.1"
    facts = factory.LazyFunction(lambda: {"amount": 20.0, "user_id": "Ann", "merchant_id": "M1"})
    features = b""
    contributions = b""
    amount = 20.0
    parties = factory.LazyFunction(lambda: ["ann", "m1"])
    answer = factory.LazyAttribute(
        lambda one: json.dumps({**ANSWER, "id": one.id, "transaction_id": one.transaction_id})
    )


ANSWER = {
    "object": "decision", "livemode": False, "created_at": "2026-11-29T12:00:00.000Z", "schema": "payments",
    "status": "new", "fraud_probability": 0.2, "risk_score": 500, "risk_level": "low",
    "recommended_action": "approve", "fraud_type": None, "decisive": {"kind": "model", "id": "xgboost"},
    "reasons": [], "rules": [], "model": {"name": "xgboost", "version": "2026.11.1", "threshold": 0.5},
    "degraded": [], "warnings": [], "timing_ms": {"total": 1.0}, "billed_units": 0,
}  # fmt: skip
