"""Dates, numbers and shares as people write them."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.countries import COUNTRIES, name_of
from apps.formats import days_text, moment_text, month_text, number_text, percent_text, span_text


def at(month: int, day: int, hour: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (Fraction(14, 31), "14 of 31 days"),
        (Fraction(57, 124), "14.25 of 31 days"),
        (Fraction(1), "31 of 31 days"),
        (Fraction(1, 62), "12 h of 31 days"),
        (Fraction(1, 10**9), "less than a minute of 31 days"),
    ],
)
def test_shares_of_a_month_are_days(share: Fraction, said: str) -> None:
    assert days_text(share, 31) == said


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (at(11, 1), at(12, 1), "1 – 30 November 2026"),
        (at(11, 20), at(12, 5), "20 November – 4 December 2026"),
        (at(12, 20), at(1, 5, year=2027), "20 December 2026 – 4 January 2027"),
        (at(11, 3), at(11, 4), "3 November 2026"),
        (at(11, 3, 6), at(11, 4), "3 Nov 2026, 06:00 – 4 Nov 2026, 00:00 UTC"),
    ],
)
def test_spans_are_the_days_they_have(start: datetime, end: datetime, said: str) -> None:
    assert span_text(start, end).replace("\u00a0", " ") == said


def test_numbers_have_a_true_minus_and_their_thousands_apart() -> None:
    assert (number_text(-12_345), number_text(Decimal("-1250.50"))) == ("\u221212,345", "\u22121,250.50")
    assert (percent_text(Decimal("19.000")), percent_text(Decimal("7.500"))) == ("19 %", "7.5 %")
    assert (month_text("2026-12"), moment_text(at(12, 5, 9))) == ("December 2026", "5 December 2026, 09:00 UTC")


def test_countries_have_names_and_what_is_none_stays() -> None:
    assert (len(COUNTRIES), name_of("de"), name_of("GB"), name_of("XX")) == (249, "Germany", "United Kingdom", "XX")
