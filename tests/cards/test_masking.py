"""What is a card number, what is none, and how one is masked."""

import random
import timeit

import pytest

from apps import card_numbers
from apps.card_numbers import NETWORKS, mask, mask_id, mask_json, mask_number
from tests.cards.pans import forms, in_groups, masked, pan, readable, with_check_digit

VISA = "4111111111111111"
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
#: One of each network: as long as its longest number, and as its shortest.
OF_NETWORKS = sorted(
    {
        with_check_digit((bound + "0123456789" * 2)[: length - 1])
        for network in NETWORKS
        for bound in (network.low, network.high)
        for length in (min(network.lengths), max(network.lengths))
    }
)
#: They pass Luhn's check, and no issuer's range and length fit.
OF_NOBODY = [
    with_check_digit(one) for one in ("999999999999999", "123456789012", "77777777777777777", "90000000000001")
]


@pytest.mark.parametrize("card", OF_NETWORKS)
def test_card_of_every_network_is_masked_in_texts_ids_and_as_a_number(card: str) -> None:
    assert (mask(card), mask_id(card), mask_number(int(card))) == (masked(card),) * 3
    assert mask_id(f"order-{card}-b") == f"order-{masked(card)}-b"


@pytest.mark.parametrize("number", OF_NOBODY)
def test_number_that_fits_nobody_is_masked_in_a_text_alone(number: str) -> None:
    assert mask(f"paid with {number}.") == f"paid with {masked(number)}."
    assert (mask_id(number), mask_number(int(number))) == (number, int(number))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4111 1111 1111 1111", "4111 11** **** 1111"),
        ("4111-1111-1111-1111", "4111-11**-****-1111"),
        ("3782 822463 10005", "3782 82**** *0005"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 * * * * * * 1 1 1 1"),
        ("4111 - 1111 - 1111 - 1111", "4111 - 11** - **** - 1111"),
        ("4111\N{NO-BREAK SPACE}1111\N{THIN SPACE}1111\N{IDEOGRAPHIC SPACE}1111", "4111\xa011**\u2009****\u30001111"),
        ("4111‐1111–1111—1111", "4111‐11**–****—1111"),
        ("4111−1111－1111﹣1111", "4111−11**－****﹣1111"),
        ("4111\u200b1111\u200d1111\ufeff1111", "4111\u200b11**\u200d****\ufeff1111"),
        ("4111\n1111\t1111\r\n1111", "4111\n11**\t****\r\n1111"),
        ("4111+1111+1111+1111", "4111+11**+****+1111"),
        ("4111%201111%2D1111%C2%A01111", "4111%2011**%2D****%C2%A01111"),
        ("%34%31%31%31111111111111", "%34%31%31%3111******1111"),
        (
            "https://shop.example/?c=4111%201111%201111%201111&d=%zz",
            "https://shop.example/?c=4111%2011**%20****%201111&d=%zz",
        ),
        ("100%4111111111111111%", "100%411111******1111%"),
        ("100% of 4111111111111111", "100% of 411111******1111"),
        (VISA.translate(FULL_WIDTH), "４１１１１１******１１１１"),
        ("٤١١١١١١١١١١١١١١١", "٤١١١١١******١١١١"),
        (f"card{VISA}x", "card411111******1111x"),
        (f"({VISA})", "(411111******1111)"),
        (f"{VISA} 12/27 123", "411111******1111 12/27 123"),
        ("20 4111 1111 1111 1111 1227 123", "20 4111 11** **** 1111 1227 123"),
        ("2026-11-28 4111-1111-1111-1111", "2026-11-28 4111-11**-****-1111"),
        (f"{VISA} 5555555555554444", "411111******1111 555555******4444"),
        (f"{VISA},{VISA}", "411111******1111,411111******1111"),
        ("+4111111111111111", "+411111******1111"),
        ("1.4111111111111111", "1.411111******1111"),
    ],
)
def test_card_is_found_however_it_is_written(text: str, shown: str) -> None:
    assert mask(text) == shown
    assert len(shown) == len(text) or "%3" in text


#: Moments: in ms, µs and ns since 1970, and written out.
MOMENTS = [with_check_digit(one) for one in (
    "176432580000", "176432580000000", "176432580000000000", "2026112810300", "2026112810300012"
)]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *MOMENTS,
        "",
        "4111111111111112",  # Luhn
        "411111111111",  # 12 digits
        f"{VISA}0000",  # 20 digits
        f"1234{VISA}",
        "0000000000000000",
        "0000-0000-0000-0000",
        "0.4111111111111111",
        with_check_digit("+491511234567"),  # somebody's telephone
        f"({with_check_digit('+491511234567')})",
        "5e3f4111-1111-4111-8111-1111411111c1",
        "00000000-4111-1111-1111-11111111000a",
        "dec_01a14111111111111111b7df97df",
        "sha256:a4111111111111111b7df97dfffffffff",
        "192.168.100.200:8080",
        "2026-01-05T10:00:00.123456+00:00",
        "1,234,567,890,123,456",
        "411111******1111",
    ],
)
def test_what_is_no_card_stays(text: str) -> None:
    assert (mask(text), mask_id(text)) == (text, text)


def test_groups_out_of_a_longer_row_are_a_card_only_when_they_fit_an_issuer() -> None:
    nobody = in_groups(OF_NOBODY[0], " ")
    assert mask(f"{nobody} 1234567890") == f"{nobody} 1234567890"
    assert mask(nobody) != nobody


@pytest.mark.parametrize("seed", range(20))
def test_masking_again_changes_nothing_and_keeps_the_length(seed: int) -> None:
    luck = random.Random(seed)
    pieces = [*OF_NETWORKS, *"0123456789", " ", "-", "a", " ", "%20"]
    for _ in range(200):
        text = "".join(luck.choices(pieces, k=luck.randint(1, 12)))
        once = mask(text)
        assert (mask(once), len(once)) == (once, len(text))
        assert mask_id(mask_id(text)) == mask_id(text)


def test_json_is_masked_with_its_names_and_numbers() -> None:
    said = {VISA: [int(VISA), float(VISA), 1.5, True, None, {"a": in_groups(VISA, " ")}], "b": OF_NOBODY[0]}
    shown = {masked(VISA): [masked(VISA), masked(VISA), 1.5, True, None, {"a": "4111 11** **** 1111"}]}
    assert mask_json(said) == shown | {"b": masked(OF_NOBODY[0])}
    clean = {"a": ["b", 10**15, 2.5e14]}
    assert mask_json(clean) is clean


def test_cut_never_shows_the_beginning_of_a_number_whole() -> None:
    for before in range(90):
        assert not readable(card_numbers.cut(f"{'x' * before}{pan(1)}", 80).encode())
        assert "457293000" not in card_numbers.cut(f"{'x' * before}{pan(1)}", 80)


def test_forms_of_the_search_are_found_by_it_and_not_when_masked() -> None:
    for form in forms(pan(123456)):
        assert readable(form.encode()) == {123456}
        assert readable(mask(form).encode()) == set()
    assert readable(pan(7).encode().hex().encode()) == {7}


def test_long_texts_take_time_in_proportion() -> None:
    """A megabyte of the worst there is: rows of single digits."""
    assert timeit.timeit(lambda: card_numbers.holds_one({"more": "1 " * 500_000}), number=1) < 1.0
