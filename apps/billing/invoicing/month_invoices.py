"""Closing months: what was used of each is handed over and becomes an invoice, once.

Closing row         whoever inserts it bills the month, everybody else finds it there
pricing.statement   lines of the month
late units          of earlier months, as a named line each: what they make those months cost more
invoices            drafted and issued together
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from django.db import connection, transaction
from django.db.models import Sum

from apps.accounts.models import Tenant
from apps.billing.invoicing import invoices
from apps.billing.invoicing.invoices import Bill, NotPossible
from apps.billing.models import Closing, Invoice, InvoiceLine, Subscription
from apps.billing.rating.money import rounded
from apps.billing.rating.pricing import Line, Term, statement
from apps.billing.subscriptions.services import subscriptions_of
from apps.formats import month_text
from apps.periods import Period

Days = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Late:
    """An earlier month as it is known now: its terms, all units of each, and those of its days."""

    period: Period
    terms: tuple[Term, ...]
    units: tuple[int, ...]
    by_day: Days


@dataclass(frozen=True)
class MonthUsage:
    """A tenant's month as it is handed over: its terms, units of each, by day and by endpoint, earlier ones anew."""

    tenant: Tenant
    terms: tuple[Term, ...]
    units: tuple[int, ...]
    by_day: Days = ()
    by_endpoint: Days = ()
    late: tuple[Late, ...] = ()
    #: Of a tenant on a billing clock: month → the real days on which `units` were used.
    real_days: Mapping[str, Days] | None = None


def issue_invoices(
    months: Sequence[MonthUsage], period: Period, now: datetime, *, again: bool = False
) -> list[Invoice]:
    """Close one month of these tenants, all or none; the invoices of those that owe something and were not closed.

    `again`: bill anew where the invoice was voided. Raises `NotPossible` before the month is over, `ValueError` for
    terms that leave gaps.
    """
    if now < period.end:
        raise NotPossible(f"{period} is not over yet.")
    with transaction.atomic():
        closings = _claim([month.tenant.pk for month in months], period, now, again)
        subscriptions = subscriptions_of(closings)
        mine = [month for month in months if month.tenant.pk in closings]
        bills = [bill for month in mine if (bill := _bill(month, subscriptions[month.tenant.pk], period))]
        made = invoices.draft(bills, now)
        invoices.issue(made, now)
        for invoice in made:
            closings[invoice.tenant_id].invoice = invoice
        Closing.objects.bulk_update([closings[invoice.tenant_id] for invoice in made], ["invoice"])
    return made


def _claim(tenant_ids: Iterable[int], period: Period, now: datetime, again: bool) -> dict[int, Closing]:
    """The rows whose insertion decides who bills the month. In one order, so that closers never wait in a circle."""
    ids = sorted(tenant_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Closing._meta.db_table} (tenant_id, period, closed_at) SELECT unnest(%s::bigint[]), %s, %s"
            " ON CONFLICT (tenant_id, period) DO NOTHING RETURNING tenant_id, id",
            [ids, str(period), now],
        )
        found = {
            tenant_id: Closing(pk=pk, tenant_id=tenant_id, period=str(period), closed_at=now)
            for tenant_id, pk in cursor.fetchall()
        }
    if again:
        rows = Closing.objects.select_for_update(of=("self",)).order_by("tenant_id")
        rows = rows.filter(tenant_id__in=ids, period=str(period), invoice__status=Invoice.Status.VOID)
        for closing in rows.select_related("invoice"):
            if closing.invoice:
                invoices.check_not_carried_on(closing.invoice)
            found[closing.tenant_id] = closing
    return found


def _bill(month: MonthUsage, subscription: Subscription, period: Period) -> Bill | None:
    """What a tenant's month comes to; None when there is nothing to bill."""
    whole = statement(month.terms, month.units, period, subscription.currency)
    late = list(_late_lines(month, period, subscription.currency))
    if not whole.units and not late and not whole.subtotal:
        return None
    return Bill(
        tenant=month.tenant,
        subscription=subscription,
        lines=(*whole.lines, *(line for line, _ in late)),
        period=str(period),
        plan_name=month.terms[-1].plan.name,
        units=whole.units,
        included=whole.included,
        usage={
            "by_day": month.by_day,
            "by_endpoint": month.by_endpoint,
            "late": _late_days(month.tenant, [one for _, one in late]),
        }
        | ({} if month.real_days is None else {"real_days": month.real_days}),
    )


def _late_lines(month: MonthUsage, period: Period, currency: str) -> Iterator[tuple[Line, Late]]:
    """What units recorded after their month was closed make that month cost more."""
    for one in month.late:
        closed = Closing.objects.filter(tenant=month.tenant, period=str(one.period)).select_related("invoice").first()
        if closed is None or (closed.invoice and closed.invoice.status == Invoice.Status.VOID):
            continue  # to be billed as itself, or it is for a person to say whether it is billed at all
        billed = closed.invoice
        component = f"late.{one.period}"
        lines = InvoiceLine.objects.filter(tenant=month.tenant, component=component, void=False)
        before = lines.aggregate(units=Sum("quantity"), amount=Sum("amount"))
        whole = statement(one.terms, one.units, one.period, currency)
        more = whole.units - (billed.units if billed else 0) - int(before["units"] or 0)
        if more > 0:
            charged = _charged(billed) + (before["amount"] or 0)
            amount = rounded(whole.subtotal - charged, currency)
            text = f"Usage of {month_text(str(one.period))} recorded late: {more:,} units"
            exact = Fraction(amount)
            yield Line(component, text, Decimal(more), Decimal(0), exact, amount, period.start, period.end), one


def _charged(invoice: Invoice | None) -> Decimal:
    """What an invoice charged for its own month, without what earlier ones brought late."""
    if invoice is None:
        return Decimal(0)
    own = (line.amount for line in invoice.lines.all() if not line.component.startswith("late."))
    return sum(own, Decimal(0))


def _late_days(tenant: Tenant, late: Sequence[Late]) -> Mapping[str, list[tuple[str, int]]]:
    """Units by day that were not on an invoice yet."""
    found = {}
    for one in late:
        before = invoices.invoiced_by_day(tenant.pk, one.period)
        more = [(day, units - before.get(day, 0)) for day, units in one.by_day]
        found[str(one.period)] = [(day, units) for day, units in more if units]
    return found
