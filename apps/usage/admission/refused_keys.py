"""Guesses at keys, counted an address: beyond a number a minute they are answered 429 instead of 401.

Only refusals are counted and only they are held up: a valid key from the same address never notices. Unknown keys are
counted in Valkey, so exactly over all processes; malformed ones, which cost no I/O to refuse, in each process, and so
are all while Valkey is away. The limit is GCRA's (apps/api_keys/gate.py): a minute's number at once, refilled evenly.
"""

import ipaddress
import time
from functools import cache, lru_cache

from django.conf import settings
from prometheus_client import Counter

from apps.errors import Problem
from apps.valkey import Away, Script, Valkey, server

#: Refused keys a minute from one address. Somebody who mistypes needs a handful.
PER_MINUTE = 30
#: Addresses a process remembers.
MOST_ADDRESSES = 10_000
#: Refusals that are guesses; a missing key is none.
GUESSES = ("key_malformed", "key_unknown", "token_invalid")

REFUSED = Counter("palisade_gate_refusals_total", "Requests refused at the gate, keys included", ["reason"])
HELD_UP = Counter("palisade_refused_keys_held_up_total", "Refused keys answered 429: too many from one address")

#: KEYS 1 the address's arrival time. ARGV 1 µs between two  2 how many at once. Answer: µs to wait, 0 when it fits.
COUNT_REFUSED = Script("""
local clock = redis.call('TIME')
local now, interval = clock[1] * 1000000 + clock[2], tonumber(ARGV[1])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval
local over = arrival - now - interval * ARGV[2]
if over > 0 then return math.ceil(over) end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
return 0
""")
_INTERVAL_US = 60_000_000 // PER_MINUTE


class LocalGuesses:
    """The same limit for one process alone."""

    def __init__(self) -> None:
        self._arrivals: dict[str, float] = {}

    def take(self, address: str, now: float) -> float:
        """Seconds to wait, 0 when one more refusal at `now` (monotonic seconds) fits."""
        interval = _INTERVAL_US / 1_000_000
        arrival = max(self._arrivals.get(address, now), now) + interval
        if arrival - now > 60.0 + 1e-9:
            return arrival - now - 60.0
        if len(self._arrivals) >= MOST_ADDRESSES:
            self._arrivals = {one: until for one, until in self._arrivals.items() if until > now}
        self._arrivals[address] = arrival
        return 0.0

    def forget(self) -> None:
        self._arrivals.clear()


@cache
def get_guesses() -> LocalGuesses:
    """The process's own."""
    return LocalGuesses()


def counted_here(refusal: Problem, address: str) -> Problem:
    """A refusal that cost no I/O, or that it comes too often."""
    wait = get_guesses().take(network_of(address), time.monotonic()) if refusal.code in GUESSES else 0.0
    return _held_up(refusal, wait)


def counted(refusal: Problem, address: str) -> Problem:
    """The refusal of an unknown key, or that there are too many of them."""
    network = network_of(address)
    try:
        wait = _valkey().run(COUNT_REFUSED, [f"refused:{network}"], [_INTERVAL_US, PER_MINUTE]) / 1_000_000
    except Away:
        wait = get_guesses().take(network, time.monotonic())
    return _held_up(refusal, wait)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Whom an address stands for: an IPv6 customer has a /64 to guess from."""
    known = ipaddress.ip_address(address)
    return str(known) if known.version == 4 else str(ipaddress.IPv6Network((int(known), 64), strict=False))


def _held_up(refusal: Problem, wait: float) -> Problem:
    """The refusal as it is answered, counted by its reason."""
    REFUSED.labels("keys_refused" if wait else refusal.code).inc()
    if not wait:
        return refusal
    HELD_UP.inc()
    return Problem("keys_refused", f"The limit is {PER_MINUTE} refused keys a minute.", retry_after=wait)


def _valkey() -> Valkey:
    return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
