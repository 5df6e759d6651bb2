"""Credits and coupons: granting, redeeming, and what of them may be taken off a month's invoice."""

from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from apps.accounts.models import Tenant
from apps.accounts.services import record_audit
from apps.billing.models import Coupon, CouponRedemption, Credit
from apps.billing.money import rounded, shown
from apps.billing.periods import Period
from apps.billing.pricing import Offer


class NotRedeemable(ValueError):
    """The coupon can't be redeemed: the message says why."""


def grant(
    tenant: Tenant,
    amount: Decimal,
    currency: str,
    *,
    reason: str,
    key: str,
    now: datetime,
    expires_at: datetime | None = None,
    actor: str = "command",
) -> Credit:
    """A credit the next invoices take from. The same `key` again is the same credit: repeating is harmless."""
    if amount <= 0 or amount != rounded(amount, currency):
        raise ValueError(f"{amount} {currency} can't be granted")
    credit, new = Credit.objects.get_or_create(
        tenant=tenant,
        key=key,
        defaults={
            "currency": currency,
            "amount": amount,
            "remaining": amount,
            "reason": reason,
            "granted_at": now,
            "expires_at": expires_at,
        },
    )
    if new:
        after = {"amount": str(amount), "currency": currency, "reason": reason}
        record_audit(tenant=tenant, actor=actor, action="credit.granted", target=key[:200], after=after, now=now)
    return credit


def redeem(*, tenant: Tenant, code: str, currency: str, now: datetime, actor: str = "command") -> Coupon:
    """A coupon holds for a tenant from this month on. The same again is harmless. Raises `NotRedeemable`."""
    coupon = Coupon.objects.filter(code__iexact=code.strip()).first()
    if coupon is None or (coupon.redeem_by is not None and coupon.redeem_by < now):
        raise NotRedeemable("There is no such coupon, or its time is over.")
    if coupon.amount is not None and coupon.currency != currency:
        raise NotRedeemable(f"The coupon is for accounts in {coupon.currency}.")
    _, new = CouponRedemption.objects.get_or_create(tenant=tenant, coupon=coupon, defaults={"redeemed_at": now})
    if new:
        record_audit(tenant=tenant, actor=actor, action="coupon.redeemed", target=coupon.code, now=now)
    return coupon


def offers(tenant_id: int, currency: str, period: str, now: datetime) -> list[Offer]:
    """What may be taken off the invoice of a month: coupons first, then credits by the day they expire (locked)."""
    month = Period.parse(period)
    redeemed = CouponRedemption.objects.filter(tenant_id=tenant_id).select_related("coupon").order_by("pk")
    found = [_coupon(one.coupon, currency) for one in redeemed if _holds(one, month, currency)]
    rows = Credit.objects.select_for_update().filter(
        Q(expires_at=None) | Q(expires_at__gt=now), tenant_id=tenant_id, currency=currency, remaining__gt=0
    )
    ordered = sorted(rows, key=lambda one: (one.expires_at is None, one.expires_at or now, one.pk))
    return found + [
        Offer("credit", str(one.pk), f"Credit: {one.reason}", amount=rounded(one.remaining, currency))
        for one in ordered
    ]


def _holds(redemption: CouponRedemption, month: Period, currency: str) -> bool:
    first, coupon = Period.of(redemption.redeemed_at), redemption.coupon
    last = None if coupon.months is None else first.later(coupon.months - 1)
    return first <= month and (last is None or month <= last) and (coupon.amount is None or coupon.currency == currency)


def _coupon(coupon: Coupon, currency: str) -> Offer:
    what = f"{coupon.percent.normalize():f} % off" if coupon.percent else shown(coupon.amount or Decimal(0), currency)
    return Offer("coupon", coupon.code, f"Coupon {coupon.code}: {what}", percent=coupon.percent, amount=coupon.amount)
