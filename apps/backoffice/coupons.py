"""The operators' page of coupons."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import RegexValidator
from django.db.models import Model
from django.http import HttpRequest

from apps.backoffice.base import OperatorAdmin
from apps.billing.models import Coupon, CouponRedemption
from apps.billing.rating.money import decimals_of, rounded

#: What people can type and read out: codes are redeemed over the API, in upper or lower case.
_CODE = RegexValidator(r"^[A-Za-z0-9_-]+\Z", "Letters, digits, - and _.")


class CouponForm(forms.ModelForm):
    """A percentage, or an amount of one currency; what can't be is told at its field."""

    code = forms.CharField(max_length=40, validators=[_CODE], help_text="Upper and lower case are the same.")
    percent = forms.DecimalField(
        required=False, min_value=Decimal("0.01"), max_value=100, max_digits=5, decimal_places=2
    )
    amount = forms.DecimalField(required=False, min_value=Decimal("0.001"), max_digits=20, decimal_places=3)
    months = forms.IntegerField(required=False, min_value=1, max_value=1_200, help_text="Empty: all invoices.")

    class Meta:
        model = Coupon
        fields = ("code", "description", "percent", "amount", "currency", "redeem_by", "months")

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"]).upper()
        if Coupon.objects.filter(code__iexact=code).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is such a coupon.")
        return code

    def clean(self) -> dict[str, Any] | None:
        value = super().clean() or self.cleaned_data
        if not self.errors and "percent" in self.fields:
            for field, wrong in _wrong(value["percent"], value["amount"], value["currency"]):
                self.add_error(field, wrong)
        return value


def _wrong(percent: Decimal | None, amount: Decimal | None, currency: str) -> list[tuple[str, str]]:
    if (percent is None) == (amount is None):
        return [("percent", "Either a percentage or an amount.")]
    if amount is None:
        return [("currency", "A percentage has none.")] if currency else []
    if not currency:
        return [("currency", "The amount's.")]
    if amount != rounded(amount, currency):
        return [("amount", decimals_of(currency))]
    return []


@admin.register(Coupon)
class CouponAdmin(OperatorAdmin):
    """Discounts to redeem. One that was redeemed is what it is."""

    audited = "coupon"
    form = CouponForm
    list_display = ("code", "percent", "amount", "currency", "months", "redeem_by")
    search_fields = ("code",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        redeemed = obj is not None and CouponRedemption.objects.filter(coupon_id=obj.pk).exists()
        return ("code", "percent", "amount", "currency", "months") if redeemed else ()
