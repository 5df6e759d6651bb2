"""Subscription services: signing up, plan changes, trials, spend caps, and what follows of them for the gate.

Every change locks the tenant's row, is audited where a person made it, and is told to whoever listens (`changes`).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery

from apps import times
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.services import create_tenant
from apps.billing.models import PlanSpan, Subscription
from apps.billing.notifications import notify_customer
from apps.billing.rating.money import EXPONENTS, rounded
from apps.billing.rating.plans import DEFAULT_CURRENCY, LIMITED_UNITS, PLANS, Plan, current
from apps.billing.rating.pricing import included_units, most_units
from apps.billing.subscriptions import signals, test_clock, timeline
from apps.one_look import asked_once
from apps.periods import Period

#: How long an allowance holds after a plan changed under a cap: units of the time before are still being recorded.
SETTLING = timedelta(minutes=10)
SETTLING_LIFE = timedelta(seconds=20)
#: So long before its end a trial is announced to be over.
TRIAL_NOTICE = timedelta(days=3)
#: Days.
LONGEST_TRIAL = 90
#: How long the allowance of a tenant on a billing clock holds, in our time.
CLOCK_LIFE = timedelta(minutes=1)

Status = Subscription.Status
#: Statuses that cap usage at the free volume.
UNPAID = (Status.LIMITED, Status.CANCELLED)
#: Columns of what was agreed with a tenant instead of its plan's limits.
OWN_LIMITS = ("custom_included", "custom_rate_per_minute")
#: Live units of a tenant used in [start, end); handed in, because usage is above this room.
UnitsBetween = Callable[[int, datetime, datetime], int]


class NotPossible(ValueError):
    """What was asked can't be: the message says why."""


class Allowance(NamedTuple):
    """What a tenant may do until `until`. `allowed_units` of the month: None = as many as it likes.

    `stops_at` says what the bound is: included, trial, spend_cap or limited.
    """

    plan: Plan
    rate_per_minute: int
    included: int
    allowed_units: int | None
    stops_at: str
    features: tuple[str, ...]
    until: datetime


Kind = Literal["at_once", "at_period_end", "kept"]


class PlanChange(NamedTuple):
    """A change of plan: from when on it holds."""

    plan: Plan
    at: datetime
    kind: Kind


class BillingDetails(NamedTuple):
    """Who invoices are made out to: "" for the tenant's own name, and for what is not said."""

    name: str
    address: str
    country: str
    tax_id: str
    email: str

    @classmethod
    def of(cls, subscription: Subscription) -> "BillingDetails":
        return cls(
            subscription.billing_name,
            subscription.billing_address,
            subscription.country,
            subscription.tax_id,
            subscription.billing_email,
        )


@transaction.atomic
def sign_up(
    *,
    slug: str,
    name: str,
    plan: str,
    now: datetime,
    rate_per_minute: int | None = None,
    included: int | None = None,
    currency: str = DEFAULT_CURRENCY,
    trial_days: int = 0,
    billing_email: str = "",
    actor: str = "command",
) -> Tenant:
    """A new tenant on a plan, with limits of its own where they are given, on trial where days are given."""
    if currency not in EXPONENTS:
        raise NotPossible(f"There are no prices in {currency}.")
    tenant = create_tenant(slug=slug, name=name, now=now, actor=actor)
    Subscription.objects.create(
        tenant=tenant,
        plan_code=current(plan).code,
        status=Status.TRIALING if trial_days else Status.ACTIVE,
        currency=currency,
        started_at=now,
        custom_rate_per_minute=rate_per_minute,
        custom_included=included,
        billing_email=billing_email,
    )
    if trial_days:
        ends = now + timedelta(days=trial_days)
        timeline.begin_trial(tenant.pk, current(plan), now, ends, current("free"), own_included=included)
    else:
        timeline.begin(tenant.pk, current(plan), now, own_included=included)
    return tenant


def plan_for(tenant_id: int) -> tuple[Plan, int, int]:
    """A tenant's plan, its requests a minute and its included units a month."""
    subscription = subscription_of(tenant_id)
    plan = PLANS[subscription.plan_code]
    rate, included = subscription.custom_rate_per_minute, subscription.custom_included
    return plan, rate or plan.rate_per_minute, plan.included if included is None else included


def subscription_of(tenant_id: int) -> Subscription:
    """The tenant's subscription; an unsaved one on Free when there is no row."""
    return subscriptions_of([tenant_id])[tenant_id]


def subscriptions_of(tenant_ids: Iterable[int]) -> dict[int, Subscription]:
    """The subscription of each tenant; an unsaved one on Free where there is no row."""
    return _subscriptions_of(tuple(tenant_ids))


@asked_once
def _subscriptions_of(ids: tuple[int, ...]) -> dict[int, Subscription]:
    found = {row.tenant_id: row for row in Subscription.objects.filter(tenant_id__in=ids)}
    return {one: found.get(one) or Subscription(tenant_id=one, plan_code=current("free").code) for one in ids}


def allowance(tenant_id: int, real_now: datetime, units_between: UnitsBetween) -> Allowance:
    """What the gate lets a tenant do now, and until when that answer holds."""
    now = test_clock.now_for(tenant_id, real_now)
    period, subscription = Period.of(now), subscription_of(tenant_id)
    terms = timeline.terms_of([tenant_id], period)[tenant_id]
    place = next((number for number, term in enumerate(terms) if term.start <= now < term.end), 0)
    term, included = terms[place], included_units(terms, period)
    allowed: int | None = included
    stops_at = "trial" if term.trial else "included"
    until = term.end
    if subscription.status in UNPAID:
        allowed, stops_at = min(included, LIMITED_UNITS), "limited"
    elif subscription.has_payment_method and not term.trial:
        cap = subscription.spend_cap
        if cap is None:
            allowed, stops_at = None, ""
        else:
            used = [units_between(tenant_id, before.start, before.end) for before in terms[:place]]
            allowed, stops_at = most_units(terms, used, period, subscription.currency, cap), "spend_cap"
            if place and now < term.start + SETTLING:
                until = min(until, now + SETTLING_LIFE)
    return Allowance(
        plan=term.plan,
        rate_per_minute=subscription.custom_rate_per_minute or term.plan.rate_per_minute,
        included=included,
        allowed_units=allowed,
        stops_at=stops_at,
        features=term.plan.features,
        until=until if now is real_now else real_now + CLOCK_LIFE,
    )


def change_plan(*, tenant_id: int, plan: str, now: datetime, actor: str = "command") -> PlanChange:
    """To the plan sold today under a name: up at once, down at the end of the month; to the one in force: stay with it.

    Out of a trial it is at once, and paid from then on.
    """
    with _changing(tenant_id, now) as (subscription, span):
        new, was = current(plan), span.plan
        kind = kind_of_change(was, new, trial=span.trial, currency=subscription.currency)
        if kind == "kept":
            change = PlanChange(was, now, "kept")
            timeline.keep(tenant_id, now)
        elif kind == "at_once":
            change = PlanChange(new, now, "at_once")
            timeline.begin(tenant_id, new, now, own_included=subscription.custom_included)
            _in_force(
                subscription, new, Status.ACTIVE if subscription.status == Status.TRIALING else subscription.status
            )
        else:
            at = (span.ends_at if span.trial else None) or Period.of(now).end
            change = PlanChange(new, at, "at_period_end")
            timeline.continue_with(tenant_id, new, at, now, own_included=subscription.custom_included)
        after = {"plan": change.plan.code, "at": change.at.isoformat(), "kind": change.kind}
        _audit(tenant_id, "subscription.plan_changed", actor, now, {"plan": was.code}, after)
    return change


def kind_of_change(was: Plan, new: Plan, *, trial: bool, currency: str) -> Kind:
    """Up at once, down at the end of the month or trial. `trial`: the plan in force is being tried."""
    if new == was and not trial:
        return "kept"
    before, after = (plan.prices[currency].monthly for plan in (was, new))
    return "at_once" if after >= before or (trial and after) else "at_period_end"


def cancel(*, tenant_id: int, now: datetime, actor: str = "command") -> PlanChange:
    """Leave the plan at the end of the month; what follows is Free."""
    return change_plan(tenant_id=tenant_id, plan="free", now=now, actor=actor)


def cancel_now(*, tenant_id: int, now: datetime, actor: str = "billing") -> dict[str, int]:
    """End the plan at once, for not paying: Free from now on, status cancelled. Harmless when repeated.

    Limits that were agreed with the tenant end with it: `included` and `rate_per_minute`, as far as there were any.
    """
    with _changing(tenant_id, now) as (subscription, span):
        if span.plan != current("free") or timeline.scheduled(tenant_id, now):
            timeline.begin(tenant_id, current("free"), now)
        timeline.lift_limit(tenant_id, now)
        Subscription.objects.filter(pk=subscription.pk).update(**dict.fromkeys(OWN_LIMITS))
        _in_force(subscription, current("free"), Status.CANCELLED)
        ended = _own_limits(subscription)
        before, after = {"plan": span.plan_code} | ended, {"plan": current("free").code} | dict.fromkeys(ended)
        _audit(tenant_id, "subscription.cancelled", actor, now, before, after)
    return ended


def _own_limits(subscription: Subscription) -> dict[str, int]:
    agreed = {name.removeprefix("custom_"): getattr(subscription, name) for name in OWN_LIMITS}
    return {name: value for name, value in agreed.items() if value is not None}


def agree(
    *,
    tenant_id: int,
    plan_code: str,
    rate_per_minute: int | None,
    included: int | None,
    now: datetime,
    more: dict[str, Any] | None = None,
) -> Subscription:
    """What an operator has agreed with a tenant; holds at once. `more`: other columns of the subscription."""
    with _changing(tenant_id, now) as (subscription, span):
        if (span.plan_code, span.own_included) != (plan_code, included):
            timeline.begin(tenant_id, PLANS[plan_code], now, own_included=included)
        agreed = {"plan_code": plan_code, "custom_rate_per_minute": rate_per_minute, "custom_included": included}
        Subscription.objects.filter(pk=subscription.pk).update(**agreed | (more or {}))
    return Subscription.objects.get(tenant_id=tenant_id)


def start_trial(*, tenant_id: int, plan: str, days: int, now: datetime, actor: str = "command") -> datetime:
    """A paid plan for nothing, once a tenant. Afterwards it goes on when there is a payment method, else Free; when."""
    if not 1 <= days <= LONGEST_TRIAL:
        raise NotPossible(f"A trial takes 1 to {LONGEST_TRIAL} days.")
    with _changing(tenant_id, now) as (subscription, span):
        if subscription.status in UNPAID:
            raise NotPossible("A trial begins once the open invoices are paid.")
        if (
            span.plan.prices[subscription.currency].monthly
            or PlanSpan.objects.filter(tenant_id=tenant_id, trial=True).exists()
        ):
            raise NotPossible("A trial is for tenants on Free, once.")
        ends, chosen = now + timedelta(days=days), current(plan)
        then = chosen if subscription.has_payment_method else current("free")
        timeline.begin_trial(tenant_id, chosen, now, ends, then, own_included=subscription.custom_included)
        _in_force(subscription, chosen, Status.TRIALING)
        _audit(tenant_id, "subscription.trial_started", actor, now, None, {"plan": chosen.code, "ends": str(ends)})
    return ends


def set_payment_method(
    *, tenant_id: int, ready: bool, now: datetime, label: str = "", actor: str = "billing", **columns: str
) -> None:
    """A payment method is there, or no longer: overage opens or closes; a trial goes on as its plan, or as Free.

    `columns`: what the provider calls it (`stripe_customer_id`, `stripe_payment_method_id`).
    """
    with _changing(tenant_id, now) as (subscription, span):
        facts = {"has_payment_method": ready, "payment_method_label": label, **columns}
        Subscription.objects.filter(pk=subscription.pk).update(**facts)
        if span.trial and span.ends_at:
            then = span.plan if ready else current("free")
            own = subscription.custom_included
            timeline.continue_with(tenant_id, then, span.ends_at, now, own_included=own)
        before = {"ready": subscription.has_payment_method, "label": subscription.payment_method_label}
        _audit(tenant_id, "subscription.payment_method", actor, now, before, {"ready": ready, "label": label})


def set_spend_cap(*, tenant_id: int, cap: Decimal | None, now: datetime, actor: str = "command") -> None:
    """The most a month may come to, before credits and tax; None: no cap. Holds from the next request on."""
    with _changing(tenant_id, now) as (subscription, _):
        if cap is not None and (cap < 0 or cap != rounded(cap, subscription.currency)):
            raise NotPossible(f"A cap takes 0 or more, with {EXPONENTS[subscription.currency]} decimals.")
        if cap == subscription.spend_cap:
            return
        Subscription.objects.filter(pk=subscription.pk).update(spend_cap=cap)
        before, after = (
            {"cap": None if one is None else str(rounded(one, subscription.currency))}
            for one in (subscription.spend_cap, cap)
        )
        _audit(tenant_id, "subscription.spend_cap", actor, now, before, after)


def set_billing_details(*, tenant_id: int, details: BillingDetails, now: datetime, actor: str) -> None:
    """What stands on invoices from the next one on. Harmless when repeated."""
    with _changing(tenant_id, now) as (subscription, _):
        was, new = BillingDetails.of(subscription)._asdict(), details._asdict()
        changed = [name for name in new if new[name] != was[name]]
        if not changed:
            return
        Subscription.objects.filter(pk=subscription.pk).update(
            billing_name=details.name,
            billing_address=details.address,
            country=details.country,
            tax_id=details.tax_id,
            billing_email=details.email,
        )
        before, after = ({name: one[name] for name in changed} for one in (was, new))
        _audit(tenant_id, "subscription.billing_details", actor, now, before, after)


def set_status(*, tenant_id: int, status: str, now: datetime, actor: str = "billing") -> None:
    """What dunning says of a tenant: past_due, limited, or active again. Harmless when repeated."""
    with _changing(tenant_id, now) as (subscription, _):
        if subscription.status == status:
            return
        since = (subscription.past_due_since or now) if status in (Status.PAST_DUE, Status.LIMITED) else None
        timeline.limit(tenant_id, now) if status == Status.LIMITED else timeline.lift_limit(tenant_id, now)
        Subscription.objects.filter(pk=subscription.pk).update(status=status, past_due_since=since)
        _audit(tenant_id, "subscription.status", actor, now, {"status": subscription.status}, {"status": status})


def follow_timelines(now: datetime, tenant_id: int | None = None) -> list[int]:
    """Note in subscriptions what their timeline says of now: scheduled plans began, trials ended. Which tenants."""
    spans = PlanSpan.objects.filter(tenant_id=OuterRef("tenant_id"), starts_at__lte=now).order_by("-starts_at")
    rows = Subscription.objects.annotate(
        code_now=Subquery(spans.values("plan_code")[:1]), trial_now=Subquery(spans.values("trial")[:1])
    ).filter(~Q(plan_code=F("code_now")) | Q(status=Status.TRIALING, trial_now=False), code_now__isnull=False)
    rows = rows.filter(tenant_id=tenant_id) if tenant_id else rows.filter(tenant__billing_clock=None)
    followed = []
    for stale in rows:
        with _changing(stale.tenant_id, now) as (subscription, span):
            over = subscription.status == Status.TRIALING and not span.trial
            _in_force(subscription, span.plan, Status.ACTIVE if over else subscription.status)
        followed.append(stale.tenant_id)
    return followed


def notify_trials_ending(now: datetime, tenant_id: int | None = None) -> int:
    """Announce trials that end within three days, once each; how many were."""
    spans = PlanSpan.objects.filter(trial=True, starts_at__lte=now, ends_at__gt=now, ends_at__lte=now + TRIAL_NOTICE)
    spans = spans.filter(tenant_id=tenant_id) if tenant_id else spans.filter(tenant__billing_clock=None)
    notified = 0
    for span in spans.select_related("tenant"):
        ends = times.rfc3339(span.ends_at) if span.ends_at else ""
        data, key = {"plan": span.plan.name, "ends_at": ends}, f"trial_ending:{span.pk}"
        notified += notify_customer(span.tenant, "subscription.trial_ending", data, key=key, now=now)
    return notified


@contextmanager
def _changing(tenant_id: int, now: datetime) -> Iterator[tuple[Subscription, PlanSpan]]:
    """(subscription, span in force) of a tenant nobody else is changing; they are made when there are none yet."""
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
        subscription = Subscription.objects.filter(tenant=tenant).first()
        if subscription is None:
            free = current("free").code
            subscription = Subscription.objects.create(tenant=tenant, plan_code=free, started_at=tenant.created_at)
        span = timeline.span_at(tenant_id, now)
        if span is None:
            began = min(tenant.created_at, now)
            span = timeline.begin(tenant_id, PLANS[subscription.plan_code], began)
        yield subscription, span
        signals.limits_changed.notify(tenant_id)


def _in_force(subscription: Subscription, plan: Plan, status: str) -> None:
    Subscription.objects.filter(pk=subscription.pk).update(plan_code=plan.code, status=status)


def _audit(
    tenant_id: int, action: str, actor: str, now: datetime, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    tenant = Tenant.objects.get(pk=tenant_id)
    record_audit(tenant=tenant, actor=actor, action=action, target=tenant.slug, before=before, after=after, now=now)
