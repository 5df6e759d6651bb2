"""Networks that keys are used from: each is noted once, with when it was first seen.

A process remembers what it has noted, so that a use from where its key always is costs nothing but a look.
"""

import ipaddress
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

#: Bits of an address that make its network: what one company or household mostly has.
BITS = {4: 24, 6: 48}
#: Pairs of key and network that a process remembers; beyond them it begins anew.
MOST_REMEMBERED = 100_000

_noted: set[tuple[int, str]] = set()


class Use(NamedTuple):
    """A key was used from an address."""

    key_id: int
    address: str
    at: datetime


def note_networks(cursor: Any, uses: Iterable[Use]) -> None:
    """Note the networks of some uses, inside the caller's transaction. Repeated notes change nothing."""
    new = {(use.key_id, network): use.at for use in uses if (network := network_of(use.address))
           and (use.key_id, network) not in _noted}  # fmt: skip
    if not new:
        return
    cursor.executemany(
        "INSERT INTO public.api_keys_keynetwork (key_id, network, first_seen_at)"
        " SELECT id, %(network)s, %(at)s FROM public.api_keys_apikey WHERE id = %(key)s ON CONFLICT DO NOTHING",
        [{"key": key, "network": network, "at": at} for (key, network), at in sorted(new.items())],
    )


def remember(uses: Iterable[Use]) -> None:
    """Ask no more about these: what noted them is committed."""
    if len(_noted) >= MOST_REMEMBERED:
        _noted.clear()
    _noted.update((use.key_id, network_of(use.address)) for use in uses)


def forget() -> None:
    """Remember nothing: tests begin anew."""
    _noted.clear()


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """The network of an address such as 192.0.2.0/24, "" of what is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network((mapped, BITS[mapped.version]), strict=False))
