"""The tables of special addresses, walked row by row: first, last, just outside; and whatever IPv6 carries IPv4."""

import ipaddress
import itertools
from collections.abc import Iterator

import pytest

from apps.notifications.special_addresses import GLOBAL_UNICAST, NAT64, SPECIAL, Address, Network, Special, faces
from apps.notifications.targets import may_call

#: As in IANA's two files of 2026-07-18: block, "Globally Reachable" (N/A and empty are "-").
IANA = """
0.0.0.0/8 False|0.0.0.0/32 False|10.0.0.0/8 False|100.64.0.0/10 False|127.0.0.0/8 False|169.254.0.0/16 False
172.16.0.0/12 False|192.0.0.0/24 False|192.0.0.0/29 False|192.0.0.8/32 False|192.0.0.9/32 True|192.0.0.10/32 True
192.0.0.170/32 False|192.0.0.171/32 False|192.0.2.0/24 False|192.31.196.0/24 True|192.52.193.0/24 True
192.88.99.0/24 -|192.88.99.2/32 False|192.168.0.0/16 False|192.175.48.0/24 True|198.18.0.0/15 False
198.51.100.0/24 False|203.0.113.0/24 False|240.0.0.0/4 False|255.255.255.255/32 False
::1/128 False|::/128 False|::ffff:0:0/96 False|64:ff9b::/96 True|64:ff9b:1::/48 False|100::/64 False
100:0:0:1::/64 False|2001::/23 False|2001::/32 -|2001:1::1/128 True|2001:1::2/128 True|2001:1::3/128 True
2001:2::/48 False|2001:3::/32 True|2001:4:112::/48 True|2001:10::/28 -|2001:20::/28 True|2001:30::/28 True
2001:db8::/32 False|2002::/16 -|2620:4f:8000::/48 True|3fff::/20 False|5f00::/16 False|fc00::/7 False|fe80::/10 False
"""
SAID = {"True": True, "False": False, "-": None}
ROWS = [pytest.param(row, id=str(row.network)) for row in SPECIAL]
REFUSED = [pytest.param(row, id=str(row.network)) for row in SPECIAL if not row.reachable]
REFUSED_V4 = [
    pytest.param(row, id=str(row.network)) for row in SPECIAL if not row.reachable and row.network.version == 4
]
PUBLIC, OURS = ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.1.2.3")


def public(address: Address) -> bool:
    return may_call(address, [], https=True)


def edges(network: Network) -> tuple[list[Address], list[Address]]:
    """First and last of it; what lies just before and behind."""
    first, last = network[0], network[-1]
    outside = [int(first) - 1, int(last) + 1]
    return [first, last], [type(first)(one) for one in outside if 0 <= one < 2**network.max_prefixlen]


def test_ianas_rows_are_all_there_with_what_the_registry_says() -> None:
    ours = {str(row.network): row.reachable for row in SPECIAL}
    rows = [one.split() for one in IANA.replace("\n", "|").split("|") if one]
    assert len(rows) == 51
    assert {block: ours.get(block, "missing") for block, _ in rows} == {block: SAID[said] for block, said in rows}


@pytest.mark.parametrize("row", REFUSED)
def test_row_is_refused_from_its_first_to_its_last_address(row: Special) -> None:
    for address in (*edges(row.network)[0], row.network[row.network.num_addresses // 2]):
        if address.version == 4 or address.ipv4_mapped is None:
            assert not public(address), address


@pytest.mark.parametrize("row", ROWS)
def test_just_outside_of_a_row_only_another_row_refuses(row: Special) -> None:
    for address in edges(row.network)[1]:
        others = [one for one in SPECIAL if not one.reachable and address in one.network]
        given = address.version == 4 or address in GLOBAL_UNICAST or address in NAT64
        assert public(address) is (not others and given), address


@pytest.mark.parametrize(
    "address",
    [
        "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
        "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.1.255", "192.0.3.0",
        "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "198.51.99.255",
        "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.15", "168.63.129.17", "2000::", "2001:200::",
        "2001:db7:ffff::", "2001:db9::", "2001:ffff::", "2003::", "2606:4700::1111", "3ffd::", "3fff:1000::", "2a00::1",
    ],
)  # fmt: skip
def test_neighbours_of_special_blocks_are_public(address: str) -> None:
    assert public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["::2:1", "1::1", "1fff::1", "4000::1", "5eff::1", "8000::1", "fbff::1", "fe00::1"])
def test_ipv6_that_was_given_to_nobody_is_refused(address: str) -> None:
    assert not public(ipaddress.ip_address(address))


def carrying(inner: ipaddress.IPv4Address) -> Iterator[tuple[str, ipaddress.IPv6Address, bool]]:
    """Each way to carry an IPv4 address, and whether it may be called when what it carries may."""
    number, inverted = int(inner), int(inner) ^ 0xFFFFFFFF
    made = {
        "mapped": (0xFFFF << 32 | number, True),
        "compatible": (number, False),
        "translated": (0xFFFF << 48 | number, False),
        "NAT64": (0x64FF9B << 96 | number, True),
        "local NAT64": (0x64FF9B0001 << 80 | number, False),
        "6to4": (0x2002 << 112 | number << 80 | 1, False),
        "Teredo's server": (0x20010000 << 96 | number << 64 | int(PUBLIC) ^ 0xFFFFFFFF, False),
        "Teredo's client": (0x20010000 << 96 | int(PUBLIC) << 64 | inverted, False),
        "ISATAP": (0x26064700 << 96 | 0x00005EFE << 32 | number, True),
        "ISATAP, universal": (0x26064700 << 96 | 0x02005EFE << 32 | number, True),
    }
    for name, (whole, may) in made.items():
        yield name, ipaddress.IPv6Address(whole), may


@pytest.mark.parametrize("row", REFUSED_V4)
def test_what_carries_a_special_address_is_refused_like_it(row: Special) -> None:
    for inner, (name, outer, _) in itertools.chain.from_iterable(
        ((inner, made) for made in carrying(inner)) for inner in edges(row.network)[0]
    ):
        assert inner in set(faces(outer)), (name, outer)
        assert not public(outer), (name, outer)


def test_what_carries_a_public_address_may_be_called_where_somebody_translates_it_in_public() -> None:
    assert {name: public(outer) for name, outer, _ in carrying(PUBLIC)} == {
        name: may for name, _, may in carrying(PUBLIC)
    }


def test_scope_changes_nothing() -> None:
    assert not public(ipaddress.ip_address("fe80::1%eth0"))
    assert not public(ipaddress.ip_address("::ffff:10.0.0.1%1"))


def test_operators_network_opens_the_address_and_not_all_that_carries_it() -> None:
    ours = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")]
    assert may_call(OURS, ours, https=False)
    assert may_call(ipaddress.ip_address("::1"), ours, https=False)
    opened = {name for name, outer, _ in carrying(OURS) if may_call(outer, ours, https=True)}
    assert opened == {"mapped", "NAT64", "ISATAP", "ISATAP, universal"}
    assert {name for name, outer, _ in carrying(OURS) if may_call(outer, ours, https=False)} == {"mapped"}
