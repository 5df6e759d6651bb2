"""The one table of currencies, each row of it held against what Stripe publishes."""

from decimal import Decimal

import pytest

from apps.billing.collecting.stripe_gateway import minor_units
from apps.billing.rating.money import EXPONENTS
from apps.billing.receivables.receivables import LEAST
from apps.currencies import CURRENCIES, stripe_decimals
from apps.scoring.stripe_guard.mapping import mapped

#: https://docs.stripe.com/currencies, as read in November 2026: those told without decimals, with three, and those
#: that have none and are told with two. All others are told with two.
WHOLE = ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
THREE = ["BHD", "JOD", "KWD", "OMR", "TND"]
WHOLE_BUT_TOLD_IN_HUNDREDTHS = ["ISK", "UGX"]
WHOLE_IN_PAYOUTS_ALONE = ["HUF", "TWD"]


@pytest.mark.parametrize("code", sorted(CURRENCIES))
def test_every_currency_is_credible_and_told_as_stripe_tells_it(code: str) -> None:
    assert 1e-5 < CURRENCIES[code].dollars < 5
    assert len(code) == 3 and code.isupper()
    told = 0 if code in WHOLE else 3 if code in THREE else 2
    assert (CURRENCIES[code].stripe_decimals, stripe_decimals(code.lower())) == (told, told)
    step = 100 if code in WHOLE_BUT_TOLD_IN_HUNDREDTHS else 10 if code in THREE else 1
    assert CURRENCIES[code].step == step
    said = mapped({"id": "pi_1", "amount": 500_000, "currency": code.lower()}, "m").transaction
    assert (said["amount"], said["currency"]) == (500_000 / 10**told, code)


def test_all_that_stripe_names_is_in_the_table() -> None:
    assert {*WHOLE, *THREE, *WHOLE_BUT_TOLD_IN_HUNDREDTHS, *WHOLE_IN_PAYOUTS_ALONE} <= set(CURRENCIES)
    assert {code for code, one in CURRENCIES.items() if one.decimals != one.stripe_decimals} == {"ISK", "UGX", "MGA"}


@pytest.mark.parametrize("code", sorted(EXPONENTS))
def test_what_is_billed_is_told_to_stripe_with_the_same_decimals(code: str) -> None:
    assert CURRENCIES[code].decimals == CURRENCIES[code].stripe_decimals == EXPONENTS[code]
    assert code in LEAST


@pytest.mark.parametrize(
    ("amount", "currency", "units"), [("5.124", "KWD", 5120), ("500", "JPY", 500), ("10.99", "USD", 1099)]
)
def test_amounts_are_cut_to_what_a_card_can_be_charged(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units
