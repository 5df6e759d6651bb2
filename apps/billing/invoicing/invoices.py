"""Invoices: drafted, issued with a number, then paid, voided or corrected by a credit note.

draft    lines; pricing.deduct: coupons, then credits by the day they expire; tax
  ▼  issue: numbers from the year's series, in the same transaction; a rollback gives them back
issued ── paid | void

Many are drafted and issued as quickly as one: each step is a statement or two for all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Sum

from apps import times
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.billing.invoicing import balances, credit_note_lines, credits, documents, payment_instructions
from apps.billing.invoicing.credit_note_lines import Part
from apps.billing.models import (
    BY_HAND,
    Closing,
    Credit,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceDeduction,
    InvoiceLine,
    NumberSeries,
    Subscription,
)
from apps.billing.rating.money import from_minor, rounded, shown, to_minor, wrong_with
from apps.billing.rating.pricing import Deduction, Line, deduct, totals
from apps.billing.receivables import delinquency, receivables
from apps.billing.subscriptions.services import subscription_of
from apps.formats import plain
from apps.notifications.services import News, notify_all
from apps.periods import Period

#: An invoice is due this long after it was issued.
DUE = timedelta(days=14)
#: How an invoice was paid that earlier transfers had paid before it was issued.
BALANCE_TEXT = "earlier over-payment"

Status = Invoice.Status


class NotPossible(ValueError):
    """What was asked of an invoice can't be: the message says why."""


@dataclass(frozen=True)
class Bill:
    """What is to stand on an invoice, before coupons, credits and tax. Without `period` it is not for a month."""

    tenant: Tenant
    subscription: Subscription
    lines: Sequence[Line]
    period: str = ""
    plan_name: str = ""
    units: int = 0
    included: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def currency(self) -> str:
        return self.subscription.currency

    @property
    def subtotal(self) -> Decimal:
        return sum((line.amount for line in self.lines), rounded(0, self.currency))


def draft(bills: Sequence[Bill], now: datetime) -> list[Invoice]:
    """Everything of invoices but their numbers, with what coupons and credits take off. In the caller's transaction."""
    monthly = {bill.tenant.pk: (bill.currency, bill.period) for bill in bills if bill.period}
    offers = credits.offers(monthly, now)
    taken = [deduct(bill.subtotal, offers.get(bill.tenant.pk, ()), bill.currency) for bill in bills]
    invoices = Invoice.objects.bulk_create(_invoice(bill, off, now) for bill, off in zip(bills, taken, strict=True))
    InvoiceLine.objects.bulk_create(
        _line(invoice, place, line)
        for invoice, bill in zip(invoices, bills, strict=True)
        for place, line in enumerate(bill.lines, start=1)
    )
    _take(
        (invoice, place, one)
        for invoice, off in zip(invoices, taken, strict=True)
        for place, one in enumerate(off, start=1)
    )
    return invoices


@transaction.atomic
def issue(invoices: Sequence[Invoice], now: datetime) -> None:
    """Give drafts their numbers; one of nothing is paid at once, and so is one that earlier transfers have paid."""
    for invoice in invoices:
        if invoice.status != Status.DRAFT:
            raise NotPossible(f"{invoice} is {invoice.status}: only drafts are issued.")
    for invoice, number in zip(invoices, next_numbers("P", now, len(invoices)), strict=True):
        invoice.status, invoice.issued_at, invoice.due_at, invoice.number = Status.ISSUED, now, now + DUE, number
    Invoice.objects.bulk_update(invoices, ["status", "issued_at", "due_at", "number"])
    _move([one for one in invoices if not one.total], status=Status.PAID, paid_at=now, paid_how="nothing due")
    owed = [one for one in invoices if one.total]
    left = _pay_from_balance(owed, now)
    _notify_issued(owed, left, now)
    paid = [one for one in owed if not left[one.pk]]
    _move(paid, status=Status.PAID, paid_at=now, paid_how=BALANCE_TEXT)
    notify_all([_news(one, "invoice.paid") for one in paid], now)


def mark_paid(*, invoice: Invoice, now: datetime, how: str, actor: str = "billing", kept: str = "") -> bool:
    """Mark an invoice as paid in full and lift any limit. False when it was paid already (harmless).

    `kept`: what was paid beyond it. Raises `NotPossible` for a draft or a void one.
    """
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        if row.status == Status.PAID:
            return False
        if row.status != Status.ISSUED:
            raise NotPossible(f"{row} is {row.status}: it can't be paid.")
        check_not_under_way(row)
        _move([row], status=Status.PAID, paid_at=now, paid_how=how)
        record_audit(tenant=row.tenant, actor=actor, action="invoice.paid", target=row, after={"how": how}, now=now)
        notify_all([_news(row, "invoice.paid", **({"kept": kept} if kept else {}))], now)
        delinquency.refresh(row.tenant_id, now)
    invoice.refresh_from_db()
    return True


def void_invoice(*, invoice: Invoice, now: datetime, reason: str = "", actor: str = "command") -> None:
    """Take an unpaid invoice back: nothing of it is owed, its credits return. Its number stays used.

    Raises `NotPossible`, also where a part of it was paid: that is given back first, or a credit note corrects it.
    """
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        if row.status == Status.VOID:
            return
        if row.status != Status.ISSUED:
            raise NotPossible(f"{row} is {row.status}: only an issued, unpaid invoice is voided.")
        check_not_under_way(row)
        _check_nothing_paid(row)
        check_not_carried_on(row)
        _move([row], status=Status.VOID, voided_at=now)
        InvoiceLine.objects.filter(invoice=row).update(void=True)
        for used in row.deductions.exclude(credit=None):
            Credit.objects.filter(uses=used).update(remaining=F("remaining") + used.amount)
        after = {"reason": reason} if reason else None
        record_audit(tenant=row.tenant, actor=actor, action="invoice.voided", target=row, after=after, now=now)
        _notify(row, "invoice.voided", now)
        delinquency.refresh(row.tenant_id, now)
    invoice.refresh_from_db()


def issue_credit_note(
    *,
    invoice: Invoice,
    amount: Decimal,
    reason: str,
    now: datetime,
    to_balance: bool = False,
    actor: str = "command",
    form: str = "",
) -> CreditNote:
    """Correct an issued invoice by so much (tax included). `to_balance`: its net amount becomes a credit.

    How much of it is net and tax, on which lines, says `credit_note_lines`: over what earlier notes left. The same
    `form` again is the same note. An unpaid invoice that is wholly corrected is settled. Raises `NotPossible`.
    """
    with transaction.atomic():
        row = Invoice.objects.select_for_update().select_related("tenant").get(pk=invoice.pk)
        before = CreditNote.objects.filter(form=form).first() if form else None
        if before is not None:
            return before
        _check_note(row, amount)
        parts = credit_note_lines.taken(to_minor(amount, row.currency), _left(row))
        net, tax = (from_minor(sums, row.currency) for sums in credit_note_lines.total(parts))
        note = CreditNote.objects.create(
            number=next_numbers("C", now, 1)[0],
            invoice=row,
            amount=amount,
            tax=tax,
            reason=reason,
            issued_at=now,
            form=form or None,
        )
        _itemise(note, parts)
        if to_balance and net:
            why = _credit_reason(row, note)
            credits.grant(row.tenant, net, row.currency, reason=why, key=note.credit_key, now=now, actor=actor)
        if row.status == Status.ISSUED and not receivables.due(row):
            balances.release(row)
            _move([row], status=Status.PAID, paid_at=now, paid_how="credit note")
        after = {"number": note.number, "amount": str(amount), "reason": reason}
        record_audit(tenant=row.tenant, actor=actor, action="invoice.credit_note", target=row, after=after, now=now)
        _notify_note(note, now)
        delinquency.refresh(row.tenant_id, now)
    invoice.refresh_from_db()
    return note


def check_credit_note(*, invoice: Invoice, amount: Decimal, form: str = "") -> None:
    """Raises `NotPossible` where `issue_credit_note` would. The invoice stays locked until the caller's transaction is
    over."""
    row = Invoice.objects.select_for_update().get(pk=invoice.pk)
    if not (form and CreditNote.objects.filter(form=form).exists()):
        _check_note(row, amount)


def draft_invoice(
    *, tenant: Tenant, description: str, amount: Decimal, start: datetime, end: datetime, now: datetime
) -> Invoice:
    """A draft by hand, for something that is no month's usage: one line."""
    subscription = subscription_of(tenant.pk)
    amount = rounded(amount, subscription.currency)
    component = f"by hand {now.isoformat()}"
    line = Line(component, description, Decimal(1), amount, Fraction(amount), amount, start, end)
    with transaction.atomic():
        return draft([Bill(tenant, subscription, (line,))], now)[0]


def next_numbers(series: str, now: datetime, count: int) -> list[str]:
    """The next of the year's numbers: P-2026-000001. Their row stays locked until the caller commits: none is lost."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {NumberSeries._meta.db_table} AS known (series, year, last) VALUES (%s, %s, %s)"
            " ON CONFLICT (series, year) DO UPDATE SET last = known.last + EXCLUDED.last RETURNING last",
            [series, now.year, count],
        )
        last = cursor.fetchone()[0]
    return [f"{series}-{now.year}-{number:06d}" for number in range(last - count + 1, last + 1)]


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


def check_not_carried_on(invoice: Invoice) -> None:
    """Raises `NotPossible` when late units of its month stand on a later invoice: anew they would be billed twice."""
    later = InvoiceLine.objects.filter(tenant_id=invoice.tenant_id, component=f"late.{invoice.period}", void=False)
    numbers = sorted({str(line.invoice) for line in later.select_related("invoice")}) if invoice.period else []
    if numbers:
        raise NotPossible(
            f"Late units of {invoice.period} stand on {', '.join(numbers)}: void that first, or correct {invoice} by"
            " a credit note."
        )


def invoiced_by_day(tenant_id: int, period: Period) -> dict[str, int]:
    """Units of each day of a month that stand on invoices: its own, and later ones where they came late."""
    found: dict[str, int] = {}
    for invoice in Invoice.objects.filter(tenant_id=tenant_id).exclude(status__in=(Status.VOID, Status.DRAFT)):
        own = {invoice.period: invoice.usage.get("by_day", [])}
        days = invoice.usage.get("real_days", own).get(str(period), [])
        for day, units in (*days, *invoice.usage.get("late", {}).get(str(period), [])):
            found[day] = found.get(day, 0) + units
    return found


def _invoice(bill: Bill, taken: Sequence[Deduction], now: datetime) -> Invoice:
    subscription = bill.subscription
    return Invoice(
        tenant=bill.tenant,
        period=bill.period,
        currency=bill.currency,
        plan_name=bill.plan_name,
        bill_to=_bill_to(bill.tenant, subscription),
        seller=dict(settings.SELLER),
        units=bill.units,
        included=bill.included,
        usage=dict(bill.usage),
        tax_name=subscription.tax_name,
        tax_percent=subscription.tax_percent,
        created_at=now,
        **vars(totals(bill.subtotal, taken, subscription.tax_percent, bill.currency)),
    )


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


def _take(deductions: Iterable[tuple[Invoice, int, Deduction]]) -> None:
    """Note what coupons and credits took off, each at its place, and take it from the credits."""
    taken = list(deductions)
    InvoiceDeduction.objects.bulk_create(
        InvoiceDeduction(
            invoice=invoice,
            place=place,
            kind=one.kind,
            credit_id=int(one.reference) if one.kind == "credit" else None,
            description=one.description,
            amount=one.amount,
        )
        for invoice, place, one in taken
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {Credit._meta.db_table} SET remaining = remaining - %s WHERE id = %s",
            [(one.amount, int(one.reference)) for _, _, one in taken if one.kind == "credit"],
        )


def _bill_to(tenant: Tenant, subscription: Subscription) -> dict[str, str]:
    return {
        "name": subscription.billing_name or tenant.name,
        "address": subscription.billing_address,
        "email": subscription.billing_email,
        "country": subscription.country,
        "tax_id": subscription.tax_id,
    }


def check_not_under_way(invoice: Invoice) -> None:
    """Refuse while a card is being charged for it and no charge is known to have gone through: what is due must not
    change then. Raises `NotPossible`."""
    found = set(invoice.payments.exclude(provider__in=BY_HAND).values_list("status", flat=True))
    if found & {"intent", "processing"} and not found & {"succeeded", "refunded", "disputed"}:
        raise NotPossible(f"A payment of {invoice} is under way: wait for its outcome.")


def _check_nothing_paid(invoice: Invoice) -> None:
    paid = sum((payment.applied for payment in receivables.taken(invoice)), Decimal(0))
    if paid:
        amount = shown(paid, invoice.currency)
        raise NotPossible(f"{amount} of {invoice} were paid: refund that first, or correct it by a credit note.")


def _check_note(invoice: Invoice, amount: Decimal) -> None:
    noted = invoice.credit_notes.aggregate(all=Sum("amount"))["all"] or Decimal(0)
    if invoice.status not in (Status.ISSUED, Status.PAID):
        raise NotPossible(f"{invoice} is {invoice.status}: there is nothing to correct.")
    check_not_under_way(invoice)
    left = invoice.money(invoice.total - noted)
    if wrong := wrong_with(amount, invoice.currency):
        raise NotPossible(wrong)
    if amount > left:
        raise NotPossible(f"A credit note on {invoice} takes up to {left} {invoice.currency}.")


def _left(invoice: Invoice) -> list[Part]:
    """What earlier credit notes left of each line."""

    def units(amount: Decimal) -> int:
        return to_minor(amount, invoice.currency)

    lines = list(invoice.lines.all())
    left = credit_note_lines.billed([units(one.amount) for one in lines], units(invoice.credits), units(invoice.tax))
    for note in invoice.credit_notes.prefetch_related("lines").order_by("pk"):
        found = {one.line_id: Part(units(one.net), units(one.tax)) for one in note.lines.all()}
        own = [found.get(line.pk, Part(0, 0)) for line in lines]
        earlier = credit_note_lines.divided(Part(units(note.net), units(note.tax)), left)
        left = credit_note_lines.left(left, own if found else earlier)
    return left


def _itemise(note: CreditNote, parts: Sequence[Part]) -> None:
    """Write down what a note takes of each line."""
    currency = note.invoice.currency
    CreditNoteLine.objects.bulk_create(
        CreditNoteLine(note=note, line=line, net=from_minor(part.net, currency), tax=from_minor(part.tax, currency))
        for line, part in zip(note.invoice.lines.all(), parts, strict=True)
        if any(part)
    )


def _credit_reason(invoice: Invoice, note: CreditNote) -> str:
    """Credits come off before tax, so a note's tax is not in its credit: this says so, within the column."""
    tax = f" net of {plain(invoice.tax_percent)} % {invoice.tax_name or 'tax'}" if note.tax else ""
    return f"Credit note {note.number} ({invoice.money(note.net)}{tax}): {note.reason}"[:200]


def _move(invoices: Sequence[Invoice], **columns: Any) -> None:
    Invoice.objects.filter(pk__in=[invoice.pk for invoice in invoices]).update(**columns)
    for invoice in invoices:
        for name, value in columns.items():
            setattr(invoice, name, value)


def _notify(invoice: Invoice, kind: str, now: datetime) -> None:
    notify_all([_news(invoice, kind)], now)


def _pay_from_balance(invoices: Sequence[Invoice], now: datetime) -> dict[int, Decimal]:
    """Pay new invoices from what earlier transfers brought too much; what is left to pay of each, by its id."""
    left = {invoice.pk: invoice.money(invoice.total) for invoice in invoices}
    for payment in balances.of_tenants([invoice.tenant_id for invoice in invoices]):
        for invoice in (one for one in invoices if one.tenant_id == payment.tenant_id):
            if invoice.currency == payment.currency:
                left[invoice.pk] -= balances.move(payment, invoice, left[invoice.pk], now)
    return left


def _notify_note(note: CreditNote, now: datetime) -> None:
    invoice = note.invoice
    data = {
        "credit_note": note.public_id,
        "number": note.number,
        "invoice": invoice.public_id,
        "invoice_number": invoice.number,
        "amount": str(invoice.money(note.amount)),
        "tax": str(invoice.money(note.tax)),
        "currency": invoice.currency,
        "reason": note.reason,
        "amount_due": str(receivables.due(invoice)),
        "outcome": documents.outcome(note),
    }
    recipient = invoice.bill_to.get("email")
    to = [recipient] if recipient else None
    notify_all([News(invoice.tenant, "credit_note.issued", data, f"credit_note:{note.pk}", to=to)], now)


def _notify_issued(invoices: Sequence[Invoice], left: Mapping[int, Decimal], now: datetime) -> None:
    cards = payment_instructions.cards_of([invoice.tenant_id for invoice in invoices])
    more = [
        {
            "period": invoice.period,
            "due_at": times.rfc3339(now + DUE),
            "how_to_pay": payment_instructions.asked_at_first(invoice, cards.get(invoice.tenant_id), left[invoice.pk]),
        }
        for invoice in invoices
    ]
    notify_all([_news(one, "invoice.issued", **facts) for one, facts in zip(invoices, more, strict=True)], now)


def _news(invoice: Invoice, kind: str, **more: Any) -> News:
    data = {
        "invoice": invoice.public_id,
        "number": invoice.number,
        "total": str(invoice.money(invoice.total)),
        "currency": invoice.currency,
        **more,
    }
    recipient = invoice.bill_to.get("email")
    return News(invoice.tenant, kind, data, f"{kind}:{invoice.pk}", to=[recipient] if recipient else None)
