"""A customer's tax id at the payment provider: told when it changes, and what the tax office said of it.

The subscription's row is the queue: what is asked for (`country`, `tax_id`) beside what was told (`told_country`,
`told_tax_id`). A call that was not answered leaves the row as it is, and the next run tells it again.
"""

from collections.abc import Mapping

from django.db.models import F, Q

from apps.billing.collecting.gateway import Gateway, GatewayError, Refused
from apps.billing.collecting.payment_state import TAX_ID_STATES, state_of_tax_id
from apps.billing.models import Subscription
from apps.billing.provider_objects import Fields, Json
from apps.billing.tax_ids import for_provider

#: The provider won't take the number: it is told to the customer, and not told again until it changes.
REFUSED = "refused"
#: What the page of billing details says of a number, by its state.
SAID: Mapping[str, str] = {
    "pending": "The tax office is being asked about this number.",
    "verified": "The tax office has confirmed this number.",
    "unverified": "The tax office does not know this number: please check it.",
    REFUSED: "The payment provider does not take this number: please check it.",
}


def tell_due(gateway: Gateway) -> int:
    """Tell the provider of each tax id that changed since it was told; how many were told."""
    if not gateway.collects:
        return 0
    changed = ~Q(tax_id=F("told_tax_id")) | ~Q(country=F("told_country"))
    due = Subscription.objects.filter(changed).exclude(stripe_customer_id="")
    return sum(_tell(subscription, gateway) for subscription in due)


def _tell(subscription: Subscription, gateway: Gateway) -> bool:
    """Tell one; False where nobody answered."""
    country, tax_id = subscription.country, subscription.tax_id
    wanted = for_provider(tax_id, country)
    try:
        state = gateway.set_tax_id(customer=subscription.stripe_customer_id, tax_id=wanted)
    except Refused:
        state = REFUSED
    except GatewayError:
        return False
    same_customer = Subscription.objects.filter(pk=subscription.pk, stripe_customer_id=subscription.stripe_customer_id)
    same_customer.update(told_country=country, told_tax_id=tax_id, tax_id_state=state)
    return True


def learn(tax_id: Json) -> str:
    """What an event says of a customer's tax id, in any order and any number of times; the outcome in words."""
    said = Fields(tax_id)
    known = Subscription.objects.filter(stripe_customer_id=said.id_if_any("customer")).exclude(stripe_customer_id="")
    subscription = known.first()
    if subscription is None:
        return "not a customer of ours"
    told = for_provider(subscription.told_tax_id, subscription.told_country)
    if told is None or told != (said.text("type"), said.text("value")):
        return "not the tax id in use"
    state = state_of_tax_id(tax_id)
    earlier = TAX_ID_STATES[: TAX_ID_STATES.index(state)]
    changed = known.filter(pk=subscription.pk, tax_id_state__in=earlier).update(tax_id_state=state)
    return f"the tax id is {state}" if changed else "nothing to do"
