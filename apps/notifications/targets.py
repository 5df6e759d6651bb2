"""Targets a webhook may be sent to. A customer names the address, so it must not lead into our own network (SSRF).

What the URL itself says is looked at when the webhook is made or changed, and again at each try: an address in whatever
spelling, a name that only means something within a network. What a name resolves to is looked at when it is tried and
never before: whether it does resolve, and to what, is told to operators alone. It is resolved once and every address it
has is looked at; the connection then goes to the very address that was looked at, so a name that resolves otherwise a
moment later (DNS rebinding) changes nothing. Redirects are not followed.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from apps.notifications.special_addresses import Address, Network, faces, special

__all__ = ["Address", "Network", "NotAllowed", "Target", "Unreachable", "look_up", "may_call", "parse", "resolve"]

LONGEST_URL = 2_048
LONGEST_NAME = 253
#: Addresses of a name that are tried.
MOST_ADDRESSES = 4
#: Names that mean something within a network alone: RFC 6761, 6762 (appendix G), 7686, 8375, and ICANN's `internal`.
LOCAL_NAMES = (
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa", "onion",
)  # fmt: skip
_VISIBLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
#: A last label that makes the whole a number to whoever resolves it: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

LookUp = Callable[[str, int], list[str]]


class NotAllowed(ValueError):
    """A webhook may not be sent there, and its URL alone says so: the message says why."""


class Unreachable(Exception):
    """A name leads to nothing that may be called. The message is for operators: customers don't see it."""


@dataclass(frozen=True)
class Target:
    """A URL taken apart; `path` includes the query."""

    https: bool
    host: str
    port: int
    path: str


def parse(url: str, networks: Sequence[Network]) -> Target:
    """A webhook's URL. `networks`: private ones that may be called, also without TLS. Raises `NotAllowed`. No I/O."""
    if len(url) > LONGEST_URL or not _VISIBLE.fullmatch(url):
        raise NotAllowed(f"It takes up to {LONGEST_URL:,} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as wrong:
        raise NotAllowed("It is no URL.") from wrong
    if parts.scheme != "https" and not (parts.scheme == "http" and networks):
        raise NotAllowed("It must begin with https://.")
    if not host or parts.username is not None or "#" in url:
        raise NotAllowed("It takes a host, and neither a user nor a fragment.")
    if port == 0:
        raise NotAllowed("It takes a port from 1 to 65535.")
    https = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(https, _host(host, networks, https), (443 if https else 80) if port is None else port, path)


def look_up(host: str, port: int) -> list[str]:
    """Every address of a name, as the system resolves it. Raises `OSError` without any."""
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def resolve(target: Target, networks: Sequence[Network], look_up: LookUp = look_up) -> list[str]:
    """The addresses to connect to. Raises `Unreachable` without any, or when one of them may not be called."""
    try:
        addresses = list(dict.fromkeys(look_up(target.host, target.port)))
    except (OSError, UnicodeError) as failure:
        raise Unreachable(f"{target.host} does not resolve: {failure}") from failure
    for address in addresses:
        if not may_call(ipaddress.ip_address(address.partition("%")[0]), networks, https=target.https):
            raise Unreachable(f"{target.host} is {address}, which may not be called")
    if not addresses:
        raise Unreachable(f"{target.host} has no address")
    return addresses[:MOST_ADDRESSES]


def may_call(address: Address, networks: Sequence[Network], *, https: bool) -> bool:
    """A public address, by TLS, that carries no other than public ones; or one that is ours to call."""
    if any(address in network for network in networks):
        return True
    return all(
        any(face in network for network in networks) or (https and special(face) is None) for face in faces(address)
    )


def _host(host: str, networks: Sequence[Network], https: bool) -> str:
    """A literal address that may be called, or a name that may be resolved; without the dot at its end."""
    if ":" in host:
        return _literal(host, networks, https)
    host = host.removesuffix(".")
    if _NUMBER.fullmatch(host):
        return _literal(host, networks, https)
    if not _NAME.fullmatch(host) or len(host) > LONGEST_NAME:
        raise NotAllowed("Its host is no name: a name in other letters is written as IDNA (xn--…).")
    if not networks and ("." not in host or any(f".{host}".endswith(f".{name}") for name in LOCAL_NAMES)):
        raise NotAllowed(f"{host} is not a public name.")
    return host


def _literal(host: str, networks: Sequence[Network], https: bool) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError as wrong:
        raise NotAllowed("Its host is an address, and not one as it is usually written, such as 8.8.8.8.") from wrong
    if "%" in host or not may_call(address, networks, https=https):
        raise NotAllowed(f"{host} is not a public address.")
    return host
