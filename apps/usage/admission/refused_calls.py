"""Calls for scoring that were refused or failed once the gate had let them in, counted a month: what no usage event
tells. In Valkey alone, live keys alone; for people to see their success rate by, never for bills.

A refused body is counted in the gate's own call, so that refusing still costs one round trip.
"""

from datetime import datetime

from django.conf import settings

from apps.api_keys.gate import Names, Rider, with_rider
from apps.usage.admission.admission import COUNTER_SECONDS, period_of
from apps.valkey import Away, server

_COUNT = with_rider("call('INCR', KEYS[first]) call('EXPIRE', KEYS[first], ARGV[first])")


def riding(handle: str, now: datetime) -> Rider:
    """One more, once the gate lets the request in."""
    return Rider(_COUNT, [_key(handle, now)], [COUNTER_SECONDS])


def note(handle: str, now: datetime) -> None:
    """One more. Forgotten while Valkey is away."""
    valkey, key = server(settings.REDIS_URL, settings.REDIS_TIMEOUT), _key(handle, now)
    try:
        valkey.command("INCR", key)
        valkey.command("EXPIRE", key, COUNTER_SECONDS)
    except Away:
        return


def count(handle: str, now: datetime) -> int:
    """This month's; 0 while Valkey is away."""
    try:
        return int(server(settings.REDIS_URL, settings.REDIS_TIMEOUT).command("GET", _key(handle, now)) or 0)
    except Away:
        return 0


def _key(handle: str, now: datetime) -> str:
    return f"{Names(handle, True).tenant}:refused:{period_of(now)}"
