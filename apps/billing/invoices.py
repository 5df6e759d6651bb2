"""Invoices: a month handed over becomes one, once; then it is paid, voided or corrected by a credit note.

close(month) ── Closing row: whoever inserts it bills the month, everybody else finds it there
  │  pricing.statement      lines of the month
  │  late units             of earlier months, as a named line each: what they make those months cost more
  │  pricing.deduct         coupons, then credits by the day they expire
  ▼  issue: number from the year's series, in the same transaction; a rollback gives the number back
issued ── paid | void
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Sum

from apps.accounts.models import Tenant
from apps.accounts.services import record_audit
from apps.billing import credits, timeline
from apps.billing.models import (
    Closing,
    Credit,
    CreditNote,
    Invoice,
    InvoiceDeduction,
    InvoiceLine,
    NumberSeries,
    Subscription,
)
from apps.billing.money import rounded
from apps.billing.periods import Period
from apps.billing.pricing import Deduction, Line, Statement, Term, deduct, statement, totals
from apps.billing.services import subscription_of
from apps.notifications.services import notify

#: An invoice is due this long after it was issued.
DUE = timedelta(days=14)
#: Usage recorded this long after its month's end is still billed.
LATE = timedelta(days=35)

Status = Invoice.Status


class NotPossible(ValueError):
    """What was asked of an invoice can't be: the message says why."""


@dataclass(frozen=True)
class Late:
    """An earlier month as it is known now: its terms, all units of each, and those of its days."""

    period: Period
    terms: tuple[Term, ...]
    units: tuple[int, ...]
    by_day: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Quantities:
    """A month's usage as it is handed over: units of each term, by day and by endpoint, and earlier months anew."""

    units: tuple[int, ...]
    by_day: tuple[tuple[str, int], ...] = ()
    by_endpoint: tuple[tuple[str, int], ...] = ()
    late: tuple[Late, ...] = ()


@transaction.atomic
def issue_invoice(
    *,
    tenant: Tenant,
    period: Period,
    quantities: Quantities,
    now: datetime,
    terms: Sequence[Term] | None = None,
    again: bool = False,
) -> Invoice | None:
    """Close a tenant's month; its invoice, or None when there is nothing to bill or it was closed before.

    `again`: bill a month anew whose invoice was voided. Raises `NotPossible` before the month is over.
    """
    if now < period.end:
        raise NotPossible(f"{period} is not over yet.")
    closing = _close(tenant, period, now, again)
    if closing is None:
        return None
    terms = timeline.terms_of([tenant.pk], period)[tenant.pk] if terms is None else terms
    if not terms:
        return None
    subscription = subscription_of(tenant.pk)
    month = statement(terms, quantities.units, period, subscription.currency)
    late = list(_late_lines(tenant, quantities.late, period, subscription.currency))
    lines = [*month.lines, *(line for line, _ in late)]
    if not month.units and not late and not month.subtotal:
        return None
    details = {"by_day": quantities.by_day, "by_endpoint": quantities.by_endpoint, "late": _late_days(tenant, late)}
    invoice = _draft(tenant, subscription, str(period), terms[-1].plan.name, month, lines, details, now)
    issue(invoice, now)
    Closing.objects.filter(pk=closing.pk).update(invoice=invoice)
    return invoice


def issue(invoice: Invoice, now: datetime) -> None:
    """A draft gets its number and becomes a bill; one of nothing is paid at once. In the caller's transaction."""
    if invoice.status != Status.DRAFT:
        raise NotPossible(f"{invoice} is {invoice.status}: only drafts are issued.")
    invoice.status, invoice.issued_at, invoice.due_at = Status.ISSUED, now, now + DUE
    invoice.number = next_number("P", now)
    invoice.save(update_fields=["status", "issued_at", "due_at", "number"])
    if not invoice.total:
        _move(invoice, status=Status.PAID, paid_at=now, paid_how="nothing due")
        return
    _tell(invoice, "invoice.issued", now, period=invoice.period)


def mark_paid(*, invoice: Invoice, now: datetime, how: str, actor: str = "billing") -> bool:
    """The money is there. False when it was there before (harmless). Raises `NotPossible` for a draft or a void one."""
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        if row.status == Status.PAID:
            return False
        if row.status != Status.ISSUED:
            raise NotPossible(f"{row} is {row.status}: it can't be paid.")
        _not_under_way(row)
        _move(row, status=Status.PAID, paid_at=now, paid_how=how)
        _audit(row, "invoice.paid", actor, now, {"how": how})
        _tell(row, "invoice.paid", now)
    invoice.refresh_from_db()
    return True


def void_invoice(*, invoice: Invoice, now: datetime, actor: str = "command") -> None:
    """Take an unpaid invoice back: nothing of it is owed, its credits return. Its number stays used."""
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        if row.status == Status.VOID:
            return
        if row.status != Status.ISSUED:
            raise NotPossible(f"{row} is {row.status}: only an issued, unpaid invoice is voided.")
        _not_under_way(row)
        _move(row, status=Status.VOID, voided_at=now)
        InvoiceLine.objects.filter(invoice=row).update(void=True)
        for used in row.deductions.exclude(credit=None):
            Credit.objects.filter(uses=used).update(remaining=F("remaining") + used.amount)
        _audit(row, "invoice.voided", actor, now, None)
        _tell(row, "invoice.voided", now)
    invoice.refresh_from_db()


def issue_credit_note(
    *, invoice: Invoice, amount: Decimal, reason: str, now: datetime, to_balance: bool = False, actor: str = "command"
) -> CreditNote:
    """Correct an issued invoice by so much (tax included). `to_balance`: its net amount becomes a credit.

    An unpaid invoice that is wholly corrected is settled. Raises `NotPossible`.
    """
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        noted = row.credit_notes.aggregate(all=Sum("amount"))["all"] or Decimal(0)
        if row.status not in (Status.ISSUED, Status.PAID):
            raise NotPossible(f"{row} is {row.status}: there is nothing to correct.")
        _not_under_way(row)
        if amount <= 0 or amount != row.money(amount) or amount > row.total - noted:
            raise NotPossible(f"A credit note on {row} takes up to {row.money(row.total - noted)} {row.currency}.")
        tax = row.money(amount * row.tax / row.total)
        note = CreditNote.objects.create(
            number=next_number("C", now), invoice=row, amount=amount, tax=tax, reason=reason, issued_at=now
        )
        if to_balance:
            key = f"credit note {note.number}"
            credits.grant(row.tenant, amount - tax, row.currency, reason=reason, key=key, now=now, actor=actor)
        if row.status == Status.ISSUED and noted + amount == row.total:
            _move(row, status=Status.PAID, paid_at=now, paid_how="credit note")
        _audit(row, "invoice.credit_note", actor, now, {"number": note.number, "amount": str(amount)})
    invoice.refresh_from_db()
    return note


def draft_invoice(
    *, tenant: Tenant, description: str, amount: Decimal, start: datetime, end: datetime, now: datetime
) -> Invoice:
    """A draft by hand, for something that is no month's usage: one line."""
    subscription = subscription_of(tenant.pk)
    amount = rounded(amount, subscription.currency)
    component = f"by hand {now.isoformat()}"
    line = Line(component, description, Decimal(1), amount, Fraction(amount), amount, start, end)
    with transaction.atomic():
        return _draft(tenant, subscription, "", "", Statement((line,), amount, 0, 0), [line], {}, now)


def next_number(series: str, now: datetime) -> str:
    """The next of the year's numbers: P-2026-000001. Its row stays locked until the caller commits, so none is lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {NumberSeries._meta.db_table} AS known (series, year, last) VALUES (%s, %s, 1)"
            " ON CONFLICT (series, year) DO UPDATE SET last = known.last + 1 RETURNING last",
            [series, now.year],
        )
        return f"{series}-{now.year}-{cursor.fetchone()[0]:06d}"


def _close(tenant: Tenant, period: Period, now: datetime, again: bool) -> Closing | None:
    """The row whose insertion decides who bills the month."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Closing._meta.db_table} (tenant_id, period, closed_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (tenant_id, period) DO NOTHING RETURNING id",
            [tenant.pk, str(period), now],
        )
        inserted = cursor.fetchone()
    if inserted:
        return Closing(pk=inserted[0], tenant=tenant, period=str(period), closed_at=now)
    voided = Closing.objects.select_for_update(of=("self",)).filter(
        tenant=tenant, period=str(period), invoice__status=Status.VOID
    )
    return voided.first() if again else None


def _late_lines(tenant: Tenant, late: Sequence[Late], period: Period, currency: str) -> Iterator[tuple[Line, Late]]:
    """What units recorded after their month was closed make that month cost more."""
    for one in late:
        closed = Closing.objects.filter(tenant=tenant, period=str(one.period)).select_related("invoice").first()
        if closed is None or (closed.invoice and closed.invoice.status == Status.VOID):
            continue  # to be billed as itself, or it is for a person to say whether it is billed at all
        billed = closed.invoice
        component = f"late.{one.period}"
        lines = InvoiceLine.objects.filter(tenant=tenant, component=component, void=False)
        before = lines.aggregate(units=Sum("quantity"), amount=Sum("amount"))
        whole = statement(one.terms, one.units, one.period, currency)
        more = whole.units - (billed.units if billed else 0) - int(before["units"] or 0)
        if more > 0:
            charged = _charged(billed) + (before["amount"] or 0)
            amount = rounded(whole.subtotal - charged, currency)
            text = f"Usage of {one.period} recorded late: {more:,} units"
            exact = Fraction(amount)
            yield Line(component, text, Decimal(more), Decimal(0), exact, amount, period.start, period.end), one


def _charged(invoice: Invoice | None) -> Decimal:
    """What an invoice charged for its own month, without what earlier ones brought late."""
    if invoice is None:
        return Decimal(0)
    own = (line.amount for line in invoice.lines.all() if not line.component.startswith("late."))
    return sum(own, Decimal(0))


def invoiced_units(tenant_ids: Iterable[int], period: Period) -> dict[int, int]:
    """Units of a closed month that stand on invoices, late ones included; 0 where it was closed without an invoice."""
    closed = Closing.objects.filter(tenant_id__in=list(tenant_ids), period=str(period)).exclude(
        invoice__status=Status.VOID
    )
    found = {row.tenant_id: row.invoice.units if row.invoice else 0 for row in closed.select_related("invoice")}
    lines = InvoiceLine.objects.filter(tenant_id__in=found, component=f"late.{period}", void=False)
    for tenant_id, units in lines.values_list("tenant_id").annotate(all=Sum("quantity")):
        found[tenant_id] += int(units)
    return found


def invoiced_by_day(tenant_id: int, period: Period) -> dict[str, int]:
    """Units of each day of a month that stand on invoices: its own, and later ones where they came late."""
    found: dict[str, int] = {}
    for invoice in Invoice.objects.filter(tenant_id=tenant_id).exclude(status__in=(Status.VOID, Status.DRAFT)):
        days = invoice.usage.get("by_day", []) if invoice.period == str(period) else []
        for day, units in (*days, *invoice.usage.get("late", {}).get(str(period), [])):
            found[day] = found.get(day, 0) + units
    return found


def _late_days(tenant: Tenant, late: Sequence[tuple[Line, Late]]) -> dict[str, list[tuple[str, int]]]:
    """Units by day that were not on an invoice yet."""
    found = {}
    for _, one in late:
        before = invoiced_by_day(tenant.pk, one.period)
        more = [(day, units - before.get(day, 0)) for day, units in one.by_day]
        found[str(one.period)] = [(day, units) for day, units in more if units]
    return found


def _draft(
    tenant: Tenant,
    subscription: Subscription,
    period: str,
    plan_name: str,
    month: Statement,
    lines: Sequence[Line],
    details: dict[str, Any],
    now: datetime,
) -> Invoice:
    """Everything of an invoice but its number."""
    currency = subscription.currency
    subtotal = sum((line.amount for line in lines), rounded(0, currency))
    taken = deduct(subtotal, credits.offers(tenant.pk, currency, period, now), currency) if period else ()
    sums = totals(subtotal, taken, subscription.tax_percent, currency)
    invoice = Invoice.objects.create(
        tenant=tenant,
        period=period,
        currency=currency,
        plan_name=plan_name,
        bill_to=_bill_to(tenant, subscription),
        units=month.units,
        included=month.included,
        usage=details,
        tax_name=subscription.tax_name,
        tax_percent=subscription.tax_percent,
        created_at=now,
        **vars(sums),
    )
    InvoiceLine.objects.bulk_create([_line(invoice, place, line) for place, line in enumerate(lines, start=1)])
    _take(invoice, taken)
    return invoice


def _line(invoice: Invoice, place: int, line: Line) -> InvoiceLine:
    return InvoiceLine(
        invoice=invoice,
        tenant_id=invoice.tenant_id,
        place=place,
        component=line.component,
        description=line.description,
        quantity=line.quantity,
        unit_price=None if line.component.startswith("late.") else line.unit_price,
        amount=line.amount,
        starts_at=line.start,
        ends_at=line.end,
    )


def _take(invoice: Invoice, taken: Sequence[Deduction]) -> None:
    """Note what coupons and credits took off, and take it from the credits."""
    if not taken:
        return
    InvoiceDeduction.objects.bulk_create(
        InvoiceDeduction(
            invoice=invoice,
            place=place,
            kind=one.kind,
            credit_id=int(one.reference) if one.kind == "credit" else None,
            description=one.description,
            amount=one.amount,
        )
        for place, one in enumerate(taken, start=1)
    )
    for one in taken:
        if one.kind == "credit":
            Credit.objects.filter(pk=int(one.reference)).update(remaining=F("remaining") - one.amount)


def _bill_to(tenant: Tenant, subscription: Subscription) -> dict[str, str]:
    return {
        "name": subscription.billing_name or tenant.name,
        "address": subscription.billing_address,
        "email": subscription.billing_email,
        "country": subscription.country,
        "tax_id": subscription.tax_id,
    }


def _not_under_way(invoice: Invoice) -> None:
    """While a card is being charged for it and no charge is known to have gone through, what is due must not change."""
    found = set(invoice.payments.values_list("status", flat=True))
    if found & {"intent", "processing"} and not found & {"succeeded", "refunded", "disputed"}:
        raise NotPossible(f"A payment of {invoice} is under way: wait for its outcome.")


def _move(invoice: Invoice, **columns: Any) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(**columns)
    for name, value in columns.items():
        setattr(invoice, name, value)


def _audit(invoice: Invoice, action: str, actor: str, now: datetime, after: dict[str, Any] | None) -> None:
    record_audit(tenant=invoice.tenant, actor=actor, action=action, target=str(invoice), after=after, now=now)


def _tell(invoice: Invoice, kind: str, now: datetime, **more: Any) -> None:
    data = {
        "invoice": invoice.public_id,
        "number": invoice.number,
        "total": str(invoice.money(invoice.total)),
        "currency": invoice.currency,
        **more,
    }
    recipient = invoice.bill_to.get("email")
    to = [recipient] if recipient else None
    notify(tenant=invoice.tenant, kind=kind, data=data, key=f"{kind}:{invoice.pk}", now=now, to=to)
