"""The door of `/v1/credits`: what is taken off the next invoices, and redeeming a coupon."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, Money
from apps.api.operation import REQUEST_ID, WITH_A_BODY, Answer, Body, Operation, operation
from apps.billing import models
from apps.billing.invoicing import credits
from apps.billing.rating.money import rounded
from apps.errors import Problem
from apps.formats import plain
from apps.periods import Month
from apps.times import rfc3339, rfc3339_or_none

Code = Annotated[
    str,
    Meta(
        pattern="^[ -~]{1,60}$",
        description="As it was given to you; upper or lower case.",
        extra={"needs": "a code of 1 to 60 letters, digits and signs"},
    ),
]


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


class CreditsView(ApiView):
    """GET: credits and coupons. POST: redeem a coupon."""

    endpoint = "credits"
    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        return json_answer(_all(tenant_id) if self.key.livemode else CreditList("list", [], []))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.decoded(request, CouponRequest)
        admission = self.admit_live(request)
        try:
            redeemed = credits.redeem_coupon(
                tenant_id=admission.tenant_id, code=asked.coupon, now=self.now, actor=admission.actor
            )
        except credits.NotRedeemable as refused:
            raise Problem("field_invalid", str(refused), "coupon") from refused
        return json_answer(_coupon(redeemed))


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
        granted_at=rfc3339(row.granted_at),
        expires_at=rfc3339_or_none(row.expires_at),
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
        redeemed_at=rfc3339(redemption.redeemed_at),
        first_month=str(first),
        last_month=None if last is None else str(last),
    )


TAG = "Billing"
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/credits",
        "listCredits",
        "List credits",
        "What was granted, and what of it is left for the next invoices; the coupons that were redeemed. A test key "
        "sees none.",
        Answer(CreditList, "All credits and coupons, newest first."),
    ),
    Operation(
        "POST",
        "/v1/credits",
        "redeemCoupon",
        TAG,
        "Redeem a coupon",
        "It holds from this month's invoice on, for as many months as it says. Redeeming it again changes nothing. "
        "Scope: `admin`, with a live key.",
        Answer(RedeemedCoupon, "The coupon."),
        scope="admin",
        parameters=(REQUEST_ID,),
        body=Body(CouponRequest),
        problems=(*WITH_A_BODY, "live_key_required", "field_invalid"),
    ),
)
