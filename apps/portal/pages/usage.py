"""Usage and cost: the month so far, its days, what it will come to, and the bounds set on it."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.api_keys.models import ApiKey
from apps.billing.subscriptions.services import NotPossible, subscription_of
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.usage.statements import budgets, reports

DAYS = 30


class BudgetForm(forms.Form):
    """The spend cap, and at which percentages people are told."""

    spend_cap = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=12,
        label="Spend cap a month",
        help_text="Scoring stops there. Empty: no cap.",
    )
    thresholds = forms.CharField(
        label="Tell us at", help_text="Percentages of the included volume and of the cap, such as 50, 80, 100."
    )

    def clean_thresholds(self) -> list[int]:
        said = self.cleaned_data["thresholds"].replace("%", " ").replace(",", " ").split()
        if not all(one.isdecimal() and len(one) < 5 and 1 <= int(one) <= 1_000 for one in said) or not said:
            raise forms.ValidationError("Whole percentages from 1 to 1,000, separated by commas.")
        return sorted({int(one) for one in said})


class UsagePage(Page):
    """The month so far."""

    title, template = "Usage and cost", "portal/pages/usage.html"
    changes = Permission.BILLING

    def context(self, **kwargs: Any) -> dict[str, Any]:
        first = self.now.date() - timedelta(days=DAYS - 1)
        daily = reports.daily(self.tenant.pk, first, self.now.date() + timedelta(days=1))
        units = {str(day.date): day.units for day in daily}
        names = dict(ApiKey.objects.filter(tenant=self.tenant).values_list("pk", "name"))
        month = reports.month(self.tenant.pk, self.now)
        days = [str(first + timedelta(days=n)) for n in range(DAYS)]
        return {
            "usage": month,
            "keys": [(names.get(row.key_id, f"key {row.key_id}"), row) for row in month.by_key],
            "daily": list(reversed(daily)),
            "chart": {"first": days[0], "values": [units.get(day, 0) for day in days]},
            "used_percent": min(100, round(100 * month.used / month.included)) if month.included else 100,
            "subscription": subscription_of(self.tenant.pk),
            "form": self._form(),
        }

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
                messages.success(request, "The budget is changed; it holds from the next call on.")
                return redirect("usage")
        return self.page(**self.context() | {"form": form}, status=422)

    def _form(self) -> BudgetForm:
        thresholds = budgets.thresholds_of([self.tenant.pk])[self.tenant.pk]
        cap = subscription_of(self.tenant.pk).spend_cap
        return BudgetForm(initial={"spend_cap": cap, "thresholds": ", ".join(map(str, thresholds))})
