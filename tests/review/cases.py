"""Review cases for tests, opened as the recorder opens them."""

import os
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.review.cases.opening import Asking, hash_of, open_or_join
from apps.review.models import Case
from tests.factories import DecisionFactory


def asking(name: str, at: datetime, **more: Any) -> Asking:
    """A decision that asks for a review."""
    transaction_id = more.pop("transaction_id", f"t-{name}")
    facts: dict[str, Any] = {
        "livemode": True, "schema": "payments", "fraud_probability": 0.5, "risk_score": 700, "amount": 20.0,
        "rules_hit": [], "review": True,
    }  # fmt: skip
    return Asking(f"dec_{name}", at, transaction_id=transaction_id, transaction_hash=hash_of(transaction_id, None),
                  **facts | more)  # fmt: skip


def a_case(tenant: Tenant, *, at: datetime | None = None, **more: Any) -> Case:
    """A case of a stored decision; what else is said is said of the decision."""
    one = asking(os.urandom(14).hex(), at or timezone.now(), **more)
    columns = ("livemode", "schema", "transaction_id", "fraud_probability", "risk_score", "amount", "rules_hit")
    with in_tenant(tenant), transaction.atomic():
        DecisionFactory(
            id=one.decision_id, created_at=one.decided_at, recommended_action="review", risk_level="medium",
            **{name: getattr(one, name) for name in columns},
        )  # fmt: skip
        open_or_join([one], timezone.now())
        return Case.objects.get(transaction_hash=one.transaction_hash, schema=one.schema, livemode=one.livemode)
