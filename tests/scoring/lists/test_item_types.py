"""What each type of list takes, how it is shown, and which values of a transaction are in it."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scoring.lists.item_types import TYPE_NAMES, TYPES, NoItem, item_of, names_in

CARD = "4111111111111111"
#: Type → items: as they are given, as they are shown, values that are in the list by them, and values that are not.
READ: dict[str, list[tuple[str | int, str, list[Any], list[Any]]]] = {
    "card": [
        (
            "4111 1111-1111 1111",
            "411111******1111",
            [CARD, "4111-1111-1111-1111", int(CARD)],
            ["411111******1111", 4111],
        ),
        ("card-of-mine-77", "ca***77", ["CARD-of-mine-77 "], ["card-of-mine-78"]),
        (13926, "1***", [13926, 13926.0, "13926"], [13927]),
    ],
    "user": [("User-1001 ", "us***01", ["USER-1001", "user-1001"], ["user-100"]), ("Ann", "a***", ["ANN"], ["anne"])],
    "device": [("Pixel-7/α", "pixel-7/α", ["PIXEL-7/Α"], ["pixel-7"])],
    "email": [("Ann@Example.com", "a***@example.com", ["ann@example.com"], ["bob@example.com", "example.com"])],
    "domain": [
        ("@Example.com.", "example.com", ["ann@example.com", "EXAMPLE.com"], ["ann@mail.example.com", "example.org"])
    ],
    "ip": [
        ("192.0.2.7", "192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "no address"]),
        ("192.0.2.9/24", "192.0.2.0/24", ["192.0.2.255"], ["192.0.3.0", "2001:db8::1"]),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8", ["10.255.0.1"], ["11.0.0.1"]),
        ("2001:DB8::/32", "2001:db8::/32", ["2001:db8:ffff::1"], ["2001:db9::1"]),
        ("0.0.0.0/0", "0.0.0.0/0", ["8.8.8.8"], ["::1"]),
    ],
    "country": [("Germany", "DE", ["de", "Germany", " DE"], ["FR", 276]), ("uk", "GB", ["United Kingdom"], ["UA"])],
    "bin": [
        ("411111", "411111", [CARD, "411111******1111", "411111"], ["41111", "421111"]),
        ("41111122", "41111122", ["4111112233334444"], ["411111******1111"]),
    ],
    "merchant": [("M-1", "m-1", ["m-1"], ["m-2"])],
    "text": [("Hello  there", "hello  there", ["HELLO  THERE"], ["hello there"])],
}
REFUSED: dict[str, list[str]] = {
    "email": ["ann", "ann@", "@example.com"],
    "domain": ["example", "an example.com", "http://example.com/"],
    "ip": ["192.0.2", "192.0.2.0/33", "example.com"],
    "country": ["Atlantis", "XX"],
    "bin": ["41111", "411111222", "4111a1"],
    "text": ["", "   ", "x" * 255],
}


def test_every_type_has_its_rows() -> None:
    assert set(READ) == set(TYPE_NAMES) == set(TYPES)


@pytest.mark.parametrize(("kind", "row"), [(kind, row) for kind, rows in READ.items() for row in rows])
def test_an_item_is_shown_so_and_holds_these_values(
    kind: str, row: tuple[str | int, str, list[Any], list[Any]]
) -> None:
    value, shown, inside, outside = row
    item = item_of(kind, value)
    prefixes = [item.prefix] if item.prefix else []
    assert item.shown == shown
    assert [one for one in inside if item.name not in names_in(kind, one, prefixes)] == []
    assert [one for one in outside if item.name in names_in(kind, one, prefixes)] == []
    assert list(names_in(kind, None, prefixes)) == []


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in REFUSED.items() for value in values])
def test_what_is_no_item_is_refused_with_what_is_taken(kind: str, value: str) -> None:
    with pytest.raises(NoItem, match="takes"):
        item_of(kind, value)


@pytest.mark.parametrize("kind", [kind for kind, one in TYPES.items() if not one.hashed])
def test_a_card_number_in_another_list_is_masked(kind: str) -> None:
    if kind in ("device", "merchant", "text"):
        assert item_of(kind, CARD).shown == "411111******1111"


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128), st.integers(0, 128))
def test_networks_hold_what_the_standard_library_says(address: Any, other: Any, bits: int, more: int) -> None:
    networks = [ip_network((one, min(length, one.max_prefixlen)), strict=False) for one, length in
                ((address, bits), (other, more))]  # fmt: skip
    items = [item_of("ip", str(network)) for network in networks]
    names = names_in("ip", str(address), [item.prefix for item in items])
    told = ip_address(str(address))
    mapped = getattr(told, "ipv4_mapped", None)
    for network, item in zip(networks, items, strict=True):
        if mapped is None and not (network.version == 6 and item.prefix.startswith("4/")):
            assert (item.name in names) == (told in network)
