"""The door of `/v1/credits`: what is taken off the next invoices, and redeeming a coupon."""

from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.api.billing import BillingView, Moment, Money, told
from apps.billing import models
from apps.billing.invoicing import credits
from apps.billing.rating.money import rounded
from apps.billing.rating.quotes import plain
from apps.billing.subscriptions import test_clock
from apps.billing.subscriptions.services import subscription_of
from apps.decoding import decode
from apps.errors import Problem

Code = Annotated[
    str,
    Meta(
        pattern="^[ -~]{1,60}$",
        description="As it was given to you; upper or lower case.",
        extra={"needs": "a code of 1 to 60 letters, digits and signs"},
    ),
]
Month = Annotated[str, Meta(description="Such as 2026-11.", pattern="^[0-9]{4}-[0-9]{2}$")]


class CouponRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The coupon to redeem."""

    coupon: Code


class RedeemedCoupon(msgspec.Struct, frozen=True):
    """A coupon that was redeemed: a percentage of each invoice, or an amount, for some months."""

    object: Literal["coupon"]
    code: str
    description: str
    percent: Annotated[str | None, Meta(description="Of the subtotal, such as 12.5.")]
    amount: Money | None
    currency: Annotated[str | None, Meta(description="Of the amount.")]
    redeemed_at: Moment
    first_month: Month
    last_month: Annotated[Month | None, Meta(description="null: all that follow.")]


class Credit(msgspec.Struct, frozen=True):
    """A credit: the next invoices take from `remaining`."""

    id: str
    object: Literal["credit"]
    reason: str
    currency: str
    amount: Money
    remaining: Money
    granted_at: Moment
    expires_at: Moment | None


class CreditList(msgspec.Struct, frozen=True):
    """All credits ever granted and all coupons ever redeemed, newest first."""

    object: Literal["list"]
    data: list[Credit]
    coupons: list[RedeemedCoupon]


class CreditsView(BillingView):
    """GET: credits and coupons. POST: redeem a coupon."""

    endpoint = "credits"

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        return self.answered(lambda: _all(tenant_id) if self.key.livemode else CreditList("list", [], []))

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = decode(self.read_body(request), CouponRequest)
        except Problem as wrong:
            self.refuse(request, wrong)
        admission = self.admit_live(request)
        return self.answered(lambda: self._redeem(admission.tenant_id, asked.coupon, f"key:{admission.key_id}"))

    def _redeem(self, tenant_id: int, code: str, actor: str) -> RedeemedCoupon:
        tenant, currency = Tenant.objects.get(pk=tenant_id), subscription_of(tenant_id).currency
        now = test_clock.now_for(tenant_id, self.now)
        try:
            made = credits.redeem(tenant=tenant, code=code, currency=currency, now=now, actor=actor)
        except credits.NotRedeemable as refused:
            raise Problem("field_invalid", str(refused), "coupon") from refused
        return _coupon(made)


def _all(tenant_id: int) -> CreditList:
    granted = models.Credit.objects.filter(tenant_id=tenant_id)
    return CreditList("list", [_credit(row) for row in granted], [_coupon(one) for one in credits.redeemed(tenant_id)])


def _credit(row: models.Credit) -> Credit:
    return Credit(
        id=row.public_id,
        object="credit",
        reason=row.reason,
        currency=row.currency,
        amount=str(rounded(row.amount, row.currency)),
        remaining=str(rounded(row.remaining, row.currency)),
        granted_at=told(row.granted_at),
        expires_at=told(row.expires_at) if row.expires_at else None,
    )


def _coupon(redemption: models.CouponRedemption) -> RedeemedCoupon:
    coupon, (first, last) = redemption.coupon, credits.months_of(redemption)
    return RedeemedCoupon(
        object="coupon",
        code=coupon.code,
        description=coupon.description,
        percent=None if coupon.percent is None else plain(coupon.percent),
        amount=None if coupon.amount is None else str(rounded(coupon.amount, coupon.currency)),
        currency=coupon.currency if coupon.amount is not None else None,
        redeemed_at=told(redemption.redeemed_at),
        first_month=str(first),
        last_month=None if last is None else str(last),
    )
