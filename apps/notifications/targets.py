"""Where a webhook may be sent. A customer names the address, so it must not lead into our own network (SSRF).

A name is resolved once and every address it has is looked at; the connection then goes to the very address that was
looked at, so a name that resolves otherwise a moment later (DNS rebinding) changes nothing. Redirects are not followed.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2_048
#: Addresses of a name that are tried.
MOST_ADDRESSES = 4
_VISIBLE = re.compile(r"^[!-~]+$")
#: IPv6 that stands for an IPv4 address somebody else translates to: 6to4, Teredo, NAT64.
_TRANSLATED = tuple(
    ipaddress.ip_network(one) for one in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)


class NotAllowed(ValueError):
    """A webhook may not be sent there: the message says why."""


@dataclass(frozen=True)
class Target:
    """A URL taken apart; `path` includes the query."""

    https: bool
    host: str
    port: int
    path: str


def parse(url: str, networks: Sequence[Network]) -> Target:
    """A webhook's URL. `networks`: private ones that may be called, also without TLS. Raises `NotAllowed`. No I/O."""
    if len(url) > LONGEST_URL or not _VISIBLE.match(url):
        raise NotAllowed(f"It takes up to {LONGEST_URL:,} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as wrong:
        raise NotAllowed("It is no URL.") from wrong
    if parts.scheme != "https" and not (parts.scheme == "http" and networks):
        raise NotAllowed("It must begin with https://.")
    if not host or parts.username is not None or parts.fragment:
        raise NotAllowed("It takes a host, and neither a user nor a fragment.")
    _check_literal(host, networks)
    https = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(https, host, (443 if https else 80) if port is None else port, path)


def resolve(target: Target, networks: Sequence[Network]) -> list[str]:
    """The addresses to connect to. Raises `NotAllowed` when one of them may not be called, `OSError` without any."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if not may_call(ipaddress.ip_address(address.partition("%")[0]), networks, https=target.https):
            raise NotAllowed(f"{target.host} is {address}, which may not be called.")
    return addresses[:MOST_ADDRESSES]


def may_call(address: Address, networks: Sequence[Network], *, https: bool) -> bool:
    """A public address, by TLS; or one of the networks that are ours to call."""
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network for network in networks) or (https and _is_public(plain))


def _is_public(address: Address) -> bool:
    if any(address in network for network in _TRANSLATED):
        return False
    return address.is_global and not address.is_multicast


def _check_literal(host: str, networks: Sequence[Network]) -> None:
    """An address in place of a name is looked at when the webhook is made, too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not may_call(address, networks, https=True):
        raise NotAllowed(f"{host} is not a public address.")
