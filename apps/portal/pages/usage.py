"""Usage and cost: the month so far, its days, what it will come to, and the bounds set on it."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.api_keys.models import ApiKey
from apps.api_keys.services import get_gate, invalidate_pending
from apps.billing.rating.money import rounded
from apps.billing.subscriptions.services import NotPossible, subscription_of
from apps.periods import Period
from apps.portal.kinds import KINDS
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.usage.statements import budgets, reads, reports

DAYS = 30


class Used(NamedTuple):
    """Usage of a named thing: a key, an endpoint, a kind of transaction."""

    name: str
    usage: reports.KeyUsage | reports.EndpointUsage | reports.SchemaUsage


class Cap(NamedTuple):
    """What the page says of the spend cap. `passed`: more is spent already; without `counts` calls stop before it."""

    effect: str
    passed: bool
    counts: bool


def _by(name: str, label: str) -> Table:
    """This month by something, the most used first."""
    return Table(
        name=name,
        title=f"By {label.lower()}",
        row="portal/rows/used.html",
        columns=(
            Column(name, label, lambda one: one.name, ("name",)),
            Column("decisions", "Decisions", lambda one: one.usage.decisions, ("decisions",), number=True),
            Column("units", "Units", lambda one: one.usage.units, ("units",), number=True),
            Column("cost", "Share of overage", lambda one: Decimal(one.usage.cost), ("cost",), number=True),
        ),
        limit=10,
    )


BY_KEY, BY_ENDPOINT, BY_KIND = _by("key", "Key"), _by("endpoint", "Endpoint"), _by("kind", "Kind of transaction")
BY_DAY = Table(
    name="day",
    title="By day",
    row="portal/rows/usage_day.html",
    columns=(
        Column("date", "Day", lambda one: one.date, ("date",)),
        Column("decisions", "Decisions", lambda one: one.decisions, ("decisions",), number=True),
        Column("units", "Units", lambda one: one.units, ("units",), number=True),
        Column("degraded", "Not billed, degraded", lambda one: one.degraded, ("degraded",), number=True),
        Column("cost", "Cost", lambda one: Decimal(one.cost), ("cost",), number=True),
    ),
    limit=10,
)
TABLES = (BY_KEY, BY_ENDPOINT, BY_KIND, BY_DAY)
NOTHING = Empty("No live calls yet", "Calls with live keys are counted here within a second.")


class BudgetForm(forms.Form):
    """The spend cap, and at which percentages people are told."""

    spend_cap = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=12,
        label="Spend cap a month",
        help_text="Counts the plan's fee and every decision beyond the included ones, before credits and tax. What the "
        "fee has paid for is never refused. Empty: no cap.",
    )
    thresholds = forms.CharField(
        label="Tell us at", help_text="Percentages of the included volume and of the cap, such as 50, 80, 100."
    )

    def clean_thresholds(self) -> list[int]:
        said = self.cleaned_data["thresholds"].replace("%", " ").replace(",", " ").split()
        least, most = budgets.LEAST_PERCENT, budgets.MOST_PERCENT
        if not all(one.isdecimal() and len(one) < 5 and least <= int(one) <= most for one in said) or not said:
            raise forms.ValidationError(f"Whole percentages from {least} to {most}, separated by commas.")
        percentages = sorted({int(one) for one in said})
        if len(percentages) > budgets.MOST_THRESHOLDS:
            raise forms.ValidationError(f"At most {budgets.MOST_THRESHOLDS} percentages.")
        return percentages


class CheapestPlan(Page):
    """The part of the page that compares past months on every plan: asked for when the rest is there."""

    template = "portal/parts/cheapest_plan.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"cheapest": reports.cheapest_plan(self.tenant.pk, self.now)}


class UsagePage(Page):
    """The month so far."""

    title, template = "Usage and cost", "portal/pages/usage.html"
    bills = True
    changes = Permission.BILLING

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        for table in TABLES:
            if table.exports(request):
                return self.exported(table, self._rows(table), f"usage-by-{table.name}")
        return super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        days = [self.now.date() - timedelta(days=back) for back in reversed(range(DAYS))]
        units = {day.date: day.units for day in self._daily}
        month = self._month
        line = {"label": "units", "values": [units.get(str(day), 0) for day in days], "look": ""}
        midnight = datetime.combine(days[0], time.min, UTC)
        return {
            "usage": month,
            "tables": [(table.title, table.show(self.request, self._rows(table), NOTHING)) for table in TABLES],
            "chart": {"start": int(midnight.timestamp()), "step": 86_400, "lines": [line]},
            "used_percent": min(100, round(100 * month.used / month.included)) if month.included else 100,
            "subscription": subscription_of(self.tenant.pk),
            "cap": self._cap(),
            "form": self._form(),
        }

    def _rows(self, table: Table) -> list[Any]:
        """What a table shows."""
        if table is BY_DAY:
            return list(reversed(self._daily))
        if table is BY_KEY:
            names = dict(ApiKey.objects.filter(tenant=self.tenant).values_list("pk", "name"))
            return [Used(names.get(row.key_id, f"key {row.key_id}"), row) for row in self._month.by_key]
        if table is BY_ENDPOINT:
            return [Used(row.endpoint, row) for row in self._month.by_endpoint]
        kinds = reports.by_schema(self.tenant.pk, self.now)
        return [Used(KINDS.get(row.schema, row.schema), row) for row in kinds]

    @cached_property
    def _month(self) -> reports.Usage:
        return reports.month_alone(self.tenant.pk, self.now)

    @cached_property
    def _daily(self) -> list[reports.UsageDay]:
        first = self.now.date() - timedelta(days=DAYS - 1)
        return reports.daily(self.tenant.pk, first, self.now.date() + timedelta(days=1))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = BudgetForm(request.POST)
        if form.is_valid():
            try:
                budgets.change_budget(
                    tenant_id=self.tenant.pk,
                    spend_cap=form.cleaned_data["spend_cap"],
                    thresholds=form.cleaned_data["thresholds"],
                    now=self.now,
                    actor=self.actor,
                )
            except NotPossible as wrong:
                form.add_error("spend_cap", str(wrong))
            else:
                invalidate_pending(get_gate())  # the gate knows of a new cap before the page is read
                messages.success(request, "The budget is changed; it applies from the next call.")
                return redirect("usage")
        return self.page(**self.context() | {"form": form}, status=422)

    def _cap(self) -> Cap:
        subscription, period = subscription_of(self.tenant.pk), Period.of(self.now)
        cap, month = subscription.spend_cap, reads.statement_of(self.tenant.pk, period)
        passed = cap is not None and month is not None and month.cost() > cap
        return Cap(budgets.cap_effect(month, cap) if month else "", passed, subscription.has_payment_method)

    def _form(self) -> BudgetForm:
        subscription = subscription_of(self.tenant.pk)
        thresholds = budgets.thresholds_of([self.tenant.pk])[self.tenant.pk]
        cap = None if subscription.spend_cap is None else rounded(subscription.spend_cap, subscription.currency)
        return BudgetForm(initial={"spend_cap": cap, "thresholds": ", ".join(map(str, thresholds))})
