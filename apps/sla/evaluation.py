"""A tenant's months: measured, stated, and credited when the promise was broken.

A month's first statement is issued once the month is over and recorded; its credit is billing's, under the key
`sla:YYYY-MM`, so that there is one whatever is repeated. When what is known of a month changes later, a revision
corrects the statement: if it gives back more, the difference is a credit of its own, named an adjustment, under
`sla:YYYY-MM:<revision>`. If it gives back less, what was granted stays.
"""

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

import msgspec
from django.db import transaction
from django.db.models import F, Sum, Window
from prometheus_client import Counter as Metric

from apps.accounts.models import Tenant
from apps.billing.invoicing import credits
from apps.billing.rating.money import rounded
from apps.billing.rating.pricing import Term
from apps.billing.subscriptions import timeline
from apps.billing.subscriptions.services import subscription_of
from apps.formats import month_text
from apps.periods import Period
from apps.sla import incidents
from apps.sla.credits import promised_fee, promised_seconds
from apps.sla.intervals import Interval, moment_of, second_of
from apps.sla.latency import percentile_ms
from apps.sla.measure import Evidence, Measured, measure
from apps.sla.models import Incident, SlaStatement
from apps.sla.requests import Asked, asked_between, requests_of
from apps.sla.statement import IncidentSpan, Statement, statement

log = logging.getLogger(__name__)

FAILED = Metric("palisade_sla_failures", "Months of tenants that could not be evaluated")
#: What was answered in a month's last minutes is recorded by then.
SETTLED = timedelta(hours=1)
#: Months that late data corrects by itself.
DUE_MONTHS = 3
#: Tenants whose plans are read together.
TOGETHER = 500
#: The seconds' text of a statement's times.
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Month:
    """What is known of a tenant's month, up to `until`."""

    period: Period
    until: datetime
    terms: tuple[Term, ...]
    asked: Asked
    evidence: Evidence
    incidents: tuple[IncidentSpan, ...]

    @property
    def promised(self) -> bool:
        return bool(promised_seconds(self.terms))

    @cached_property
    def measured(self) -> Measured:
        return measure(self.evidence)

    @property
    def failed(self) -> int:
        return int(self.evidence.requests.failed.sum())

    @property
    def answered(self) -> int:
        return int(self.evidence.requests.answered.sum())

    def answered_within_ms(self, share: float) -> float | None:
        """The time within which that share of its requests was answered."""
        return percentile_ms(self.asked.latencies, share)


class StatedMonth(NamedTuple):
    """What a list shows of a month's statement in force; `granted`: corrections included."""

    month: str
    currency: str
    availability_percent: str | None
    down_seconds: int
    credit_percent: int
    granted: Decimal


def month_of(tenant: Tenant, period: Period, now: datetime) -> Month | None:
    """A tenant's month so far; None for one before it signed up, or to come.

    Measured is the time in which the availability was promised; where it never was, the whole month.
    """
    terms = tuple(timeline.terms_of([tenant.pk], period)[tenant.pk])
    until = min(period.end, now)
    if not terms or until <= period.start:
        return None
    begin = max(period.start, terms[0].start)
    asked = asked_between(tenant.pk, begin, until)
    counted = incidents.counted_incidents(begin, until)
    evidence = Evidence(
        spans=_cut(promised_seconds(terms) or ((second_of(begin), second_of(until)),), second_of(until)),
        requests=requests_of(asked, tenant.pk, begin, until),
        probed=tuple(incidents.probed(begin, until)),
        incidents=tuple(interval for _, interval in counted),
        maintenance=tuple(incidents.windows(begin, until)),
    )
    return Month(period, until, terms, asked, evidence, tuple(_named(counted)))


def evaluate_due(now: datetime) -> int:
    """State the last month of everybody it was promised to and who has no statement yet; statements issued."""
    return evaluate_period(Period.of(now - SETTLED).before(), now, again=False)


def correct_due(now: datetime) -> int:
    """Look again at the last months, the earliest first: what became known late corrects them; statements issued."""
    last = Period.of(now - SETTLED).before()
    return sum(evaluate_period(last.later(-back), now) for back in range(DUE_MONTHS - 1, -1, -1))


def evaluate_period(period: Period, now: datetime, *, again: bool = True) -> int:
    """State one month that is over, without `again` only where that was not done; statements issued.

    Harmless when repeated. A tenant whose month can't be evaluated is logged and counted, the others go on.
    """
    if now < period.end + SETTLED:
        raise ValueError(f"{period} is not over yet.")
    return sum(_evaluated(tenant, period, now) for tenant in _promised_to(period, again))


def evaluate(tenant: Tenant, period: Period, now: datetime) -> SlaStatement | None:
    """State a tenant's month that is over, and grant what it gives back; None when nothing changed."""
    month = month_of(tenant, period, now)
    if month is None or not month.promised:
        return None
    made = statement_for(tenant, month)
    with transaction.atomic():
        Tenant.objects.select_for_update().get(pk=tenant.pk)
        return _issue(tenant, made, now)


def statement_for(tenant: Tenant, month: Month) -> Statement:
    """The statement of a month as it is known."""
    currency = subscription_of(tenant.pk).currency
    return statement(
        tenant=tenant.slug,
        month=str(month.period),
        currency=currency,
        fee=promised_fee(month.terms, month.period, currency),
        evidence=month.evidence,
        incidents=month.incidents,
    )


def stated_months(tenant_id: int) -> list[StatedMonth]:
    """The months that were stated, by the statement in force of each, the newest month first."""
    rows = SlaStatement.objects.filter(tenant_id=tenant_id).annotate(
        granted=Window(Sum("credit"), partition_by=[F("month")])
    )
    newest = rows.order_by("-month", "-revision").distinct("month")
    found = itertools.starmap(StatedMonth, newest.values_list(*StatedMonth._fields))
    return [one._replace(granted=rounded(one.granted, one.currency)) for one in found]


def granted(tenant_id: int, month: str) -> Decimal:
    """What was granted for a month, corrections included."""
    rows = SlaStatement.objects.filter(tenant_id=tenant_id, month=month)
    return sum((row.credit for row in rows), Decimal(0))


def statement_in(row: SlaStatement) -> Statement:
    """The document of a row."""
    return msgspec.convert(row.document, Statement)


def _issue(tenant: Tenant, made: Statement, now: datetime) -> SlaStatement | None:
    """Under the tenant's lock: a first statement, or a revision when the one in force says something else."""
    before = SlaStatement.objects.filter(tenant=tenant, month=made.month).order_by("-revision").first()
    document = msgspec.to_builtins(made)
    if before is not None and before.document == document:
        return None
    credit = _grant(tenant, made, before, now)
    return SlaStatement.objects.create(
        tenant=tenant,
        month=made.month,
        revision=before.revision + 1 if before else 1,
        issued_at=now,
        document=document,
        credit_percent=made.result.credit_percent,
        credit=credit,
        because=_because(statement_in(before), made) if before else "",
    )


def _grant(tenant: Tenant, made: Statement, before: SlaStatement | None, now: datetime) -> Decimal:
    """Grant what the month gives back beyond what it gave already; the amount."""
    more = Decimal(made.result.credit) - granted(tenant.pk, made.month)
    if more <= 0:
        return Decimal(0)
    month, percent = month_text(made.month), made.result.credit_percent
    reason = f"SLA {month}: {made.result.availability_percent} % available, {percent} % of the fee"
    key = f"sla:{made.month}"
    if before is not None:
        reason, key = f"Adjustment, {reason}", f"{key}:{before.revision + 1}"
    more = rounded(more, made.currency)
    credits.grant(tenant, more, made.currency, reason=reason, key=key, now=now, actor="sla")
    return more


def _because(before: Statement, after: Statement) -> str:
    """Name what a revision corrects, fact by fact."""
    changed = [
        name
        for name in ("promised", "answered", "failed", "probed", "incidents", "maintenance")
        if getattr(before.facts, name) != getattr(after.facts, name)
    ]
    facts = f"Known later: {', '.join(changed)}. " if changed else "The fee was corrected. "
    return f"{facts}{before.result.availability_percent} % → {after.result.availability_percent} %"


def _evaluated(tenant: Tenant, period: Period, now: datetime) -> bool:
    try:
        return evaluate(tenant, period, now) is not None
    except (ValueError, LookupError, ArithmeticError):
        log.exception("%s of %s can't be evaluated: a person must look", period, tenant.slug)
        FAILED.inc()
        return False


def _promised_to(period: Period, again: bool) -> Iterator[Tenant]:
    """Everybody the month was promised to; without `again` those without a statement."""
    tenants = Tenant.objects.on_real_time().filter(created_at__lt=period.end)
    if not again:
        tenants = tenants.exclude(pk__in=SlaStatement.objects.filter(month=str(period)).values("tenant_id"))
    last = 0
    while chunk := list(tenants.filter(pk__gt=last).order_by("pk")[:TOGETHER]):
        terms = timeline.terms_of([tenant.pk for tenant in chunk], period)
        yield from (tenant for tenant in chunk if promised_seconds(terms[tenant.pk]))
        last = chunk[-1].pk


def _cut(spans: Iterable[Interval], until: int) -> tuple[Interval, ...]:
    return tuple((start, min(end, until)) for start, end in spans if start < until)


def _named(counted: Iterable[tuple[Incident, Interval]]) -> Iterator[IncidentSpan]:
    for row, (start, end) in counted:
        yield IncidentSpan(row.pk, row.part, f"{moment_of(start):{_SECONDS}}", f"{moment_of(end):{_SECONDS}}")
