"""`/v1/subscription`: what is agreed, what holds now, and changing the plan."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, Money
from apps.api.operation import REQUEST_ID, WITH_A_BODY, Answer, Body, Operation, operation
from apps.api_keys.services import invalidate_pending
from apps.billing.collecting.providers import get_gateway
from apps.billing.rating.money import rounded
from apps.billing.subscriptions import test_clock, timeline
from apps.billing.subscriptions.plan_changes import PaymentMethodRequired, change_plan_for_customer
from apps.billing.subscriptions.services import allowance, subscription_of
from apps.errors import Problem
from apps.times import rfc3339
from apps.usage.metering.quantities import units_between

Name = Literal["free", "basic", "professional", "enterprise"]


class Subscription(msgspec.Struct, frozen=True):
    """What is agreed, and what holds now."""

    object: Literal["subscription"]
    plan: str
    name: str
    status: Literal["trialing", "active", "past_due", "limited", "cancelled"]
    currency: str
    rate_per_minute: int
    included: Annotated[int, Meta(description="Units this month includes.")]
    allowed_units: Annotated[int | None, Meta(description="Units this month may reach; null: no end.")]
    spend_cap: Money | None
    payment_method: Annotated[str | None, Meta(description="Such as visa •••• 4242; null: none.")]
    started_at: Moment
    next_plan: Annotated[str | None, Meta(description="The plan that takes over at `next_plan_at`.")]
    next_plan_at: Moment | None


class SubscriptionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan to change to: up at once, down at the end of the month, the one in force to stay with it."""

    plan: Name


class SubscriptionView(ApiView):
    """GET; POST: another plan."""

    endpoint = "subscription"
    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        return json_answer(self._subscription(tenant_id))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.decoded(request, SubscriptionChange)
        admission = self.admit_live(request)
        try:
            change_plan_for_customer(
                tenant_id=admission.tenant_id,
                plan=asked.plan,
                now=self.now,
                actor=admission.actor,
                card_needed=get_gateway().collects,
            )
        except PaymentMethodRequired as missing:
            raise Problem("payment_method_required") from missing
        invalidate_pending(self.admissions.gate)  # the gate knows of the new plan before the answer is given
        return json_answer(self._subscription(admission.tenant_id))

    def _subscription(self, tenant_id: int) -> Subscription:
        row, now = subscription_of(tenant_id), test_clock.now_for(tenant_id, self.now)
        allowed, following = allowance(tenant_id, self.now, units_between), timeline.scheduled(tenant_id, now)
        return Subscription(
            object="subscription",
            plan=allowed.plan.code,
            name=allowed.plan.name,
            status=row.status,  # type: ignore[arg-type]
            currency=row.currency,
            rate_per_minute=allowed.rate_per_minute,
            included=allowed.included,
            allowed_units=allowed.allowed_units,
            spend_cap=None if row.spend_cap is None else str(rounded(row.spend_cap, row.currency)),
            payment_method=(row.payment_method_label or "agreed") if row.has_payment_method else None,
            started_at=rfc3339(row.started_at),
            next_plan=following.plan_code if following else None,
            next_plan_at=rfc3339(following.starts_at) if following else None,
        )


TAG = "Billing"
_CHANGE = {
    "up": {"summary": "A larger plan, at once", "value": {"plan": "enterprise"}},
    "down": {"summary": "A smaller plan, at the end of the month", "value": {"plan": "basic"}},
    "cancel": {"summary": "Cancel: Free from the end of the month", "value": {"plan": "free"}},
}
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/subscription",
        "getSubscription",
        "Read the subscription",
        "The plan in force, what it allows this month, and what is scheduled.",
        Answer(Subscription, "The subscription."),
    ),
    Operation(
        "POST",
        "/v1/subscription",
        "changeSubscription",
        TAG,
        "Change the plan",
        "Up: at once, the fee and the included units prorated to the second. Down, and `free` to cancel: at the end of "
        "the month. The plan in force: what was scheduled is dropped. Scope: `admin`, with a live key.",
        Answer(Subscription, "The subscription as it is now."),
        scope="admin",
        parameters=(REQUEST_ID,),
        body=Body(SubscriptionChange, _CHANGE),
        problems=(*WITH_A_BODY, "live_key_required", "field_invalid", "payment_method_required"),
    ),
)
