"""Celery as it is configured, with tasks of the suite's own: `celery -A tests.queued worker …`."""

import os
import time

from django.conf import settings

from apps.valkey import Valkey, server
from config.celery import HEAVY, MONEY, app

#: Instead of a quarter of an hour and of ten seconds.
app.conf.broker_transport_options |= {"visibility_timeout": 2, "unacked_restore_interval": 1}
app.conf.task_routes = app.conf.task_routes | {
    "tests.grind": {"queue": HEAVY},
    "tests.wait": {"queue": MONEY},
    "tests.pay": {"queue": MONEY},
}


def stand() -> Valkey:
    """Where these tasks and the test tell each other how far they are."""
    return server(settings.REDIS_URL, 5.0)


@app.task(name="tests.grind")
def grind() -> None:
    """Keep a processor busy until it is let go."""
    stand().command("SET", "test:niceness of grind", str(os.nice(0)))
    stand().command("INCR", "test:grinding")
    until = time.monotonic() + 120
    while not stand().command("EXISTS", "test:enough") and time.monotonic() < until:
        sum(range(10_000))
    stand().command("INCR", "test:ground")


@app.task(name="tests.wait")
def wait() -> None:
    """As a call to a bank that does not answer: one at a time."""
    stand().command("INCR", "test:waiting")
    until = time.monotonic() + 120
    while not stand().command("EXISTS", "test:enough") and time.monotonic() < until:
        time.sleep(0.05)


@app.task(name="tests.pay")
def pay() -> None:
    stand().command("SET", "test:niceness of pay", str(os.nice(0)))
    stand().command("SET", "test:paid", "1")
