"""The door of `/v1/budgets`: the spend cap, and the thresholds at which a tenant is notified."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import times
from apps.api.endpoint import ApiView, json_answer
from apps.api.openapi import examples
from apps.api.operation import REQUEST_ID, WITH_A_BODY, Answer, Body, Operation
from apps.api_keys.services import invalidate_pending
from apps.billing.rating.money import rounded
from apps.billing.subscriptions.services import NotPossible, subscription_of
from apps.errors import Problem
from apps.periods import Month, Period
from apps.usage.statements import budgets, reads

Cap = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$",
        description="The most a month may come to, before credits and tax; null: no cap.",
        extra={"needs": 'a decimal string such as "31.00", with at most 12 digits before the point and 3 after it'},
    ),
]
Thresholds = Annotated[
    list[Annotated[int, Meta(ge=budgets.LEAST_PERCENT, le=budgets.MOST_PERCENT)]],
    Meta(max_length=budgets.MOST_THRESHOLDS, description="Percentages to be told of; empty: none."),
]


class BudgetChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays."""

    spend_cap: Cap | UnsetType | None = UNSET
    thresholds: Thresholds | UnsetType = UNSET


class BudgetStanding(msgspec.Struct, frozen=True):
    """How much of a limit is used."""

    budget: Literal["included", "spend_cap"]
    used: Annotated[str, Meta(description="Units, or money.")]
    limit: str
    unit: Annotated[str, Meta(description="`units`, or the currency.")]


class BudgetAlert(msgspec.Struct, frozen=True):
    """A threshold that was reached, with its notification."""

    budget: Literal["included", "spend_cap"]
    threshold: Annotated[int, Meta(description="Percent.")]
    reached_at: Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]


class Budget(msgspec.Struct, frozen=True):
    """The spend cap, and the thresholds at which you are notified."""

    object: Literal["budget"]
    period: Month
    currency: str
    spend_cap: Annotated[str | None, Meta(description="The most a month may come to; null: no cap.")]
    spend_cap_effect: Annotated[
        str | None, Meta(description="What the cap does to the rest of this month, in a sentence; null: no cap.")
    ]
    thresholds: Annotated[list[int], Meta(description="Percentages of each of the two.")]
    standings: list[BudgetStanding]
    alerts: Annotated[list[BudgetAlert], Meta(description="Those of this month.")]


class BudgetView(ApiView):
    """GET, POST (change)."""

    endpoint = "budgets"
    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return json_answer(self._budget(self.admit_only(request).tenant_id))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.decoded(request, BudgetChange)
        admission = self.admit_live(request)
        cap = Decimal(asked.spend_cap) if isinstance(asked.spend_cap, str) else asked.spend_cap
        try:
            budgets.change_budget(
                tenant_id=admission.tenant_id,
                spend_cap=cap,
                thresholds=asked.thresholds,
                now=self.now,
                actor=admission.actor,
            )
        except NotPossible as wrong:
            raise Problem("field_invalid", str(wrong), "spend_cap") from wrong
        invalidate_pending(self.admissions.gate)  # the gate knows of a new cap before the answer is given
        return json_answer(self._budget(admission.tenant_id))

    def _budget(self, tenant_id: int) -> Budget:
        period = Period.of(self.now)
        month, subscription = reads.statement_of(tenant_id, period), subscription_of(tenant_id)
        cap = subscription.spend_cap
        states = budgets.budget_states(month, cap) if month else ()
        return Budget(
            object="budget",
            period=str(period),
            currency=subscription.currency,
            spend_cap=None if cap is None else str(rounded(cap, subscription.currency)),
            spend_cap_effect=(budgets.cap_effect(month, cap) if month else "") or None,
            thresholds=list(budgets.thresholds_of([tenant_id])[tenant_id]),
            standings=[BudgetStanding(state.budget, str(state.used), str(state.limit), state.unit) for state in states],
            alerts=[
                BudgetAlert(alert.budget, alert.threshold, times.rfc3339(alert.reached_at))
                for alert in budgets.alerts_of(tenant_id, period)
            ],
        )


TAG = "Usage"
OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET",
        "/v1/budgets",
        "getBudget",
        TAG,
        "Read the budget",
        "The spend cap, the thresholds, how far the month has come and which of them were told. Scope: `read`.",
        Answer(Budget, "The budget of this month."),
        scope="read",
        parameters=(REQUEST_ID,),
    ),
    Operation(
        "POST",
        "/v1/budgets",
        "changeBudget",
        TAG,
        "Change the budget",
        "`spend_cap` is exact and holds from the next request on: no call beyond it is answered. It counts the plan's "
        "fee and overage, before credits and tax; what the fee has paid for is never refused. One below what is spent "
        "already is kept: `spend_cap_effect` says what then follows. At each of `thresholds` "
        "(80 and 100 unless you choose your own) of the included volume and of the cap you are told once a month, by "
        "e-mail and by the webhook `budget.reached`. What is left out stays. Scope: `admin`, with a live key.",
        Answer(Budget, "The budget as it is now."),
        scope="admin",
        parameters=(REQUEST_ID,),
        body=Body(BudgetChange, examples.BUDGET),
        problems=(*WITH_A_BODY, "field_invalid", "live_key_required"),
    ),
)
