"""Rows for tests, as factory_boy makes them; tenants and keys are made by their services (tests/cast.py)."""

from datetime import UTC, datetime
from typing import Any

import factory
from django.contrib.auth.hashers import make_password
from factory.django import DjangoModelFactory

from apps.accounts.models import Membership, User
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
