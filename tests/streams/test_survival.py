"""Consumers that are killed, asked to stop, or lose their broker: every message is answered, none is billed twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from apps.accounts.tenancy import in_tenant
from apps.scoring.models import Decision
from apps.streams import metrics
from apps.streams.consumer import Stream
from apps.usage.models import UsageEvent
from bench.broker import Broker, running
from config.local.embedded import CHECKOUT
from tests.cast import Cast
from tests.live import environment_of
from tests.pace import within
from tests.streams.broker import Ground, decisions, until
from tests.streams.transactions import transaction

pytestmark = pytest.mark.django_db(transaction=True)
MESSAGES = 1_500


@contextmanager
def members(ground: Ground, key: str, number: int = 2) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """Processes of `manage.py stream` on a ground's topics, in one group."""
    topics, options = ground.topics, "session.timeout.ms=6000;heartbeat.interval.ms=500"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.streams.members", str(number), ground.broker.options["bootstrap.servers"]),
            *("--in", topics.source, "--out", topics.results, "--dead-letter", topics.dead_letters),
            *("--group", ground.group, "--schema", "paysim"),
        ],
        env=environment_of("config.settings.test", PALISADE_STREAM_KEY=key, PALISADE_STREAM_OPTIONS=options),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, [int(pid) for pid in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait(within(10))
        assert process.stdout is not None
        process.stdout.close()


def test_one_of_two_is_killed_under_load_and_the_other_asked_to_stop(
    broker: Broker, cast: Cast, drain: Callable[[], int]
) -> None:
    ground = Ground(broker, partitions=4)
    with members(ground, cast.alice.text) as (process, (victim, survivor)):
        for number in range(MESSAGES):
            ground.send(transaction(number))
        ground.sent()
        until(lambda: count(ground) > 100, lambda: ground.look(0.05))
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(answered(ground)) == MESSAGES, lambda: ground.look(0.1), 60)
        for number in range(MESSAGES, MESSAGES + 50):
            ground.send(transaction(number))
        ground.sent()
        until(lambda: len(answered(ground)) > MESSAGES, lambda: ground.look(0.05))
        os.kill(survivor, signal.SIGTERM)
        assert process.stdout is not None
        ends = dict(line.split() for line in process.stdout.read().splitlines())
    assert ends == {str(victim): "-9", str(survivor): "0"}
    found = decisions(ground.results())
    assert ground.committed() <= len({one["transaction_id"] for one in found})
    drain()
    ids = {(one["transaction_id"], one["id"]) for one in found}
    assert len(ids) == len({transaction_id for transaction_id, _ in ids})  # a repeat has the decision it had
    with in_tenant(cast.alice.tenant):
        assert Decision.objects.count() == len(ids)
    assert sum(UsageEvent.objects.filter(tenant_id=cast.alice.tenant.pk).values_list("units", flat=True)) == len(ids)
    ground.close()
    connection.close()


def count(ground: Ground) -> int:
    return len(ground.unseen[ground.topics.results])


def answered(ground: Ground) -> set[str | None]:
    return {one.key for one in ground.unseen[ground.topics.results]}


def test_a_broker_that_goes_away_is_said_and_counted_and_come_back_to(
    make_stream: Callable[[Ground], Stream], cast: Cast
) -> None:
    """What it holds is in memory: it comes back empty."""
    with running() as own:
        ground = Ground(own)
        stream = make_stream(ground)
        answer_one(ground, stream)
        before = metrics.BROKER_LOST._value.get()
        own.stop()
        until(lambda: stream.broker_away, stream.step)
        assert (metrics.BROKER_LOST._value.get() - before, metrics.BROKER_AWAY._value.get()) == (1, 1)
        own.start()
        again = Ground(own)
        again.topics, again.group = ground.topics, ground.group
        again.make_topics()
        again.send(transaction("after"))
        again.sent()
        done: list[int] = []
        until(lambda: sum(done) == 1, lambda: done.append(stream.step()), 30)
        assert not stream.broker_away
        assert metrics.BROKER_AWAY._value.get() == 0
        again.close()
        stream.close()


def test_who_leaves_while_the_broker_goes_does_not_wait_for_ever(
    make_stream: Callable[[Ground], Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.streams.consumer.LEAVE_SECONDS", 1.0)
    with running() as own:
        ground = Ground(own)
        stream = make_stream(ground)
        answer_one(ground, stream)
        own.stop()
        began = time.monotonic()
        stream.close()
        assert time.monotonic() - began < within(5)
        own.start()  # a client that is not killed goes on asking until one answers
        until(lambda: "leaving" not in {thread.name for thread in threading.enumerate()}, lambda: time.sleep(0.1), 30)


def answer_one(ground: Ground, stream: Stream) -> None:
    ground.send(transaction("before"))
    ground.sent()
    until(lambda: count(ground) == 1, lambda: (stream.step(), ground.look()))
    ground.close()
