"""The outbox: told once, tried until it works or is given up, by any number of workers, whoever dies."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.notifications import courier, delivery
from apps.notifications.models import Attempt, Delivery, Event, WebhookEndpoint
from apps.notifications.outcome import Outcome
from apps.notifications.schedule import DELAYS, MOST_TRIES
from apps.notifications.services import change_webhook, create_webhook, delete_webhook, notify, replay, send_test
from tests.cast import Cast
from tests.notifications.conftest import Mailbox
from tests.notifications.receiver import Receiver
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
Deliver = Callable[..., int]
SECOND = timedelta(seconds=1)


def tell(cast: Cast, key: str = "one", kind: str = "subscription.restored", **more: object) -> bool:
    return notify(tenant=cast.alice.tenant, kind=kind, data={"plan": "basic"} | more, key=key, now=timezone.now())


def test_telling_twice_tells_once(cast: Cast, hook: WebhookEndpoint, owner: str) -> None:
    assert (tell(cast), tell(cast), tell(cast, "another")) == (True, False, True)
    assert Event.objects.count() == 2
    assert Delivery.objects.count() == 4


def test_telling_at_the_same_time_tells_once(cast: Cast, hook: WebhookEndpoint) -> None:
    told: list[bool] = []
    together(8, lambda _: told.append(tell(cast)))
    assert sorted(told) == [False] * 7 + [True]
    assert Delivery.objects.count() == 1


def test_what_the_caller_rolls_back_is_not_told(cast: Cast, hook: WebhookEndpoint) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        tell(cast)
        raise RuntimeError
    assert not Event.objects.exists()


def test_another_tenants_key_is_another_key(cast: Cast) -> None:
    tell(cast)
    data = {"plan": "basic"}
    kind = "subscription.restored"
    assert notify(tenant=cast.bob.tenant, kind=kind, data=data, key="one", now=timezone.now())


def test_data_without_its_fields_is_a_fault_of_ours(cast: Cast) -> None:
    with pytest.raises(ValueError, match=r"invoice.paid lacks currency, invoice"):
        tell(cast, kind="invoice.paid", number="x", total="1")


def test_who_is_told(cast: Cast, receiver: Receiver, owner: str) -> None:
    now = timezone.now()
    for events, livemode in (([], True), (["invoice.paid"], True), (["subscription.restored"], True), ([], False)):
        create_webhook(tenant=cast.alice.tenant, livemode=livemode, url=receiver.url, now=now, events=events)
    create_webhook(tenant=cast.bob.tenant, livemode=True, url=receiver.url, now=now)
    off = create_webhook(tenant=cast.alice.tenant, livemode=True, url=receiver.url, now=now)
    change_webhook(webhook=off, changes={"enabled": False}, now=now)
    tell(cast)
    told = Delivery.objects.order_by("id").values_list("channel", "recipient", "endpoint__events")
    assert sorted(told, key=str) == [
        ("email", owner, None),
        ("webhook", receiver.url, ["subscription.restored"]),
        ("webhook", receiver.url, []),
    ]


def test_ten_failures_over_three_days_and_it_is_dead(
    hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.answering(503)
    send_test(webhook=hook, now=timezone.now())
    later = SECOND
    for delay in (*DELAYS, timedelta(days=1)):
        assert deliver(later) == 1
        assert deliver(later) == 0
        later += delay * 1.11
    one = Delivery.objects.get()
    assert (one.state, one.tries, one.next_try_at, len(receiver.received)) == ("dead", MOST_TRIES, None, MOST_TRIES)
    assert deliver(timedelta(days=30)) == 0


def test_retry_after_is_heeded(hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver) -> None:
    receiver.answering(429, Retry_After="120")
    send_test(webhook=hook, now=timezone.now())
    deliver()
    due = Delivery.objects.get().next_try_at
    assert due is not None
    assert 115 < (due - timezone.now()).total_seconds() < 125


# --- workers ---


def test_many_workers_deliver_each_once(cast: Cast, hook: WebhookEndpoint, receiver: Receiver) -> None:
    for number in range(60):
        tell(cast, str(number))
    tried: list[int] = []
    moment = timezone.now() + SECOND
    together(6, lambda _: tried.append(courier.deliver_due(lambda: moment)))
    assert sum(tried) == 60
    assert len({one.headers["webhook-id"] for one in receiver.received}) == len(receiver.received) == 60
    assert set(Delivery.objects.values_list("state", "tries")) == {("delivered", 1)}


def claim_all(now: datetime) -> list[Delivery]:
    return delivery.claim([one.id for one in delivery.look(delivery.FIRST, now)[0]], now)


def test_worker_that_died_leaves_a_delivery_that_is_tried_again(
    cast: Cast, hook: WebhookEndpoint, deliver: Deliver
) -> None:
    tell(cast)
    assert len(claim_all(timezone.now() + SECOND)) == 1  # and then it was killed
    assert deliver() == 0
    assert deliver(delivery.LEASE + 2 * SECOND) == 1
    assert Delivery.objects.get().state == "delivered"


def test_worker_that_was_too_slow_records_nothing(cast: Cast, hook: WebhookEndpoint, deliver: Deliver) -> None:
    tell(cast)
    (slow,) = claim_all(timezone.now() + SECOND)
    deliver(delivery.LEASE + 2 * SECOND)
    delivery.record(slow, Outcome(delivered=False), timezone.now())
    assert Delivery.objects.get().state == "delivered"
    assert Attempt.objects.count() == 1


def test_webhook_deleted_during_a_try(cast: Cast, hook: WebhookEndpoint) -> None:
    tell(cast)
    (one,) = claim_all(timezone.now() + SECOND)
    delete_webhook(webhook=hook, now=timezone.now())
    delivery.record(one, Outcome(delivered=True), timezone.now())
    assert not Attempt.objects.exists()


# --- the life of a webhook ---


def fail_until(hook: WebhookEndpoint, start: datetime, days: float, tries: int) -> None:
    """A webhook that failed `tries` times, evenly over so many days."""
    for number in range(tries):
        at = start + timedelta(days=days) * number / (tries - 1)
        one = send_test(webhook=hook, now=at)
        Delivery.objects.filter(pk=one.pk).update(tries=1)
        one.tries = 1
        delivery.record(one, Outcome(delivered=False, status=500), at)


@pytest.mark.parametrize(("days", "tries", "off"), [(4.9, 30, False), (6.0, 9, False), (5.0, 10, True)])
def test_webhook_is_switched_off_after_five_days_of_failures(
    hook: WebhookEndpoint, owner: str, days: float, tries: int, off: bool
) -> None:
    fail_until(hook, timezone.now(), days, tries)
    hook.refresh_from_db()
    assert (hook.disabled_at is not None) is off
    assert Event.objects.filter(kind="webhook.disabled").count() == int(off)
    assert Delivery.objects.filter(state="waiting", channel="webhook").exists() is not off


def test_people_are_told_why_it_was_switched_off(
    hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver, owner: str, mailbox: Mailbox
) -> None:
    receiver.answering(410)
    send_test(webhook=hook, now=timezone.now())
    assert deliver() == 2
    hook.refresh_from_db()
    assert hook.disabled_because == "It answered 410 Gone."
    assert "410 Gone" in str(mailbox.messages[0].get_body(("plain",)))
    assert len(receiver.received) == 1


def test_one_success_forgets_the_failures(hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver) -> None:
    fail_until(hook, timezone.now() - timedelta(days=4), 4.0, 20)
    send_test(webhook=hook, now=timezone.now())
    deliver()
    hook.refresh_from_db()
    assert (hook.failures, hook.failing_since) == (0, None)


def test_given_up_message_is_replayed_under_its_id(
    cast: Cast, hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.answering(410, 200)
    tell(cast)
    deliver()
    change_webhook(webhook=hook, changes={"enabled": True}, now=timezone.now())
    lost = Delivery.objects.get(state="dead")
    again = replay(delivery=lost, now=timezone.now(), actor="olga@example.com")
    assert deliver() == 1
    again.refresh_from_db()
    assert (again.state, again.tries) == ("delivered", 1)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert AuditEntry.objects.get(action="delivery.replayed").actor == "olga@example.com"


def test_settled_deliveries_are_forgotten_and_events_kept(cast: Cast, hook: WebhookEndpoint, deliver: Deliver) -> None:
    tell(cast)
    deliver()
    tell(cast, "waits")
    after = timezone.now() + delivery.KEPT + timedelta(days=1)
    assert delivery.forget_old(after) == 2  # the delivery and its attempt
    assert Delivery.objects.get().state == "waiting"
    assert tell(cast) is False
