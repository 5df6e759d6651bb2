"""Who works on what: one table, a worker for each of its queues, and nobody's work in another's way."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest
from django.test import override_settings
from django.utils import timezone

from apps.notifications.services import create_webhook, send_test
from apps.simulation.tasks import simulate
from config import celery
from config.local.embedded import CHECKOUT
from config.local.supervisor import read_procfile
from tests import queued
from tests.cast import Cast
from tests.live import environment_of
from tests.notifications.receiver import receiving
from tests.pace import within
from tests.together import together

#: For what must happen: processes start within it on the slowest machine.
PATIENCE = 90.0
PROCFILE = read_procfile(CHECKOUT / "Procfile", {})
WORKERS = [name for name, command in PROCFILE.items() if "worker" in command]


CLOCK = """
import sys
from config.celery import WORK, clock
clock.finalize()
import django.apps
timed = sorted(name for name, work in WORK.items() if work.when)
print(django.apps.apps.ready, "numpy" in sys.modules, sorted(clock.conf.beat_schedule) == timed)
"""


def queue_of(name: str) -> str:
    return PROCFILE[name][PROCFILE[name].index("--queues") + 1]


def test_table_names_every_task_once_and_each_exists() -> None:
    for app in celery.ROOMS:
        import_module(f"apps.{app}.tasks")
    ours = {name for name in celery.app.tasks if name.startswith("apps.")}
    rows = [work.task for work in celery.WORK.values()]
    assert sorted(rows) == sorted(ours)


def test_each_queue_has_a_worker_and_each_worker_a_queue() -> None:
    assert sorted(queue_of(name) for name in WORKERS) == sorted({work.queue for work in celery.WORK.values()})
    assert celery.app.conf.task_default_queue in {work.queue for work in celery.WORK.values()}


def test_what_is_asked_for_every_few_seconds_does_not_pile_up() -> None:
    for row in celery.app.conf.beat_schedule.values():
        assert isinstance(row["schedule"], celery.crontab) or row["options"]["expires"] == row["schedule"]


def test_clock_loads_neither_apps_nor_models() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOCK], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=within(60)
    )
    assert done.stdout.split() == ["False", "False", "True"]


def test_each_thread_asks_our_app() -> None:
    """Pages are answered in threads: Celery's own default would send their tasks to a broker on this machine."""
    assert together(1, lambda _: simulate.app) == [celery.app]


def test_same_task_asked_for_meanwhile_has_nothing_to_add() -> None:
    ran: list[int] = []

    @celery.app.task(name="tests.nested")
    def nested() -> None:
        ran.append(1)
        nested()

    nested()
    nested()
    assert len(ran) == 2


@pytest.mark.django_db(transaction=True)
def test_busy_heavy_task_and_an_unanswered_payment_delay_no_other_payment_and_no_delivery(cast: Cast) -> None:
    stand = queued.stand()
    with override_settings(WEBHOOK_NETWORKS=["127.0.0.0/8"]), receiving() as receiver, working():
        for _ in range(5):
            queued.grind.delay()
            queued.wait.delay()
        until(lambda: stand.command("EXISTS", "test:grinding") and stand.command("EXISTS", "test:waiting"))
        hook = create_webhook(tenant=cast.alice.tenant, livemode=True, url=receiver.url, now=timezone.now())
        queued.pay.delay()
        send_test(webhook=hook, now=timezone.now())
        until(lambda: stand.command("EXISTS", "test:paid") and receiver.received)
        niceness = [int(stand.command("GET", f"test:{one}")) for one in ("niceness of grind", "niceness of pay")]
        assert niceness == [min(os.nice(0) + celery.HEAVY_NICENESS, 19), os.nice(0)]  # there is none above
        assert not stand.command("EXISTS", "test:ground")
        stand.command("SET", "test:enough", "1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "task", "begun"), [("heavy", "grind", "grinding"), ("money", "wait", "waiting")])
def test_what_a_killed_worker_had_in_hand_is_done_by_the_next(cast: Cast, name: str, task: str, begun: str) -> None:
    stand = queued.stand()
    with running(name) as first:
        getattr(queued, task).delay()
        until(lambda: stand.command("EXISTS", f"test:{begun}"))
        first.kill()
        first.wait(within(10))
    with running(name):
        until(lambda: int(stand.command("GET", f"test:{begun}")) == 2)
        stand.command("SET", "test:enough", "1")


@contextmanager
def working() -> Iterator[None]:
    """Whoever works through the queues and the outbox."""
    with running("heavy"), running("money"), running("deliver"):
        yield


@contextmanager
def running(name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the Procfile, over the suite's own stores, that knows the suite's tasks."""
    command = ["tests.queued" if word == "config" else word for word in PROCFILE[name]]
    program = {"celery": [sys.executable, "-m", "celery"], "python": [sys.executable]}
    words = [part for word in command for part in program.get(word, [word])]
    environment = environment_of("config.settings.portal", PALISADE_WEBHOOK_NETWORKS="127.0.0.0/8")
    process = subprocess.Popen(words, cwd=CHECKOUT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait(within(10))


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


ORPHAN = """
import os, sys, time
from celery.signals import worker_shutting_down
supervisor, worker = os.getpid(), os.fork()
if worker == 0:
    from config import celery
    celery.SUPERVISOR, celery.ALONE_SECONDS = supervisor, 1
    sys.stdin.read(1)  # told when to go on: the supervisor may be gone by then
    worker_shutting_down.send(None, sig="SIGTERM", how="Warm", exitcode=0)
    time.sleep(float(sys.argv[2]))
    print("went on", flush=True)
    os._exit(0)
print(worker, flush=True)
if sys.argv[1] == "stays":
    os.waitpid(worker, 0)
"""


@pytest.mark.parametrize(("supervisor", "seconds"), [("goes", 600.0), ("stays", 2.0)])
def test_worker_whose_supervisor_was_killed_ends_by_itself_whatever_it_waits_for(
    supervisor: str, seconds: float
) -> None:
    begun = [sys.executable, "-c", ORPHAN, supervisor, str(seconds)]
    process = subprocess.Popen(
        begun, cwd=CHECKOUT, env=environment_of("config.settings.portal"), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    assert int(process.stdout.readline()) > 0
    if supervisor == "goes":
        process.wait(within(PATIENCE))
    process.stdin.write("x")
    process.stdin.flush()
    went_on = process.stdout.read()  # until nobody has it open
    process.communicate(timeout=within(PATIENCE))
    assert went_on.strip() == ("went on" if supervisor == "stays" else "")
