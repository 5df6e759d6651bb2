"""Addresses that are nobody's public server, as tables of data. Pure.

The interpreter's `ipaddress.is_global` answers with the registries of its patch level; these tables are ours to read,
to test and to renew. IANA's rows are those of its special-purpose address registries as of 2026-07-18:

    https://www.iana.org/assignments/iana-ipv4-special-registry
    https://www.iana.org/assignments/iana-ipv6-special-registry

A new row there is a new row here; tests/notifications/test_special_addresses.py walks the rows.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Special:
    """A block, where it is written down, and whether it is globally reachable (None: the registry doesn't say)."""

    network: Network
    name: str
    source: str
    reachable: bool | None = False


def _row(block: str, name: str, source: str, reachable: bool | None = False) -> Special:
    return Special(ipaddress.ip_network(block), name, source, reachable)


#: An address within any row that isn't reachable is refused, also where a smaller row within it is reachable.
SPECIAL: tuple[Special, ...] = (
    # --- IANA's registry for IPv4 ---
    _row("0.0.0.0/8", "This network", "RFC 791"),
    _row("0.0.0.0/32", "This host on this network", "RFC 1122"),
    _row("10.0.0.0/8", "Private-Use", "RFC 1918"),
    _row("100.64.0.0/10", "Shared Address Space", "RFC 6598"),
    _row("127.0.0.0/8", "Loopback", "RFC 1122"),
    _row("169.254.0.0/16", "Link Local", "RFC 3927"),
    _row("172.16.0.0/12", "Private-Use", "RFC 1918"),
    _row("192.0.0.0/24", "IETF Protocol Assignments", "RFC 6890"),
    _row("192.0.0.0/29", "IPv4 Service Continuity Prefix", "RFC 7335"),
    _row("192.0.0.8/32", "IPv4 dummy address", "RFC 7600"),
    _row("192.0.0.9/32", "Port Control Protocol Anycast", "RFC 7723", True),
    _row("192.0.0.10/32", "Traversal Using Relays around NAT Anycast", "RFC 8155", True),
    _row("192.0.0.170/32", "NAT64/DNS64 Discovery", "RFC 8880"),
    _row("192.0.0.171/32", "NAT64/DNS64 Discovery", "RFC 8880"),
    _row("192.0.2.0/24", "Documentation (TEST-NET-1)", "RFC 5737"),
    _row("192.31.196.0/24", "AS112-v4", "RFC 7535", True),
    _row("192.52.193.0/24", "AMT", "RFC 7450", True),
    _row("192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", "RFC 7526", None),
    _row("192.88.99.2/32", "6a44-relay anycast address", "RFC 6751"),
    _row("192.168.0.0/16", "Private-Use", "RFC 1918"),
    _row("192.175.48.0/24", "Direct Delegation AS112 Service", "RFC 7534", True),
    _row("198.18.0.0/15", "Benchmarking", "RFC 2544"),
    _row("198.51.100.0/24", "Documentation (TEST-NET-2)", "RFC 5737"),
    _row("203.0.113.0/24", "Documentation (TEST-NET-3)", "RFC 5737"),
    _row("240.0.0.0/4", "Reserved", "RFC 1112"),
    _row("255.255.255.255/32", "Limited Broadcast", "RFC 8190"),
    # --- IANA's registry for IPv6 ---
    _row("::1/128", "Loopback Address", "RFC 4291"),
    _row("::/128", "Unspecified Address", "RFC 4291"),
    _row("::ffff:0:0/96", "IPv4-mapped Address", "RFC 4291"),
    _row("64:ff9b::/96", "IPv4-IPv6 Translat.", "RFC 6052", True),
    _row("64:ff9b:1::/48", "IPv4-IPv6 Translat.", "RFC 8215"),
    _row("100::/64", "Discard-Only Address Block", "RFC 6666"),
    _row("100:0:0:1::/64", "Dummy IPv6 Prefix", "RFC 9780"),
    _row("2001::/23", "IETF Protocol Assignments", "RFC 2928"),
    _row("2001::/32", "TEREDO", "RFC 4380", None),
    _row("2001:1::1/128", "Port Control Protocol Anycast", "RFC 7723", True),
    _row("2001:1::2/128", "Traversal Using Relays around NAT Anycast", "RFC 8155", True),
    _row("2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", "RFC 9665", True),
    _row("2001:2::/48", "Benchmarking", "RFC 5180"),
    _row("2001:3::/32", "AMT", "RFC 7450", True),
    _row("2001:4:112::/48", "AS112-v6", "RFC 7535", True),
    _row("2001:10::/28", "Deprecated (previously ORCHID)", "RFC 4843", None),
    _row("2001:20::/28", "ORCHIDv2", "RFC 7343", True),
    _row("2001:30::/28", "Drone Remote ID Protocol Entity Tags (DETs) Prefix", "RFC 9374", True),
    _row("2001:db8::/32", "Documentation", "RFC 3849"),
    _row("2002::/16", "6to4", "RFC 3056", None),
    _row("2620:4f:8000::/48", "Direct Delegation AS112 Service", "RFC 7534", True),
    _row("3fff::/20", "Documentation", "RFC 9637"),
    _row("5f00::/16", "Segment Routing (SRv6) SIDs", "RFC 9602"),
    _row("fc00::/7", "Unique-Local", "RFC 4193"),
    _row("fe80::/10", "Link-Local Unicast", "RFC 4291"),
    # --- not in those registries ---
    _row("224.0.0.0/4", "Multicast", "RFC 5771"),
    _row("ff00::/8", "Multicast", "RFC 4291"),
    _row("::/96", "IPv4-Compatible (deprecated)", "RFC 4291"),
    _row("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765"),
    _row("3ffe::/16", "6bone (returned)", "RFC 3701"),
    _row("fec0::/10", "Site-local (deprecated)", "RFC 3879"),
    # --- what clouds answer at, within their customers' networks ---
    _row("168.63.129.16/32", "Azure's services of the host", "Azure: what is 168.63.129.16"),
    _row("169.254.169.254/32", "Metadata of AWS, Azure, Google and others", "RFC 3927"),
    _row("100.100.100.200/32", "Alibaba's metadata", "RFC 6598"),
    _row("192.0.0.192/32", "Oracle's metadata", "RFC 6890"),
    _row("fd00:ec2::254/128", "AWS's metadata", "RFC 4193"),
)  # fmt: skip
#: Whatever IPv6 is outside of it was given to nobody, but for the well-known prefix of NAT64.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _low(shift: int) -> Callable[[int], tuple[int, ...]]:
    return lambda number: (number >> shift & 0xFFFFFFFF,)


#: IPv6 that carries IPv4: where it leads is the business of whoever translates. Teredo inverts the client's address.
CARRIERS: tuple[tuple[Network, Callable[[int], tuple[int, ...]]], ...] = (
    (ipaddress.ip_network("::ffff:0:0/96"), _low(0)),
    (ipaddress.ip_network("::/96"), _low(0)),
    (ipaddress.ip_network("::ffff:0:0:0/96"), _low(0)),
    (NAT64, _low(0)),
    (ipaddress.ip_network("64:ff9b:1::/48"), _low(0)),
    (ipaddress.ip_network("2002::/16"), _low(80)),
    (ipaddress.ip_network("2001::/32"), lambda number: (number >> 64 & 0xFFFFFFFF, ~number & 0xFFFFFFFF)),
)
#: ISATAP (RFC 5214): the upper half of an interface's identifier, under any prefix; the universal bit set or not.
_ISATAP = (0x00005EFE, 0x02005EFE)


def faces(address: Address) -> Iterator[Address]:
    """The address itself and each IPv4 address it carries; of an IPv4-mapped one the IPv4 address alone."""
    carried = [] if address.version == 4 else [ipaddress.IPv4Address(one) for one in sorted(set(_carried(address)))]
    if address.version == 4 or address.ipv4_mapped is None:
        yield address
    yield from carried


def special(address: Address) -> Special | None:
    """The row that keeps this address from being anybody's public server, if one does."""
    for row in SPECIAL:
        if not row.reachable and address in row.network:
            return row
    if address.version == 6 and address not in GLOBAL_UNICAST and address not in NAT64:
        return Special(ipaddress.ip_network("::/0"), "Not global unicast", "RFC 4291")
    return None


def _carried(address: ipaddress.IPv6Address) -> Iterator[int]:
    number = int(address)
    for network, read in CARRIERS:
        if address in network:
            yield from read(number)
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        yield number & 0xFFFFFFFF
