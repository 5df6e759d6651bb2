"""The door of `/v1/budgets`: the spend cap, and when a tenant is told how far its month has come."""

from datetime import UTC
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api_keys.services import invalidate_pending
from apps.billing.rating.money import rounded
from apps.billing.subscriptions.services import NotPossible, set_spend_cap, subscription_of
from apps.decoding import decode
from apps.errors import Problem
from apps.periods import Period
from apps.usage.metering.events import moment
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
    list[Annotated[int, Meta(ge=1, le=100)]],
    Meta(max_length=budgets.MOST_THRESHOLDS, description="Percentages to be told of; empty: none."),
]


class BudgetChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays."""

    spend_cap: Cap | UnsetType | None = UNSET
    thresholds: Thresholds | UnsetType = UNSET


class BudgetView(ApiView):
    """GET, POST (change)."""

    endpoint = "budgets"
    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def get(self, request: HttpRequest) -> HttpResponse:
        return json_answer(self._told(self.admit_only(request).tenant_id))

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = decode(self.read_body(request), BudgetChange)
        except Problem as wrong:
            self.refuse(request, wrong)
        admission = self.admit_live(request)
        self._change(admission.tenant_id, asked, f"key:{admission.key_id}")
        return json_answer(self._told(admission.tenant_id))

    @transaction.atomic
    def _set(self, tenant_id: int, asked: BudgetChange, actor: str) -> None:
        now = moment(self.received_us)
        if asked.spend_cap is not UNSET:
            cap = None if asked.spend_cap is None else Decimal(asked.spend_cap)
            set_spend_cap(tenant_id=tenant_id, cap=cap, now=now, actor=actor)
        if asked.thresholds is not UNSET:
            tenant = Tenant.objects.get(pk=tenant_id)
            budgets.set_thresholds(tenant=tenant, thresholds=list(asked.thresholds), now=now, actor=actor)

    def _change(self, tenant_id: int, asked: BudgetChange, actor: str) -> None:
        """Both or neither; the gate knows of a new cap before the answer is given."""
        try:
            self._set(tenant_id, asked, actor)
        except NotPossible as wrong:
            raise Problem("field_invalid", str(wrong), "spend_cap") from wrong
        invalidate_pending(self.admissions.gate)

    def _told(self, tenant_id: int) -> dict[str, Any]:
        period = Period.of(moment(self.received_us))
        month, subscription = reads.statement_of(tenant_id, period), subscription_of(tenant_id)
        cap = subscription.spend_cap
        states = budgets.budget_states(month, cap) if month else ()
        return {
            "object": "budget",
            "period": str(period),
            "currency": subscription.currency,
            "spend_cap": None if cap is None else str(rounded(cap, subscription.currency)),
            "thresholds": budgets.thresholds_of([tenant_id])[tenant_id],
            "standings": [
                {"budget": one.budget, "used": str(one.used), "limit": str(one.limit), "unit": one.unit}
                for one in states
            ],
            "alerts": [
                one | {"reached_at": one["reached_at"].astimezone(UTC).isoformat().replace("+00:00", "Z")}
                for one in budgets.told(tenant_id, period)
            ],
        }
