"""Credits and coupons: granting, redeeming, and what of them may be taken off a month's invoice."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.billing.models import Coupon, CouponRedemption, Credit
from apps.billing.rating.money import rounded, shown, wrong_with
from apps.billing.rating.pricing import Offer
from apps.billing.subscriptions import test_clock
from apps.billing.subscriptions.services import subscription_of
from apps.formats import percent_text
from apps.periods import Period


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
    if wrong := wrong_with(amount, currency):
        raise ValueError(wrong)
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


def redeem(*, tenant: Tenant, code: str, currency: str, now: datetime, actor: str = "command") -> CouponRedemption:
    """A coupon holds for a tenant from this month on. The same again is harmless. Raises `NotRedeemable`."""
    coupon = Coupon.objects.filter(code__iexact=code.strip()).first()
    if coupon is None:
        raise NotRedeemable("There is no such coupon.")
    before = CouponRedemption.objects.filter(tenant=tenant, coupon=coupon).first()
    if before is not None:
        return before
    _check(coupon, currency, now)
    made, new = CouponRedemption.objects.get_or_create(tenant=tenant, coupon=coupon, defaults={"redeemed_at": now})
    if new:
        record_audit(tenant=tenant, actor=actor, action="coupon.redeemed", target=coupon.code, now=now)
    return made


def redeem_coupon(*, tenant_id: int, code: str, now: datetime, actor: str) -> CouponRedemption:
    """Redeem a coupon for a tenant. `now` is real time; a test clock's is looked up. Raises `NotRedeemable`."""
    tenant, currency = Tenant.objects.get(pk=tenant_id), subscription_of(tenant_id).currency
    clock_now = test_clock.now_for(tenant_id, now)
    return redeem(tenant=tenant, code=code, currency=currency, now=clock_now, actor=actor)


def redeemed(tenant_id: int) -> list[CouponRedemption]:
    """The coupons of a tenant, the newest first."""
    rows = CouponRedemption.objects.filter(tenant_id=tenant_id).select_related("coupon")
    return list(rows.order_by("-redeemed_at", "-pk"))


def months_of(redemption: CouponRedemption) -> tuple[Period, Period | None]:
    """The first and the last month a redeemed coupon holds for; None: all that follow."""
    first, months = Period.of(redemption.redeemed_at), redemption.coupon.months
    return first, None if months is None else first.later(months - 1)


def offers(monthly: Mapping[int, tuple[str, str]], now: datetime) -> dict[int, list[Offer]]:
    """What may be taken off tenants' invoices: coupons first, then credits by the day they expire (locked).

    `monthly`: tenant → (currency, month) of its invoice.
    """
    found: dict[int, list[Offer]] = {}
    for redemption in CouponRedemption.objects.filter(tenant_id__in=monthly).select_related("coupon").order_by("pk"):
        currency, month = monthly[redemption.tenant_id]
        if _holds(redemption, Period.parse(month), currency):
            found.setdefault(redemption.tenant_id, []).append(_coupon(redemption.coupon, currency))
    for credit in _usable(monthly, now):
        if credit.currency == monthly[credit.tenant_id][0]:
            found.setdefault(credit.tenant_id, []).append(_credit(credit))
    return found


def _usable(tenant_ids: Iterable[int], now: datetime) -> list[Credit]:
    """By the day they expire. They are locked in one order, so that nobody waits in a circle."""
    rows = Credit.objects.select_for_update().filter(
        Q(expires_at=None) | Q(expires_at__gt=now), tenant_id__in=list(tenant_ids), remaining__gt=0
    )
    return sorted(rows.order_by("pk"), key=lambda one: (one.expires_at is None, one.expires_at or now, one.pk))


def _credit(credit: Credit) -> Offer:
    remaining = rounded(credit.remaining, credit.currency)
    return Offer("credit", str(credit.pk), f"Credit: {credit.reason}", amount=remaining)


def _check(coupon: Coupon, currency: str, now: datetime) -> None:
    if coupon.redeem_by is not None and coupon.redeem_by < now:
        raise NotRedeemable(f"The coupon could be redeemed until {coupon.redeem_by:%Y-%m-%d %H:%M} UTC.")
    if coupon.amount is not None and coupon.currency != currency:
        raise NotRedeemable(f"The coupon is for accounts in {coupon.currency}; this one is in {currency}.")


def _holds(redemption: CouponRedemption, month: Period, currency: str) -> bool:
    (first, last), coupon = months_of(redemption), redemption.coupon
    return first <= month and (last is None or month <= last) and (coupon.amount is None or coupon.currency == currency)


def _coupon(coupon: Coupon, currency: str) -> Offer:
    what = f"{percent_text(coupon.percent)} off" if coupon.percent else shown(coupon.amount or Decimal(0), currency)
    return Offer("coupon", coupon.code, f"Coupon {coupon.code}: {what}", percent=coupon.percent, amount=coupon.amount)
