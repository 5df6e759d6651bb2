"""Credits: the table's edges, exact; fees by share; what is written is never more than was reached."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.billing.rating.plans import current
from apps.billing.rating.pricing import Term
from apps.periods import Period
from apps.sla.credits import credit_amount, credit_percent, percent_of, promised_fee, promised_seconds

NOVEMBER = Period(2026, 11)


@pytest.mark.parametrize(
    ("availability", "percent"),
    [
        (None, 0), (Fraction(1), 0), (Fraction(999, 1000), 0), (Fraction(999, 1000) - Fraction(1, 10**12), 10),
        (Fraction(99, 100), 10), (Fraction(99, 100) - Fraction(1, 10**12), 25),
        (Fraction(95, 100), 25), (Fraction(95, 100) - Fraction(1, 10**12), 100), (Fraction(0), 100),
    ],
)  # fmt: skip
def test_the_table_holds_at_its_edges(availability: Fraction | None, percent: int) -> None:
    assert credit_percent(availability) == percent


@pytest.mark.parametrize(
    ("availability", "text"),
    [(Fraction(999, 1000), "99.9"), (Fraction(999, 1000) - Fraction(1, 10**9), "99.89999"), (Fraction(1), "100")],
)
def test_what_was_not_reached_is_not_written(availability: Fraction, text: str) -> None:
    assert percent_of(availability) == text
    assert percent_of(None) is None


@pytest.mark.parametrize(
    ("fee", "percent", "currency", "amount"),
    [
        ("999", 10, "USD", "99.90"),
        ("899", 25, "EUR", "224.75"),
        ("149800", 10, "JPY", "14980"),
        ("0.05", 10, "USD", "0.01"),
    ],
)
def test_a_credit_is_rounded_half_up_to_the_currencys_coin(fee: str, percent: int, currency: str, amount: str) -> None:
    assert credit_amount(Decimal(fee), percent, currency) == Decimal(amount)


def term(plan: str, first: int, last: int, **more: bool) -> Term:
    """A plan from the start of one day of November to the end of another."""
    end = datetime(2026, 11, last + 1, tzinfo=UTC) if last < 30 else NOVEMBER.end
    return Term(current(plan), datetime(2026, 11, first, tzinfo=UTC), end, **more)


def test_the_fee_is_that_of_the_time_it_was_promised_in() -> None:
    terms = [term("professional", 1, 15), term("enterprise", 16, 30)]
    assert promised_fee(terms, NOVEMBER, "USD") == Decimal("499.50")
    assert [end - start for start, end in promised_seconds(terms)] == [15 * 86_400]


@pytest.mark.parametrize("free", ["trial", "limited"])
def test_what_nothing_is_paid_for_promises_nothing(free: str) -> None:
    assert promised_seconds([term("enterprise", 1, 30, **{free: True})]) == ()
    assert promised_seconds([term("professional", 1, 30)]) == ()
