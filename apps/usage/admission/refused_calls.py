"""Calls for scoring that were refused or failed once the gate had let them in, counted by the hour: what no usage event
tells. In Valkey alone; for people to see their success rate by, never for bills.

A refused body is counted in the gate's own call, so that refusing still costs one round trip.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.conf import settings

from apps.api_keys.gate import Names, Rider, with_rider
from apps.periods import Period
from apps.usage.admission.admission import period_of
from apps.valkey import Away, server

#: A quarter beside the one before it can be looked at, whichever day of its month it begins on.
KEPT_SECONDS = 215 * 24 * 3600
_LUA = "call('HINCRBY', KEYS[first], ARGV[first], 1) call('EXPIRE', KEYS[first], ARGV[first + 1])"
COUNT_REFUSED_CALL = with_rider(_LUA)


def riding(handle: str, livemode: bool, now: datetime) -> Rider:
    """One more, once the gate lets the request in."""
    return Rider(COUNT_REFUSED_CALL, [_key(handle, livemode, now)], [_hour(now), KEPT_SECONDS])


def note(handle: str, livemode: bool, now: datetime) -> None:
    """One more. Forgotten while Valkey is away."""
    valkey, key = server(settings.REDIS_URL, settings.REDIS_TIMEOUT), _key(handle, livemode, now)
    try:
        valkey.command("HINCRBY", key, _hour(now), 1)
        valkey.command("EXPIRE", key, KEPT_SECONDS)
    except Away:
        return


def count(handle: str, now: datetime) -> int:
    """This month's with live keys; 0 while Valkey is away."""
    return sum((_of_month(handle, True, now) or {}).values())


def by_hour(handle: str, livemode: bool, start: datetime, end: datetime) -> dict[datetime, int] | None:
    """The hours from `start` on before `end` with any; None while Valkey is away."""
    found: dict[datetime, int] = {}
    month = Period.of(start)
    while month.start < end:
        counted = _of_month(handle, livemode, month.start)
        if counted is None:
            return None
        found |= counted
        month = month.next()
    return {hour: calls for hour, calls in found.items() if start <= hour < end}


def in_hours(handles: Sequence[str], livemode: bool, hours: Sequence[datetime]) -> dict[str, int] | None:
    """Calls of some hours together, by handle, in one round trip; None while Valkey is away."""
    commands = [("HGET", _key(handle, livemode, hour), _hour(hour)) for handle in handles for hour in hours]
    try:
        counts = server(settings.REDIS_URL, settings.REDIS_TIMEOUT).pipeline(commands) if commands else []
    except Away:
        return None
    each = len(hours)
    return {handle: sum(int(one or 0) for one in counts[n * each : (n + 1) * each]) for n, handle in enumerate(handles)}


def _of_month(handle: str, livemode: bool, now: datetime) -> dict[datetime, int] | None:
    try:
        pairs = server(settings.REDIS_URL, settings.REDIS_TIMEOUT).command("HGETALL", _key(handle, livemode, now))
    except Away:
        return None
    return {
        datetime.fromtimestamp(int(hour) * 3600, UTC): int(calls)
        for hour, calls in zip(pairs[::2], pairs[1::2], strict=True)
    }


def _hour(now: datetime) -> int:
    """Hours since 1970."""
    return int(now.timestamp()) // 3600


def _key(handle: str, livemode: bool, now: datetime) -> str:
    return f"{Names(handle, livemode).mode}:refusals:{period_of(now)}"
