"""IP addresses: the client's behind trusted proxies, and networks, in one form. Pure.

An address is written in one way: IPv4 as such and never mapped into IPv6, IPv6 compressed and without a zone. What a
proxy says counts only as far as our own proxies wrote it: both `X-Forwarded-For` and `Forwarded` (RFC 7239) are lists
that each proxy appends to, so they are read from the right and only while whoever wrote the next entry is trusted.
Where both are there and name different callers, one of them was written by the caller: neither is believed then.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]

#: A peer without an address came by a Unix socket: from this machine.
LOCAL = "127.0.0.1"
LOOPBACK: Networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
#: An entry of a list that is longer is no address, whatever it says.
_LONGEST = 100
_MAPPED_BITS = 96

#: Headers that proxies, balancers, CDNs and tunnels add, as META names them. One of them, and it was forwarded.
_OF_PROXIES = re.compile(
    r"HTTP_(?:"
    r"(?:.+_)?VIA|(?:.+_)?FORWARD(?:ED)?(?:_.+)?"  # the standards; X-Forwarded-*, X-Original-Forwarded-For
    r"|(?:.+_)?(?:CLIENT|REAL|CONNECTING|REMOTE|ORIGINATING|SOURCE|SOCKET|PROXYUSER)_?(?:IP|ADDR|PORT).*"
    r"|(?:X_|WL_)?PROXY_.+|X_ORIGINAL_.+|X_ENVOY_.+|X_SCHEME|FRONT_END_HTTPS|SURROGATE_CAPABILITY"
    r"|CF_.+|CDN_LOOP|CLOUDFRONT_.+|X_AMZ_CF_.+|X_AMZN_.+|FASTLY_.+|FLY_.+|X_VARNISH|X_?AKAMAI_.+|AKAMAI_.+|INCAP_.+"
    r"|X_SUCURI_.+|X_AZURE_.+|X_ARR_.+|X_APPENGINE_.+|X_CLOUD_TRACE_CONTEXT|X_VERCEL_.+|X_NF_.+|X_RAILWAY_.+"
    r"|TAILSCALE_.+|NGROK_.+"
    r")"
)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[^",]+|[",]', re.DOTALL)
_PAIR = re.compile(r"""[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?[ \t]*(?:;|$)""", re.ASCII)


def address_of(text: str) -> str | None:
    """The address that an entry names, without its port, brackets and quotes; None when it names none."""
    return _address_of(text) if len(text) <= _LONGEST else None


def network_of(text: str) -> Network:
    """A network in CIDR form; one of IPv4 mapped into IPv6 is that of IPv4. Raises `ValueError`."""
    network = ip_network(text.strip())
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return IPv4Network((inner, network.prefixlen - _MAPPED_BITS))
    return network


def networks_of(texts: Iterable[str]) -> Networks:
    """Several networks. Raises `ValueError`."""
    return tuple(network_of(text) for text in texts)


def inside(address: str, networks: Networks) -> bool:
    """Whether an address is in one of the networks."""
    found = _parsed(address)
    return any(found in network for network in networks)


def client_address(meta: Mapping[str, Any], trusted: Networks) -> str:
    """Who is calling, by a request's META; `trusted` are the networks of our own proxies."""
    peer = _peer(meta)
    if not trusted or not inside(peer, trusted):
        return peer
    callers = {_caller(peer, hops, trusted) for hops in (_x_forwarded_for(meta), _forwarded_for(meta)) if hops}
    return callers.pop() if len(callers) == 1 else peer


def came_over_tls(meta: Mapping[str, Any], trusted: Networks) -> bool:
    """Whether a proxy of ours says that the caller used TLS. All that is said has to say so."""
    return inside(_peer(meta), trusted) and set(_protocols(meta)) == {"https"}


def was_forwarded(meta: Mapping[str, Any]) -> bool:
    """Whether a request has any trace of a proxy, trusted or not."""
    return any(_OF_PROXIES.fullmatch(name) for name in meta)


def _peer(meta: Mapping[str, Any]) -> str:
    return address_of(meta.get("REMOTE_ADDR") or LOCAL) or LOCAL


@lru_cache(maxsize=4096)
def _address_of(text: str) -> str | None:
    text = _unquoted(text.strip(" \t"))
    node = _NODE.fullmatch(text)
    try:
        found = ip_address((node[1] or node[2]) if node else text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


@lru_cache(maxsize=4096)
def _parsed(address: str) -> Address:
    return ip_address(address)


def _caller(peer: str, hops: Sequence[str], trusted: Networks) -> str:
    """The first from the right whom nobody of ours vouches for; whoever wrote what names nobody, is taken for it."""
    address = peer
    for hop in reversed(hops):
        found = address_of(hop)
        if found is None:
            return address
        address = found
        if not inside(address, trusted):
            break
    return address


def _x_forwarded_for(meta: Mapping[str, Any]) -> list[str]:
    """The entries, oldest first; empty ones don't count (RFC 9110 5.6.1)."""
    return [hop for hop in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]


def _forwarded_for(meta: Mapping[str, Any]) -> list[str]:
    """The `for` of each element, "" for one that has none or can't be read; nothing when none of them speaks of it."""
    hops = [pairs.get("for") if pairs else "" for pairs in _forwarded(meta)]
    return [hop or "" for hop in hops] if any(hop is not None for hop in hops) else []


def _protocols(meta: Mapping[str, Any]) -> Iterator[str]:
    """Every protocol that is named, "" for an element that can't be read."""
    for word in meta.get("HTTP_X_FORWARDED_PROTO", "").split(","):
        if word.strip():
            yield word.strip().lower()
    for pairs in _forwarded(meta):
        if pairs is None or "proto" in pairs:
            yield pairs["proto"].lower() if pairs else ""


def _forwarded(meta: Mapping[str, Any]) -> list[dict[str, str] | None]:
    """The elements of `Forwarded` as their pairs, oldest first; None for one that can't be read."""
    return [_pairs(element) for element in _elements(meta.get("HTTP_FORWARDED", "")) if element.strip()]


def _elements(text: str) -> Iterator[str]:
    """What stands between commas outside of quotes. After a quote that never ends nothing can be told apart."""
    element = ""
    for piece in (found[0] for found in _PIECE.finditer(text)):
        if piece == '"':
            yield '"'
            return
        if piece == ",":
            yield element
            element = ""
        else:
            element += piece
    yield element


def _pairs(element: str) -> dict[str, str] | None:
    pairs: dict[str, str] = {}
    place = 0
    while place < len(element):
        found = _PAIR.match(element, place)
        if found is None or (found[1] or "").lower() in pairs:
            return None
        if found[1]:
            pairs[found[1].lower()] = _unquoted(found[2])
        place = found.end()
    return pairs


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text
