"""What a list may hold: a row a type, how an item is read, and under which names a transaction's value is looked up.

Both sides come to the same names: trimmed, composed and without case as parties are; a country by its code, a card's
number by its digits, an address by the networks it lies in, a BIN by the first digits. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Literal, NamedTuple, get_args

from apps import card_numbers, countries
from apps.scoring.engine.parties import party_name

TypeName = Literal["card", "user", "device", "email", "domain", "ip", "country", "bin", "merchant", "text"]
TYPE_NAMES: tuple[TypeName, ...] = get_args(TypeName)
LONGEST_VALUE = 254  # characters, as an e-mail address may have
_DOMAIN = re.compile(r"[^\s@/.]+(\.[^\s@/.]+)+")
_BIN = re.compile(r"[0-9]{6,8}")
_BETWEEN = re.compile(r"[^\w*]")
_STARS = "***"


class Item(NamedTuple):
    """A value as a list knows it: the name it is found by, how people are shown it, and the part of a value it is for
    ("" where it is for the whole): "4/24" of an address, "6" of a card's digits."""

    name: str
    shown: str
    prefix: str = ""


class ItemType(NamedTuple):
    """How one type is read. `names` tells under which names a value may stand in a list with items of these prefixes;
    `hashed`: what it holds names a card or a person, and is kept by a keyed hash and its masked form alone."""

    words: str
    takes: str
    read: Callable[[str], Item]
    names: Callable[[Any, Sequence[str]], Sequence[str]]
    hashed: bool = False


class NoItem(ValueError):
    """No item of its type: the message says what is taken, as the end of a sentence."""


def item_of(type_name: str, value: str | int) -> Item:
    """Read an item. Raises `NoItem`."""
    found = TYPES[type_name]
    text = str(value)
    if not text.strip() or len(text) > LONGEST_VALUE:
        raise NoItem(f"takes {found.takes}, of 1 to {LONGEST_VALUE} characters")
    item = found.read(text)
    if not item.name:
        raise NoItem(f"takes {found.takes}")
    return item if found.hashed else item._replace(shown=card_numbers.mask(item.shown))


def names_in(type_name: str, value: Any, prefixes: Sequence[str]) -> Sequence[str]:
    """The names under which a transaction's value may stand in such a list; none of a value that was not sent."""
    return () if value is None or value != value else TYPES[type_name].names(value, prefixes)


def is_whole(type_name: str) -> bool:
    """Whether a value stands in such a list by its whole name, and not by a part of it."""
    return TYPES[type_name].names is _whole


# --- types ----------------------------------------------------------------------------------------------------------


def _named(value: Any) -> str:
    return party_name(value)


def _whole(value: Any, prefixes: Sequence[str]) -> Sequence[str]:
    return (_named(value),)


def _text(value: str) -> Item:
    name = _named(value)
    return Item(name, name)


def _person(value: str) -> Item:
    name = _named(value)
    return Item(name, f"{name[:2]}{_STARS}{name[-2:]}" if len(name) >= 8 else f"{name[:1]}{_STARS}")


def _card(value: str) -> Item:
    name = _named(value)
    if name.isdecimal() and len(name) >= card_numbers.SHORTEST:
        return Item(name, f"{name[:6]}{'*' * (len(name) - 10)}{name[-4:]}")
    return _person(name)


def _email(value: str) -> Item:
    name = _named(value)
    local, at, domain = name.rpartition("@")
    return Item(name if local and domain else "", f"{local[:1]}{_STARS}{at}{domain}")


def _domain(value: str) -> Item:
    name = _domain_of(value)
    return Item(name if _DOMAIN.fullmatch(name) else "", name)


def _domain_of(value: Any) -> str:
    return _named(value).rpartition("@")[2].rstrip(".")


def _domain_names(value: Any, prefixes: Sequence[str]) -> Sequence[str]:
    return (_domain_of(value),)


def _country(value: str) -> Item:
    code = countries.code_of(value)
    return Item(code, code)


def _country_names(value: Any, prefixes: Sequence[str]) -> Sequence[str]:
    code = countries.code_of(value) if isinstance(value, str) else ""
    return (code,) if code else ()


def _bin(value: str) -> Item:
    digits = value.strip()
    return Item(digits, digits, str(len(digits))) if _BIN.fullmatch(digits) else Item("", "")


def _bin_names(value: Any, prefixes: Sequence[str]) -> Sequence[str]:
    """The first digits of a number, masked or not, that are as long as the list's."""
    name = _BETWEEN.sub("", _named(value))  # of a masked number they are still there
    known = len(name) - len(name.lstrip("0123456789"))
    return [name[: int(prefix)] for prefix in prefixes if int(prefix) <= known]


def _network(value: str) -> Item:
    """An address or a network of them; one of IPv4 written as IPv6's is that of IPv4."""
    try:
        network = ip_network(value.strip(), strict=False)
    except ValueError:
        return Item("", "")
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        network = IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    shown = str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
    (name,) = _network_names(network.network_address, [f"{network.version}/{network.prefixlen}"])
    return Item(name, shown, f"{network.version}/{network.prefixlen}")


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _address_names(value: Any, prefixes: Sequence[str]) -> Sequence[str]:
    found = _address(str(value))
    return () if found is None else _network_names(found, prefixes)


def _network_names(address: IPv4Address | IPv6Address, prefixes: Sequence[str]) -> list[str]:
    """The networks of these prefixes an address lies in: "4/24/c00002" is 192.0.2.0/24."""
    number, version, bits = int(address), str(address.version), address.max_prefixlen
    return [
        f"{prefix}/{number >> (bits - int(prefix[2:])):x}" for prefix in prefixes if prefix.startswith(f"{version}/")
    ]


TYPES: Mapping[str, ItemType] = {
    "card": ItemType("Cards", "a card's number, or your own id of a card", _card, _whole, hashed=True),
    "user": ItemType("Users", "your id of a user", _person, _whole, hashed=True),
    "device": ItemType("Devices", "your id of a device", _text, _whole),
    "email": ItemType("E-mail addresses", "an e-mail address such as ann@example.com", _email, _whole, hashed=True),
    "domain": ItemType("Domains of e-mail addresses", "a domain such as example.com", _domain, _domain_names),
    "ip": ItemType("IP addresses", "an IP address or a network such as 192.0.2.0/24", _network, _address_names),
    "country": ItemType("Countries", "an ISO 3166 code such as DE, or an English name", _country, _country_names),
    "bin": ItemType("BINs", "the first 6 to 8 digits of a card", _bin, _bin_names),
    "merchant": ItemType("Merchants", "your id of a merchant", _text, _whole),
    "text": ItemType("Texts", "any text", _text, _whole),
}
