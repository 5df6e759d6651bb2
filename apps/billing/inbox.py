"""What the provider tells us: verified, kept as it came, answered 200, and worked through later.

In any order, any number of times, and from two sides: webhooks, and the nightly look at the provider's own list. What
an event says is merged into what is known (`known.py`); one that is about something we don't know yet waits.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from prometheus_client import Counter, Gauge

from apps import card_numbers
from apps.billing import cards, clock, payments
from apps.billing.gateway import Gateway, GatewayError, Refused
from apps.billing.known import REFERENCE, Card, Known, chosen, of_charge, of_dispute, of_intent, of_payment_method
from apps.billing.models import ProviderEvent

log = logging.getLogger(__name__)

RECEIVED = Counter("palisade_provider_events_total", "Webhooks of the payment provider", ["kind", "new"])
WAITING = Gauge("palisade_provider_events_waiting", "Not worked through yet", multiprocess_mode="mostrecent")

#: One that can't be worked through yet is tried again after this long, doubled each time up to an hour.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
#: After so many tries (about two days) it waits for an operator.
MOST_TRIES = 50
#: Never stored: with them a stranger could confirm a payment from a browser.
_SECRET = ("client_secret",)

Json = Mapping[str, Any]


class NotYet(Exception):
    """The event is about something that is not known here yet; the message says what."""


def receive(body: bytes, signature: str, gateway: Gateway, now: datetime) -> bool:
    """Keep a webhook; whether it is new. Raises `Refused` when the provider did not sign it, else `ValueError`."""
    gateway.verify(body, signature)
    return keep(json.loads(body), now)


def keep(event: Json, now: datetime) -> bool:
    """Keep an event once, card numbers in it masked; whether it is new."""
    if not isinstance(event, Mapping) or not {"id", "type", "created", "data"} <= set(event):
        raise ValueError("no event")
    event = card_numbers.mask_json(event)
    _, new = ProviderEvent.objects.get_or_create(
        event_id=str(event["id"]),
        defaults={
            "kind": str(event["type"]),
            "happened_at": datetime.fromtimestamp(int(event["created"]), UTC),
            "received_at": now,
            "body": _without_secrets(event),
            "next_try_at": now,
        },
    )
    RECEIVED.labels(str(event["type"]), new).inc()
    return new


def work_through(gateway: Gateway, now: datetime, *, at_most: int = 500) -> int:
    """Work through what waits, oldest first; how many are done."""
    waiting = ProviderEvent.objects.filter(next_try_at__lte=now).order_by("happened_at", "pk")
    done = sum(work(event, gateway, now) for event in waiting[:at_most])
    WAITING.set(ProviderEvent.objects.filter(next_try_at__isnull=False).count())
    return done


def work(event: ProviderEvent, gateway: Gateway, now: datetime) -> bool:
    """One event, by whoever claims it first; whether it is done. A worker that dies leaves it to be claimed again."""
    wait = min(FIRST_WAIT * 2 ** min(event.tries, 10), LONGEST_WAIT)
    mine = ProviderEvent.objects.filter(pk=event.pk, tries=event.tries).filter(~Q(next_try_at=None))
    if not mine.update(tries=event.tries + 1, next_try_at=now + wait):
        return False
    row = ProviderEvent.objects.filter(pk=event.pk)
    try:
        outcome = handle(event.body, gateway, now)
    except (NotYet, GatewayError) as failure:
        given_up = event.tries + 1 >= MOST_TRIES
        row.update(outcome=f"waits: {failure}"[:200], **({"next_try_at": None} if given_up else {}))
        return False
    row.update(outcome=outcome[:200], done_at=now, next_try_at=None)
    return True


def replay(event: ProviderEvent, gateway: Gateway, now: datetime) -> bool:
    """Work through an event again, whatever became of it; whether it is done."""
    ProviderEvent.objects.filter(pk=event.pk).update(next_try_at=now, tries=0)
    event.refresh_from_db()
    return work(event, gateway, now)


def handle(event: Json, gateway: Gateway, now: datetime) -> str:
    """What an event changes; the outcome in words. Raises `NotYet`, `GatewayError`."""
    kind = subject(str(event["type"]))
    if kind in READS:
        return _of_payment(event["data"]["object"], READS[kind], now)
    handler = _HANDLERS.get(kind)
    return handler(event, gateway, now) if handler else "nothing to do"


def subject(kind: str) -> str:
    """What an event of this type is about, as the tables below call it."""
    return next((name for name in (*READS, *_HANDLERS) if kind.startswith(name)), "")


# --- payments ---

#: What events say of a payment, by the beginning of their type: the first that fits.
READS: Mapping[str, Callable[[Json], Known]] = {
    "payment_intent.": of_intent,
    "charge.dispute.": of_dispute,
    "charge.succeeded": of_charge,
    "charge.failed": of_charge,
    "charge.refunded": of_charge,
    "charge.updated": of_charge,
}


def _of_payment(said: Json, read: Callable[[Json], Known], now: datetime) -> str:
    known = read(said)
    payment = payments.find_payment(str((said.get("metadata") or {}).get(REFERENCE, "")), known.payment)
    if payment is None and read is not of_dispute:
        return "not a payment of ours"
    if payment is None:  # a dispute doesn't carry our reference, and its payment's id may be on its way
        raise NotYet(f"no payment {known.payment}")
    return str(payments.learn(payment.pk, known, clock.now_for(payment.tenant_id, now)))


# --- cards ---


def _learn(customer: str, said: Card, now: datetime) -> str:
    tenant = cards.tenant_of(customer)
    if tenant is None:
        raise NotYet(f"no customer {customer}")
    return str(cards.learn_card(tenant, customer, said, clock.now_for(tenant.pk, now)))


def _attached(event: Json, gateway: Gateway, now: datetime) -> str:
    method = event["data"]["object"]
    return _learn(_id(method.get("customer")), of_payment_method(method), now)


def _detached(event: Json, gateway: Gateway, now: datetime) -> str:
    method = event["data"]["object"]
    before = (event["data"].get("previous_attributes") or {}).get("customer")
    return _learn(_id(before), Card(method["id"], removed=True), now)


def _set_up(event: Json, gateway: Gateway, now: datetime) -> str:
    setup = event["data"]["object"]
    return _chosen(_id(setup.get("customer")), _id(setup.get("payment_method")), event["created"], gateway, now)


def _checked_out(event: Json, gateway: Gateway, now: datetime) -> str:
    session = event["data"]["object"]
    if session.get("mode") != "setup":
        return "nothing to do"
    customer, card = gateway.card_of_setup(_id(session["setup_intent"]))
    return _chosen(customer, card, event["created"], gateway, now)


def _chosen(customer: str, card: str, at: int, gateway: Gateway, now: datetime) -> str:
    """A card was entered to be used from now on. Its brand and digits are asked for, if it still is the one."""
    told = _learn(customer, chosen(Card(card), at), now)
    if not cards.is_in_use(card):
        return told
    try:
        return _learn(customer, gateway.use_card(customer=customer, card=card), now)
    except Refused:  # it was removed since; the event that says so is on its way
        return told


def _customer_updated(event: Json, gateway: Gateway, now: datetime) -> str:
    """The customer chose another card in the portal. Only a change of it counts: else the default may be an old one."""
    customer = event["data"]["object"]
    card = (customer.get("invoice_settings") or {}).get("default_payment_method")
    if not card or "invoice_settings" not in (event["data"].get("previous_attributes") or {}):
        return "nothing to do"
    return _learn(customer["id"], chosen(Card(_id(card)), event["created"]), now)


def _customer_deleted(event: Json, gateway: Gateway, now: datetime) -> str:
    customer = _id(event["data"]["object"])
    tenant = cards.tenant_of(customer)
    return cards.forget_customer(customer, clock.now_for(tenant.pk, now) if tenant else now)


Handler = Callable[[Json, Gateway, datetime], str]
_HANDLERS: Mapping[str, Handler] = {
    "payment_method.attached": _attached,
    "payment_method.detached": _detached,
    "setup_intent.succeeded": _set_up,
    "checkout.session.completed": _checked_out,
    "customer.updated": _customer_updated,
    "customer.deleted": _customer_deleted,
}


def _without_secrets(said: Any) -> Any:
    if isinstance(said, Mapping):
        return {name: _without_secrets(one) for name, one in said.items() if name not in _SECRET}
    return [_without_secrets(one) for one in said] if isinstance(said, list) else said


def _id(said: Any) -> str:
    return str(said["id"]) if isinstance(said, Mapping) else str(said or "")
