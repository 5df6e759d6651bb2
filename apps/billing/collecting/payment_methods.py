"""A customer's cards: entered at the provider, known here by id, brand and last digits."""

from datetime import UTC, datetime

from django.db import transaction

from apps.accounts.models import Tenant
from apps.billing.collecting.gateway import Gateway
from apps.billing.collecting.payment_state import Card
from apps.billing.models import PaymentCard
from apps.billing.subscriptions.services import set_payment_method, subscription_of


def customer_of(tenant: Tenant, gateway: Gateway, now: datetime) -> str:
    """The tenant's id at the provider; made on the first call, and the same one however often it is asked."""
    known = subscription_of(tenant.pk)
    if known.stripe_customer_id:
        return known.stripe_customer_id
    made = gateway.create_customer(
        name=known.billing_name or tenant.name, email=known.billing_email, reference=tenant.schema_name
    )
    set_payment_method(
        tenant_id=tenant.pk,
        ready=known.has_payment_method,
        label=known.payment_method_label,
        now=now,
        stripe_customer_id=made,
    )
    return made


def remove_customer(tenant: Tenant, gateway: Gateway, now: datetime) -> None:
    """Have the tenant forgotten at the provider, with its cards; payments stay in the provider's books.

    Without a provider to ask nothing is done. Harmless when repeated. Raises `GatewayError`: it has to be asked again.
    """
    customer = subscription_of(tenant.pk).stripe_customer_id
    if customer and gateway.collects:
        gateway.delete_customer(customer=customer)
        forget_customer(customer, now)


def tenant_of(customer: str) -> Tenant | None:
    """Whose customer id it is."""
    return Tenant.objects.filter(subscription__stripe_customer_id=customer).first() if customer else None


def is_in_use(card: str) -> bool:
    """Whether it is the one its tenant is charged with."""
    row = PaymentCard.objects.filter(card=card).first()
    return row is not None and PaymentCard.objects.in_use(row.tenant_id) == row


@transaction.atomic
def learn_card(tenant: Tenant, customer: str, value: Card, now: datetime) -> PaymentCard:
    """What the provider says of a card, in any order and any number of times; and what follows for the tenant."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    row, _ = PaymentCard.objects.get_or_create(card=value.id, defaults={"tenant": tenant, "customer": customer})
    row.brand, row.last4 = max(row.brand, value.brand), max(row.last4, value.last4)
    row.expires = max(row.expires, value.expires)
    row.removed = row.removed or value.removed
    chosen = datetime.fromtimestamp(value.chosen_at, UTC) if value.chosen_at else None
    row.chosen_at = max((at for at in (row.chosen_at, chosen) if at is not None), default=None)
    row.save()
    _use(tenant.pk, PaymentCard.objects.in_use(tenant.pk), now)
    return row


@transaction.atomic
def forget_customer(customer: str, now: datetime) -> str:
    """The customer is no longer at the provider, and its cards with it; the next page for a card makes a new one."""
    tenant = tenant_of(customer)
    if tenant is None:
        return "not a customer of ours"
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    PaymentCard.objects.filter(tenant=tenant, customer=customer).update(removed=True)
    _use(tenant.pk, PaymentCard.objects.in_use(tenant.pk), now)
    known = subscription_of(tenant.pk)
    ready, label = known.has_payment_method, known.payment_method_label
    nothing = dict.fromkeys(("stripe_customer_id", "told_country", "told_tax_id", "tax_id_state"), "")
    set_payment_method(tenant_id=tenant.pk, ready=ready, label=label, now=now, **nothing)
    return f"{tenant.slug} has no customer any more"


def _use(tenant_id: int, card: PaymentCard | None, now: datetime) -> None:
    """Let the subscription say which card is in use. A tenant whose card is gone has no payment method any more."""
    known = subscription_of(tenant_id)
    chosen, label = (card.card, str(card)) if card else ("", "")
    if card is not None and card.in_use_since is None:
        PaymentCard.objects.filter(pk=card.pk).update(in_use_since=now)
    if (known.stripe_payment_method_id, known.payment_method_label) == (chosen, label):
        return
    if card is None and not known.stripe_payment_method_id:  # by transfer, as agreed
        return
    set_payment_method(
        tenant_id=tenant_id, ready=card is not None, label=label, now=now, stripe_payment_method_id=chosen
    )
