"""Payment instructions of an open invoice: a transfer with its number as the reference, or the card in use."""

from collections.abc import Collection, Mapping
from decimal import Decimal

from django.conf import settings

from apps.billing.models import Invoice, PaymentCard, Refund
from apps.billing.rating.money import shown
from apps.billing.receivables import receivables
from apps.formats import day_text


def seller_of(invoice: Invoice) -> Mapping[str, str]:
    """Who it is from, as it was drafted; those drafted before that was kept show what is set today."""
    return invoice.seller or settings.SELLER


def cards_of(tenant_ids: Collection[int]) -> dict[int, PaymentCard]:
    """The card each pays with; nobody's where no provider collects."""
    if not settings.STRIPE_API_KEY:
        return {}
    there = PaymentCard.objects.filter(tenant_id__in=tenant_ids, removed=False, chosen_at__isnull=False)
    return {card.tenant_id: card for card in there.order_by("chosen_at", "-card")}


def charged(invoice: Invoice, card: PaymentCard | None) -> PaymentCard | None:
    """The card that will be charged for it by itself; None: it is transferred."""
    return card if receivables.collectable(invoice) and receivables.next_try(invoice, card) is not None else None


def refunds_of(invoice: Invoice) -> list[Refund]:
    """What was given back of its payments, or was to be, the newest first."""
    found = [refund for payment in invoice.payments.all() for refund in payment.refunds.all()]
    return sorted(found, key=lambda one: (one.created_at, one.pk), reverse=True)


def asked_for(invoice: Invoice, card: PaymentCard | None) -> str:
    """What is asked of the customer now; nothing once it is paid or void. Where to transfer to is in `seller_of`."""
    left = receivables.due(invoice)
    if invoice.status != Invoice.Status.ISSUED or not left:
        return ""
    return _sentence(invoice, left, charged(invoice, card))


def how(provider: str) -> str:
    """The end of a sentence about money that came: by which way."""
    return {"transfer": "by bank transfer", "balance": "from an earlier over-payment"}.get(provider, "by card")


def asked_at_first(invoice: Invoice, card: PaymentCard | None, left: Decimal) -> str:
    """The same when it has just been issued, and where to. `left`: what is still to be paid. No query: many are told at
    once."""
    by_card = card if left >= receivables.LEAST[invoice.currency] else None
    if not left:
        return "It is paid from what an earlier transfer brought too much. There is nothing to do."
    if by_card is not None:
        return _sentence(invoice, left, by_card)
    return transfer_instructions(invoice, left)


def transfer_instructions(invoice: Invoice, left: Decimal, *, overdue: bool = False) -> str:
    """How much is to be transferred, by when unless that is over, and where to: several lines."""
    seller = seller_of(invoice)
    return "\n".join((_sentence(invoice, left, None, overdue), seller["name"], seller["payment_details"]))


def _sentence(invoice: Invoice, left: Decimal, by_card: PaymentCard | None, overdue: bool = False) -> str:
    assert invoice.due_at is not None  # noqa: S101 - it is issued
    amount = shown(left, invoice.currency)
    if by_card is not None:
        return f"{amount} will be charged to your card ({by_card}). There is nothing to do."
    by = "" if overdue else f" by {day_text(invoice.due_at)}"
    return f"Please transfer {amount}{by} with the reference {invoice.number} to:"
