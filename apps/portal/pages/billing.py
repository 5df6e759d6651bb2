"""Billing details: who invoices are made out to, where they are sent, the tax number on them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.billing import tax_ids
from apps.billing.collecting import customer_tax_ids
from apps.billing.subscriptions.services import BillingDetails, set_billing_details, subscription_of
from apps.countries import COUNTRIES
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.text import refusal

#: Lines of an address on an invoice.
MOST_LINES = 6


class BillingForm(forms.Form):
    """What stands on invoices."""

    name = forms.CharField(max_length=200, required=False, label="Legal name")
    address = forms.CharField(
        max_length=500,
        required=False,
        label="Address",
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "street-address"}),
        help_text="Street, postcode and town, as on a letter. The country is printed below it.",
    )
    country = forms.ChoiceField(
        required=False, label="Country", choices=[("", "Not said"), *sorted(COUNTRIES.items(), key=lambda one: one[1])]
    )
    tax_id = forms.CharField(
        max_length=40,
        required=False,
        label="Tax number",
        help_text="VAT, GST, ABN or EIN: with its country's letters where it has some, such as DE136695976.",
    )
    email = forms.EmailField(
        max_length=254,
        required=False,
        label="E-mail for invoices",
        help_text="Beside the owners and admins, who get them too.",
    )

    def clean_name(self) -> str:
        name = " ".join(self.cleaned_data["name"].split())
        if name and (wrong := refusal(name)):
            raise forms.ValidationError(f"The name {wrong}.")
        return name

    def clean_address(self) -> str:
        lines = [line.strip() for line in self.cleaned_data["address"].splitlines() if line.strip()]
        if len(lines) > MOST_LINES:
            raise forms.ValidationError(f"At most {MOST_LINES} lines.")
        for line in lines:
            if wrong := refusal(line):
                raise forms.ValidationError(f"“{line}” {wrong}.")
        return "\n".join(lines)

    def clean(self) -> dict[str, Any]:
        """The tax number as its country writes it."""
        said = super().clean() or self.cleaned_data
        if "country" in said and "tax_id" in said:
            try:
                said["tax_id"] = tax_ids.tidy(said["tax_id"], said["country"])
            except ValueError as wrong:
                self.add_error("tax_id", str(wrong))
        return said


class BillingPage(Page):
    """The details, and what the next invoice will say."""

    title, template = "Billing details", "portal/pages/billing.html"
    permission, changes, bills = Permission.INVOICES, Permission.BILLING, True

    def context(self, **kwargs: Any) -> dict[str, Any]:
        subscription = subscription_of(self.tenant.pk)
        details = BillingDetails.of(subscription)
        return {
            "form": BillingForm(initial=details._asdict()),
            "details": details,
            "name": details.name or self.tenant.name,
            "country": COUNTRIES.get(details.country, ""),
            "subscription": subscription,
            "tax_id_said": customer_tax_ids.SAID.get(subscription.tax_id_state, ""),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        form = BillingForm(request.POST)
        if not form.is_valid():
            return self.page(**self.context() | {"form": form}, status=422)
        details = BillingDetails(**form.cleaned_data)
        set_billing_details(tenant_id=self.tenant.pk, details=details, now=self.now, actor=self.actor)
        messages.success(request, "The billing details are saved and appear on every invoice from now on.")
        return redirect("billing")
