"""Reminders of open invoices that are to be transferred: before they are due and after, as `dunning.REMINDERS` has it.

Where a card is tried each failure is told instead, with the time of the next try.
"""

from datetime import datetime

from apps import times
from apps.billing.invoicing import payment_instructions
from apps.billing.models import Invoice, PaymentCard
from apps.billing.notifications import notify_customer
from apps.billing.receivables import dunning, receivables


def remind(tenant_id: int, now: datetime) -> int:
    """Remind a tenant of each open invoice whose turn it is, once each; how many there were."""
    card = payment_instructions.cards_of([tenant_id]).get(tenant_id)
    return sum(_remind(invoice, card, now) for invoice in receivables.open_invoices(tenant_id))


def _remind(invoice: Invoice, card: PaymentCard | None, now: datetime) -> bool:
    if invoice.due_at is None or receivables.next_try(invoice, card) is not None:
        return False
    after = dunning.reminder(invoice.due_at, now)
    if after is None:
        return False
    key = f"reminder:{invoice.pk}:{after.days}"
    return notify_customer(invoice.tenant, "invoice.reminder", _facts(invoice, invoice.due_at, now), key=key, now=now)


def _facts(invoice: Invoice, due_at: datetime, now: datetime) -> dict[str, object]:
    overdue = max((now - due_at).days, 0)
    step, at = dunning.next_step(receivables.hopeless_since(invoice.tenant_id, now), now) or (None, None)
    return {
        "invoice": invoice.public_id,
        "number": invoice.number,
        "due_at": times.rfc3339(due_at),
        "amount_due": str(receivables.due(invoice)),
        "currency": invoice.currency,
        "overdue_days": overdue,
        "next_step": step,
        "next_step_at": times.rfc3339_or_none(at),
        "how_to_pay": payment_instructions.transfer_instructions(
            invoice, receivables.due(invoice), overdue=now > due_at
        ),
    }
