"""`/v1/plans`: what is sold today."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Money
from apps.api.operation import Answer, Operation, operation
from apps.billing.rating.money import rounded
from apps.billing.rating.plans import CURRENT, current
from apps.formats import plain


class TierPrice(msgspec.Struct, frozen=True):
    """One tier of overage."""

    up_to: Annotated[int | None, Meta(description="Units beyond the included ones; null: without end.")]
    price: Annotated[str, Meta(description="Of one unit.")]


class PlanPrice(msgspec.Struct, frozen=True):
    """A plan in one currency."""

    monthly: Money
    overage: list[TierPrice]


class Plan(msgspec.Struct, frozen=True):
    """A plan sold today."""

    object: Literal["plan"]
    code: Annotated[str, Meta(description="Dated: a customer keeps the one that was signed.")]
    name: str
    included: int
    rate_per_minute: int
    features: list[str]
    prices: Annotated[dict[str, PlanPrice], Meta(description="By currency.")]


class PlanList(msgspec.Struct, frozen=True):
    """The plans sold today, the smallest first."""

    object: Literal["list"]
    data: list[Plan]


class PlansView(ApiView):
    """GET: the plans sold today."""

    endpoint = "plans"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        return json_answer(PlanList("list", [_plan(name) for name in CURRENT]))


def _plan(name: str) -> Plan:
    plan = current(name)
    prices = {
        currency: PlanPrice(
            str(rounded(price.monthly, currency)),
            [TierPrice(bound, plain(each)) for bound, each in price.overage],
        )
        for currency, price in plan.prices.items()
    }
    return Plan("plan", plan.code, plan.name, plan.included, plan.rate_per_minute, list(plan.features), prices)


TAG = "Billing"
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/plans",
        "listPlans",
        "List the plans",
        "What is sold today, with the prices of every currency.",
        Answer(PlanList, "The plans, the smallest first."),
    ),
)
