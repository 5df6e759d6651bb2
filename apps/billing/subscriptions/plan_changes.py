"""Plan changes as customers ask for them: who needs a payment method first, and the customer's notification."""

from datetime import datetime

from apps import times
from apps.accounts.models import Tenant
from apps.billing.models import Subscription
from apps.billing.notifications import notify_customer
from apps.billing.rating.plans import PLANS, current
from apps.billing.subscriptions import test_clock
from apps.billing.subscriptions.services import NotPossible, PlanChange, change_plan, subscription_of


class PaymentMethodRequired(NotPossible):
    """A dearer plan was asked for, and nothing is agreed of how it is paid."""


def change_plan_for_customer(*, tenant_id: int, plan: str, now: datetime, actor: str, card_needed: bool) -> PlanChange:
    """Change the plan and tell the customer's people. `now` is real time; a test clock's is looked up.

    `card_needed`: a dearer plan needs a payment method, which can be entered here. Raises `PaymentMethodRequired`.
    """
    before = subscription_of(tenant_id)
    if card_needed and _costs_more(before, plan) and not before.has_payment_method:
        raise PaymentMethodRequired(plan)
    change = change_plan(tenant_id=tenant_id, plan=plan, now=test_clock.now_for(tenant_id, now), actor=actor)
    if change.kind != "kept":
        data = {"plan": change.plan.name, "before": PLANS[before.plan_code].name, "at": times.rfc3339(change.at)}
        key = f"plan:{tenant_id}:{now.timestamp():.6f}"
        notify_customer(Tenant.objects.get(pk=tenant_id), "subscription.changed", data, key=key, now=now)
    return change


def _costs_more(before: Subscription, plan: str) -> bool:
    """Whether it is dearer than what is agreed now: who stays or goes down agreed long ago how it is paid."""
    trying = before.status == Subscription.Status.TRIALING
    return current(plan).monthly > (0 if trying else PLANS[before.plan_code].monthly)
