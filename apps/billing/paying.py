"""How an open invoice is paid: by a transfer with its number as the reference, or from the card in use."""

from collections.abc import Collection, Mapping

from django.conf import settings

from apps.billing import owing
from apps.billing.models import Invoice, PaymentCard
from apps.billing.money import shown


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
    return card if owing.collectable(invoice) and owing.next_try(invoice, card) is not None else None


def asked_for(invoice: Invoice, card: PaymentCard | None) -> str:
    """What is asked of the customer; nothing once it is paid or void. Where to transfer to is in `seller_of`."""
    left = owing.due(invoice)
    if invoice.status != Invoice.Status.ISSUED or not left or invoice.due_at is None:
        return ""
    amount, by_card = shown(left, invoice.currency), charged(invoice, card)
    if by_card is not None:
        return f"{amount} will be charged to your card ({by_card}). There is nothing to do."
    return f"Please transfer {amount} by {invoice.due_at:%-d %B %Y} with the reference {invoice.number} to:"
