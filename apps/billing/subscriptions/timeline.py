"""The timeline of plans: spans follow on without gap or overlap; only what is still to come may be changed.

Beside them stands when a tenant was limited for not paying. A month's terms are both: spans, cut where a limit begins
or ends.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import F, Value
from django.db.models.functions import Greatest

from apps.billing.models import Limitation, PlanSpan
from apps.billing.rating.plans import Plan, current
from apps.billing.rating.pricing import Interval, Term, limited_during
from apps.one_look import asked_once
from apps.periods import Period


def terms_of(tenant_ids: Iterable[int], period: Period) -> dict[int, list[Term]]:
    """The terms of a month for each tenant; none for a month that ended before it signed up. No spans at all: Free."""
    found: dict[int, list[PlanSpan]] = {tenant_id: [] for tenant_id in tenant_ids}
    for span in _spans_of(tuple(found)):
        found[span.tenant_id].append(span)
    limited = _limitations(found, period)
    return {
        tenant_id: limited_during(_terms(spans, period), limited.get(tenant_id, ()))
        for tenant_id, spans in found.items()
    }


def span_at(tenant_id: int, now: datetime) -> PlanSpan | None:
    """The span in force; None for a tenant without a timeline."""
    spans = PlanSpan.objects.filter(tenant_id=tenant_id, starts_at__lte=now)
    return spans.order_by("-starts_at").first()


def scheduled(tenant_id: int, now: datetime) -> PlanSpan | None:
    """The next span that has not begun."""
    return PlanSpan.objects.filter(tenant_id=tenant_id, starts_at__gt=now).order_by("starts_at").first()


def begin(tenant_id: int, plan: Plan, now: datetime, *, own_included: int | None = None) -> PlanSpan:
    """A plan from now on. Whatever was in force ends now, whatever was scheduled is dropped."""
    return continue_with(tenant_id, plan, now, now, own_included=own_included)


def begin_trial(
    tenant_id: int, plan: Plan, now: datetime, ends: datetime, then: Plan, *, own_included: int | None = None
) -> PlanSpan:
    """A plan on trial from now on, and what follows it."""
    trial = continue_with(tenant_id, plan, now, now, trial=True, own_included=own_included)
    continue_with(tenant_id, then, ends, now, own_included=own_included)
    return trial


def continue_with(
    tenant_id: int,
    plan: Plan,
    start: datetime,
    now: datetime,
    *,
    trial: bool = False,
    own_included: int | None = None,
) -> PlanSpan:
    """Let a plan take over at `start`, now or later, for good. What was scheduled from now on is dropped."""
    PlanSpan.objects.filter(tenant_id=tenant_id, starts_at__gt=now).delete()
    PlanSpan.objects.filter(tenant_id=tenant_id, starts_at=start).delete()
    PlanSpan.objects.filter(tenant_id=tenant_id, starts_at__lt=start, starts_at__lte=now).exclude(
        ends_at__lte=now
    ).update(ends_at=start)
    return PlanSpan.objects.create(
        tenant_id=tenant_id, plan_code=plan.code, starts_at=start, trial=trial, own_included=own_included
    )


def keep(tenant_id: int, now: datetime) -> None:
    """Drop what was scheduled: the span in force goes on."""
    PlanSpan.objects.filter(tenant_id=tenant_id, starts_at__gt=now).delete()
    PlanSpan.objects.filter(tenant_id=tenant_id, starts_at__lte=now, ends_at__gt=now).update(ends_at=None)


def limit(tenant_id: int, now: datetime) -> None:
    """Begin a limitation. Harmless when there is one."""
    if not Limitation.objects.filter(tenant_id=tenant_id, ends_at=None).exists():
        Limitation.objects.create(tenant_id=tenant_id, starts_at=now)


def lift_limit(tenant_id: int, now: datetime) -> None:
    """End the limitation there is, if any."""
    Limitation.objects.filter(tenant_id=tenant_id, ends_at=None).update(ends_at=Greatest(F("starts_at"), Value(now)))


def _limitations(tenant_ids: Iterable[int], period: Period) -> dict[int, list[Interval]]:
    found: dict[int, list[Interval]] = {}
    for row in _limitations_of(tuple(tenant_ids)):
        ends_at = row.ends_at or period.end
        if row.starts_at < period.end and ends_at > period.start:
            found.setdefault(row.tenant_id, []).append((row.starts_at, ends_at))
    return found


@asked_once
def _spans_of(tenant_ids: tuple[int, ...]) -> list[PlanSpan]:
    return list(PlanSpan.objects.filter(tenant_id__in=tenant_ids).order_by("tenant_id", "starts_at"))


@asked_once
def _limitations_of(tenant_ids: tuple[int, ...]) -> list[Limitation]:
    return list(Limitation.objects.filter(tenant_id__in=tenant_ids).order_by("tenant_id", "starts_at"))


def _terms(spans: Sequence[PlanSpan], period: Period) -> list[Term]:
    if not spans:
        return [Term(current("free"), period.start, period.end)]
    return [
        Term(
            plan=span.plan,
            start=max(span.starts_at, period.start),
            end=min(span.ends_at or period.end, period.end),
            trial=span.trial,
            own_included=span.own_included,
        )
        for span in spans
        if span.starts_at < period.end and (span.ends_at is None or span.ends_at > period.start)
    ]
