"""Probes: each part of the service asked once, from the outside where it has an outside.

A part that can't be asked (none is configured, or what would tell is away itself) is neither up nor down.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.sla.aside import Aside, Late
from apps.sla.watching import Look
from apps.usage.metering.journal import Journal
from apps.valkey import Away, Valkey, server

#: Seconds a part may take to answer.
PATIENCE = 5.0
#: Entries of the journal wait no longer than this while the recorder is well, in ms.
RECORDED_WITHIN_MS = 60_000
#: The worker says so often that it works (config/celery.py), in seconds; unheard of for so long it does not.
PULSE_EVERY, PULSE_WITHIN = 15.0, 60
PULSE = "sla:pulse"
#: The list in which tasks wait for the worker that people wait for.
WAITING = "money"
_asking_postgres = Aside(PATIENCE)


@dataclass(frozen=True)
class Found:
    """What a probe found; `up` None when it can't tell. `detail` is for operators."""

    up: bool | None
    detail: str = ""


def look(part: str, second: int) -> Look:
    """Probe a part. `second`: when, since 1970."""
    began = time.monotonic()
    found = PROBES[part]()
    return Look(part, second, found.up, round((time.monotonic() - began) * 1_000, 1), found.detail[:200])


def say_pulse(now: float) -> None:
    """The worker works, and what is due reaches it. Raises `Away`."""
    _valkey().command("SET", PULSE, int(now), "EX", 3_600)


def _api() -> Found:
    return _answers(f"{settings.API_INSIDE_URL}/ready")


def _portal() -> Found:
    return _answers(f"{settings.PORTAL_INSIDE_URL}/health")


def _stripe() -> Found:
    if not settings.STRIPE_API_KEY:
        return Found(None, "not configured")
    return _answers(settings.STRIPE_API_BASE or "https://api.stripe.com", fails_from=500)


def _postgres() -> Found:
    """Whether a new connection is made and answers."""
    try:
        _asking_postgres.do(_select)
    except (*POSTGRES_AWAY, Late) as failure:
        return Found(False, str(failure).splitlines()[0] if str(failure) else type(failure).__name__)
    return Found(True)


def _select() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _valkey_answers() -> Found:
    return Found(True) if _valkey().answers() else Found(False, "no answer to a ping")


def _recorder() -> Found:
    try:
        age_ms = Journal(_valkey()).age_ms()
    except Away:
        return Found(None, "Valkey is away")
    return Found(age_ms <= RECORDED_WITHIN_MS, f"the oldest entry waits for {age_ms / 1_000:.1f} s")


def _worker() -> Found:
    """Tasks that wait while nobody works on them are the worker's fault; without any it is the schedule's."""
    silent, waiting = _silence()
    if silent is None:
        return Found(None, "Valkey is away, or it was never heard of")
    if silent > PULSE_WITHIN and not waiting:
        return Found(None, "nothing is due")
    return Found(silent <= PULSE_WITHIN, f"heard of {silent} s ago, {waiting} tasks wait")


def _beat() -> Found:
    silent, waiting = _silence()
    if silent is None or (silent > PULSE_WITHIN and waiting):
        return Found(None, "the worker would tell")
    return Found(silent <= PULSE_WITHIN, f"a task was begun {silent} s ago")


def _silence() -> tuple[int | None, int]:
    """For how many seconds the worker has not been heard of (None: can't be told), and how many tasks wait."""
    try:
        clock, said = _valkey().pipeline([("TIME",), ("GET", PULSE)])
        waiting = server(settings.BROKER_URL, settings.REDIS_TIMEOUT).command("LLEN", WAITING)
    except Away:
        return None, 0
    return None if said is None else max(int(clock[0]) - int(said), 0), int(waiting)


def _answers(address: str, fails_from: int = 400) -> Found:
    """Whether somebody answers there, with a status below `fails_from`."""
    headers = {"Host": settings.PUBLIC_HOSTS[0], "X-Forwarded-Proto": "https"} if settings.PUBLIC_HOSTS else {}
    own = headers if address.startswith((settings.API_INSIDE_URL, settings.PORTAL_INSIDE_URL)) else {}
    request = urllib.request.Request(address, headers=own)  # noqa: S310 - an address of our settings
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return Found(True, f"status {answer.status}")
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Found(refusal.code < fails_from, f"status {refusal.code}")
    except OSError as failure:
        return Found(False, str(failure))


def _valkey() -> Valkey:
    return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)


#: A probe for each of `parts.PARTS`.
PROBES: Mapping[str, Callable[[], Found]] = {
    "api": _api,
    "portal": _portal,
    "postgres": _postgres,
    "valkey": _valkey_answers,
    "worker": _worker,
    "beat": _beat,
    "recorder": _recorder,
    "stripe": _stripe,
}
