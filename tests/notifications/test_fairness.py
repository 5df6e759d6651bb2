"""The courier at work: nobody's slow receivers delay anybody else, and it bears what happens to it.

No seconds are compared: a slow receiver here answers nothing at all until it is let, and whatever must not wait for it
has arrived before.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event as Flag
from threading import Thread

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.notifications import courier, delivery
from apps.notifications.courier import Courier
from apps.notifications.models import Attempt, Delivery, WebhookEndpoint, new_id
from apps.notifications.services import MOST_WEBHOOKS, News, create_webhook, notify_all, send_test
from config.local.embedded import CHECKOUT
from tests.cast import Cast
from tests.live import environment_of
from tests.notifications.receiver import Receiver, receiving
from tests.pace import within

pytestmark = pytest.mark.django_db(transaction=True)
#: For what must happen; nothing here takes as long.
PATIENCE = 30.0
KIND = "subscription.restored"


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    with ExitStack() as stack, override_settings(WEBHOOK_NETWORKS=["127.0.0.0/8"]):
        yield lambda: stack.enter_context(receiving())


@pytest.fixture
def slow(receivers: Callable[[], Receiver]) -> Receiver:
    one = receivers()
    one.answering_now.clear()
    return one


@contextmanager
def at_work() -> Iterator[Courier]:
    """A courier in a thread, with a connection of its own; done with what it had in hand at the end."""
    one, stopped = Courier(timezone.now), Flag()

    def run() -> None:
        try:
            one.run(stopped.is_set)
        finally:
            connection.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        stopped.set()
        thread.join(within(30))


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def hook_of(tenant: Tenant, to: Receiver, livemode: bool = True) -> WebhookEndpoint:
    return create_webhook(tenant=tenant, livemode=livemode, url=to.url, now=timezone.now())


def tell(tenant: Tenant, count: int, livemode: bool = True) -> None:
    now = timezone.now()
    notify_all(
        [News(tenant, KIND, {"plan": "basic"}, new_id("told", now), livemode=livemode) for _ in range(count)], now
    )


def test_fifty_that_wait_for_a_slow_receiver_delay_nobody_else(
    cast: Cast, slow: Receiver, receivers: Callable[[], Receiver]
) -> None:
    """84 s became less than one look: bob's arrives while none of alice's was answered; and so does his next."""
    quick = receivers()
    hook_of(cast.alice.tenant, slow)
    hook = hook_of(cast.bob.tenant, quick)
    tell(cast.alice.tenant, 50)
    send_test(webhook=hook, now=timezone.now())
    with at_work():
        until(lambda: len(slow.received) == courier.BOUNDS[Delivery.Channel.WEBHOOK].recipient)
        until(lambda: len(quick.received) == 1)
        send_test(webhook=hook, now=timezone.now())
        until(lambda: Delivery.objects.filter(tenant=cast.bob.tenant, state="delivered").count() == 2)
        assert len(slow.received) == courier.BOUNDS[Delivery.Channel.WEBHOOK].recipient
        slow.answering_now.set()
        until(lambda: Delivery.objects.filter(state="delivered").count() == 52)
    assert set(Delivery.objects.values_list("tries", flat=True)) == {1}


def test_all_of_a_tenants_webhooks_slow_with_a_thousand_waiting_delay_nobody_else(
    cast: Cast, slow: Receiver, receivers: Callable[[], Receiver]
) -> None:
    quick = receivers()
    for livemode in (True, False):
        for _ in range(MOST_WEBHOOKS):
            hook_of(cast.alice.tenant, slow, livemode)
        tell(cast.alice.tenant, 25, livemode)
    assert Delivery.objects.count() == 1_000
    hook = hook_of(cast.bob.tenant, quick)
    with at_work() as one:
        until(lambda: len(slow.received) == courier.BOUNDS[Delivery.Channel.WEBHOOK].tenant)
        send_test(webhook=hook, now=timezone.now())
        until(lambda: quick.received)
        assert one.under_way <= courier.BOUNDS[Delivery.Channel.WEBHOOK].tenant + 1
        Delivery.objects.filter(tenant=cast.alice.tenant, tries=0).update(state="dead", next_try_at=None)
        slow.answering_now.set()


def test_slow_webhook_does_not_keep_the_same_tenants_other_one_waiting(
    cast: Cast, slow: Receiver, receivers: Callable[[], Receiver]
) -> None:
    quick = receivers()
    hook_of(cast.alice.tenant, slow)
    hook_of(cast.alice.tenant, quick)
    tell(cast.alice.tenant, 10)
    with at_work():
        until(lambda: len(quick.received) == 10)
        assert len(slow.received) == courier.BOUNDS[Delivery.Channel.WEBHOOK].recipient
        slow.answering_now.set()


def test_fifty_under_way_take_one_connection_to_the_database(
    cast: Cast, slow: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(courier.BOUNDS, Delivery.Channel.WEBHOOK, courier.Bounds(at_once=200, tenant=200, recipient=50))
    monkeypatch.setattr(delivery, "OF_EACH", 50)
    hook_of(cast.alice.tenant, slow)
    tell(cast.alice.tenant, 50)
    before = connections()
    with at_work():
        until(lambda: len(slow.received) == 50)
        assert connections() <= before + 1  # the courier's
        slow.answering_now.set()
        until(lambda: Delivery.objects.filter(state="delivered").count() == 50)


def test_what_ended_while_the_database_was_away_is_recorded_afterwards(
    cast: Cast, slow: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "AWAY_SECONDS", 0.05)
    send_test(webhook=hook_of(cast.alice.tenant, slow), now=timezone.now())
    with at_work():
        until(lambda: slow.received)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}")
        slow.answering_now.set()
        until(lambda: Delivery.objects.get().state == "delivered")
    assert (len(slow.received), Attempt.objects.count()) == (1, 1)


def test_fault_of_ours_is_a_failed_try_and_ends_with_the_schedule(
    cast: Cast, slow: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "attempt", lambda *_: 1 / 0)
    send_test(webhook=hook_of(cast.alice.tenant, slow), now=timezone.now())
    assert courier.deliver_due(timezone.now) == 1
    one = Delivery.objects.get()
    assert (one.state, one.tries, one.attempts.get().answer) == (
        "waiting", 1, "It could not be sent, through a fault of ours.",
    )  # fmt: skip


def test_what_ends_its_process_at_every_try_is_given_up_after_the_tenth(cast: Cast, slow: Receiver) -> None:
    send_test(webhook=hook_of(cast.alice.tenant, slow), now=timezone.now())
    (waiting,), _ = delivery.look(delivery.FIRST, timezone.now())
    now = timezone.now()
    tries = 0
    while delivery.claim([waiting.id], now):
        now, tries = now + delivery.LEASE, tries + 1
    assert (tries, Delivery.objects.get().state) == (10, "dead")


# --- looking ---


def test_looks_go_round_all_lanes(
    cast: Cast, receivers: Callable[[], Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LANES_A_LOOK", 2)
    to = receivers()
    for player in cast.players:
        for _ in range(3):
            hook_of(player.tenant, to)
        tell(player.tenant, 1)
    now, after, seen = timezone.now(), delivery.FIRST, []
    while True:
        waiting, after = delivery.look(after, now)
        seen += [one.id for one in waiting]
        if after == delivery.FIRST:
            break
    assert sorted(seen) == sorted(Delivery.objects.values_list("pk", flat=True))
    assert courier.deliver_due(timezone.now) == 9


def test_look_reads_lane_by_lane_however_many_wait_in_one(cast: Cast, slow: Receiver) -> None:
    hook_of(cast.alice.tenant, slow)
    tell(cast.alice.tenant, 1)
    one = Delivery.objects.get()
    Delivery.objects.bulk_create(
        Delivery(
            id=f"dlv_{number:024x}", event=one.event, tenant=one.tenant, endpoint=one.endpoint, channel=one.channel,
            recipient=one.recipient, next_try_at=one.next_try_at, created_at=one.created_at,
        )
        for number in range(5_000)
    )  # fmt: skip
    asked = {"tenant": 0, "recipient": "", "lanes": 200, "each": 8, "now": timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE public.notifications_delivery")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF) {delivery._LOOK}", asked)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan, plan
    assert "delivery_lane" in plan, plan
    assert all(float(rows) <= 8 for rows in read(plan)), plan


def read(plan: str) -> list[str]:
    """Rows that came out of each step, and those that a step threw away."""
    return [part.split()[0] for word in ("rows=", "Rows Removed by Filter: ") for part in plan.split(word)[1:]]


# --- the process ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_process_that_is_stopped_or_killed_leaves_what_it_had_in_hand_due_again(
    cast: Cast, slow: Receiver, number: signal.Signals
) -> None:
    send_test(webhook=hook_of(cast.alice.tenant, slow), now=timezone.now())
    environment = environment_of("config.settings.portal", PALISADE_WEBHOOK_NETWORKS="127.0.0.0/8")
    process = subprocess.Popen([sys.executable, "manage.py", "deliver"], cwd=CHECKOUT, env=environment)
    try:
        until(lambda: slow.received)
        process.send_signal(number)
        assert process.wait(PATIENCE) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    finally:
        process.kill()
        process.wait(within(10))
    slow.answering_now.set()
    assert courier.deliver_due(timezone.now) == 0
    assert courier.deliver_due(lambda: timezone.now() + delivery.LEASE) == 1
    assert (Delivery.objects.get().state, Delivery.objects.get().tries) == ("delivered", 2)


#: Autovacuum looks in at any time and is nobody's connection.
OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


def connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {OTHERS}")
        return 1 + int(cursor.fetchone()[0])
