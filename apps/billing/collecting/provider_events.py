"""Webhooks of the payment provider: verified, kept as they came, answered 200, and worked through later.

In any order, any number of times, and from two sides: webhooks, and the nightly look at the provider's own list. What
an event says is merged into what is known (`known.py`); one that is about something we don't know yet waits.

Every event that is kept comes to an end, and none holds up another:

    done       what it says was taken over, or there was nothing to do; `outcome` says which
    waits      for something not known yet, for the provider's answer, or after a fault of ours (logged): tried again
    given up   it can't be read, or has waited for two days; `outcome` says why, the admin replays it, a metric counts
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db import DataError
from django.db.models import Q
from prometheus_client import Counter, Gauge

from apps import card_numbers, stripe_events
from apps.accounts.tenancy import POSTGRES_AWAY
from apps.billing.collecting import customer_tax_ids, payment_methods, payments
from apps.billing.collecting.gateway import Gateway, GatewayError, Refused
from apps.billing.collecting.payment_state import (
    Card,
    PaymentState,
    chosen,
    of_charge,
    of_dispute,
    of_intent,
    of_payment_method,
    reference_of,
)
from apps.billing.models import ProviderEvent
from apps.billing.provider_objects import Fields, Json, Unreadable
from apps.billing.subscriptions import test_clock
from apps.stripe_events import LAST_SECOND, NoEvent

log = logging.getLogger(__name__)

RECEIVED = Counter("palisade_provider_events_total", "Webhooks of the payment provider", ["kind", "new"])
NO_EVENTS = Counter("palisade_provider_no_events_total", "Signed or listed by the provider, and never an event")
WAITING = Gauge("palisade_provider_events_waiting", "Not worked through yet", multiprocess_mode="mostrecent")
GIVEN_UP = Gauge("palisade_provider_events_given_up", "Somebody must look at them", multiprocess_mode="mostrecent")

#: One that can't be worked through yet is tried again after this long, doubled each time up to an hour.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
#: After so many tries (about two days) it waits for an operator.
MOST_TRIES = 50
#: Never stored: with them a stranger could confirm a payment from a browser.
_SECRET = ("client_secret",)


State = Literal["done", "waits", "given up"]


class NotYet(Exception):
    """The event is about something that is not known here yet; the message says what."""


def receive(body: bytes, signature: str, gateway: Gateway, now: datetime) -> bool:
    """Keep a webhook; whether it is new. Raises `Refused` when the provider did not sign it, else `NoEvent`."""
    gateway.verify(body, signature)
    try:
        return _keep(stripe_events.event_in(body), now)
    except NoEvent:
        NO_EVENTS.inc()
        raise


def keep(value: Json, now: datetime) -> bool:
    """Keep an event of the provider's list once; whether it is new. One that can never be an event is passed over."""
    try:
        return _keep(stripe_events.event_of(value), now)
    except NoEvent as wrong:
        NO_EVENTS.inc()
        log.error("the provider lists an event that is none: %s", wrong)
        return False


def _keep(event: stripe_events.Event, now: datetime) -> bool:
    """Keep it, card numbers in it masked."""
    body = card_numbers.mask_json(event.body)
    _, new = ProviderEvent.objects.get_or_create(
        event_id=body["id"],
        defaults={
            "kind": body["type"],
            "happened_at": datetime.fromtimestamp(event.created, UTC),
            "received_at": now,
            "body": _without_secrets(body),
            "next_try_at": now,
        },
    )
    RECEIVED.labels(subject(event.type) or "other", new).inc()
    return new


def work_through(gateway: Gateway, now: datetime, *, at_most: int = 500) -> int:
    """Work through what waits, oldest first; how many are done."""
    waiting = ProviderEvent.objects.filter(next_try_at__lte=now).order_by("happened_at", "pk")
    done = sum(work(event, gateway, now) for event in waiting[:at_most])
    WAITING.set(ProviderEvent.objects.waiting().count())
    GIVEN_UP.set(ProviderEvent.objects.given_up().count())
    return done


def work(event: ProviderEvent, gateway: Gateway, now: datetime) -> bool:
    """One event, by whoever claims it first; whether it is done. A worker that dies leaves it to be claimed again, but
    not for ever: the last try is claimed as given up."""
    wait = min(FIRST_WAIT * 2 ** min(event.tries, 10), LONGEST_WAIT)
    next_try_at = now + wait if event.tries + 1 < MOST_TRIES else None
    mine = ProviderEvent.objects.filter(pk=event.pk, tries=event.tries).filter(~Q(next_try_at=None))
    if not mine.update(tries=event.tries + 1, next_try_at=next_try_at):
        return False
    outcome, state = _outcome(event, gateway, now)
    ProviderEvent.objects.filter(pk=event.pk).update(
        outcome=outcome[:200],
        next_try_at=next_try_at if state == "waits" else None,
        done_at=now if state == "done" else event.done_at,
    )
    return state == "done"


def _outcome(event: ProviderEvent, gateway: Gateway, now: datetime) -> tuple[str, State]:
    """What a try came to, in words, and what that makes of the event. Without Postgres nothing can be noted."""
    try:
        return handle(event.body, gateway, now), "done"
    except (NotYet, GatewayError) as failure:
        return f"waits: {failure}", "waits"
    except Unreadable as wrong:
        return f"can't be read: {wrong}", "given up"
    except DataError as wrong:
        log.exception("event %s says what can't be stored", event.event_id)
        return f"can't be stored: {wrong}", "given up"
    except POSTGRES_AWAY:
        raise
    except Exception as fault:
        log.exception("event %s failed", event.event_id)
        return f"failed, see the log: {type(fault).__name__}", "waits"


def replay(event: ProviderEvent, gateway: Gateway, now: datetime) -> bool:
    """Work through an event again, whatever became of it; whether it is done."""
    ProviderEvent.objects.filter(pk=event.pk).update(next_try_at=now, tries=0)
    event.refresh_from_db()
    return work(event, gateway, now)


def handle(event: Json, gateway: Gateway, now: datetime) -> str:
    """What an event changes; the outcome in words. Raises `NotYet`, `GatewayError`, `Unreadable`."""
    kind = subject(str(event["type"]))
    if kind in READS:
        return _of_payment(_object(event), READS[kind], now)
    handler = _HANDLERS.get(kind)
    return handler(event, gateway, now) if handler else "nothing to do"


def subject(kind: str) -> str:
    """What an event of this type is about, as the tables below call it."""
    return next((name for name in (*READS, *_HANDLERS) if kind.startswith(name)), "")


# --- payments ---

#: What events say of a payment, by the beginning of their type: the first that fits.
READS: Mapping[str, Callable[[Json], PaymentState]] = {
    "payment_intent.": of_intent,
    "charge.dispute.": of_dispute,
    "charge.succeeded": of_charge,
    "charge.failed": of_charge,
    "charge.refunded": of_charge,
    "charge.updated": of_charge,
}


def _of_payment(value: Json, read: Callable[[Json], PaymentState], now: datetime) -> str:
    known = read(value)
    payment = payments.find_payment(reference_of(value), known.payment)
    if payment is None and read is not of_dispute:
        return "not a payment of ours"
    if payment is None:  # a dispute doesn't carry our reference, and its payment's id may be on its way
        raise NotYet(f"no payment {known.payment}")
    return str(payments.learn(payment.pk, known, test_clock.now_for(payment.tenant_id, now)))


# --- cards ---


def _learn(customer: str, value: Card, now: datetime) -> str:
    if not customer:
        return "nobody's card"
    tenant = payment_methods.tenant_of(customer)
    if tenant is None:
        raise NotYet(f"no customer {customer}")
    return str(payment_methods.learn_card(tenant, customer, value, test_clock.now_for(tenant.pk, now)))


def _attached(event: Json, gateway: Gateway, now: datetime) -> str:
    method = _object(event)
    return _learn(Fields(method).id_if_any("customer"), of_payment_method(method), now)


def _detached(event: Json, gateway: Gateway, now: datetime) -> str:
    return _learn(_before(event).id_if_any("customer"), Card(Fields(_object(event)).id("id"), removed=True), now)


def _set_up(event: Json, gateway: Gateway, now: datetime) -> str:
    setup = Fields(_object(event))
    return _chosen(setup.id_if_any("customer"), setup.id("payment_method"), _created(event), gateway, now)


def _checked_out(event: Json, gateway: Gateway, now: datetime) -> str:
    session = Fields(_object(event))
    if session.text("mode") != "setup":
        return "nothing to do"
    customer, card = gateway.card_of_setup(session.id("setup_intent"))
    return _chosen(customer, card, _created(event), gateway, now) if card else "nothing to do"


def _chosen(customer: str, card: str, at: int, gateway: Gateway, now: datetime) -> str:
    """A card was entered to be used from now on. Its brand and digits are asked for, if it still is the one."""
    payment = _learn(customer, chosen(Card(card), at), now)
    if not payment_methods.is_in_use(card):
        return payment
    try:
        return _learn(customer, gateway.use_card(customer=customer, card=card), now)
    except Refused:  # it was removed since; the event that says so is on its way
        return payment


def _customer_updated(event: Json, gateway: Gateway, now: datetime) -> str:
    """The customer chose another card in the portal. Only a change of it counts: else the default may be an old one."""
    customer = Fields(_object(event))
    card = customer.object("invoice_settings").id_if_any("default_payment_method")
    if not card or "invoice_settings" not in _before(event):
        return "nothing to do"
    return _learn(customer.id("id"), chosen(Card(card), _created(event)), now)


def _customer_deleted(event: Json, gateway: Gateway, now: datetime) -> str:
    customer = Fields(_object(event)).id("id")
    tenant = payment_methods.tenant_of(customer)
    return payment_methods.forget_customer(customer, test_clock.now_for(tenant.pk, now) if tenant else now)


def _tax_id_told(event: Json, gateway: Gateway, now: datetime) -> str:
    return customer_tax_ids.learn(_object(event))


def _object(event: Json) -> Any:
    """What an event is about, if it says so: rows of before events were looked at may say anything."""
    data = event.get("data")
    return data.get("object") if isinstance(data, Mapping) else None


def _before(event: Json) -> Fields:
    """What its members were before the event."""
    return Fields(event).object("data").object("previous_attributes")


def _created(event: Json) -> int:
    return Fields(event).number("created", LAST_SECOND)


Handler = Callable[[Json, Gateway, datetime], str]
_HANDLERS: Mapping[str, Handler] = {
    "payment_method.attached": _attached,
    "payment_method.detached": _detached,
    "setup_intent.succeeded": _set_up,
    "checkout.session.completed": _checked_out,
    "customer.updated": _customer_updated,
    "customer.deleted": _customer_deleted,
    "customer.tax_id.": _tax_id_told,
}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_secrets(one) for name, one in value.items() if name not in _SECRET}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value
