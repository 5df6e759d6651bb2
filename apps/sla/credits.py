"""Credits: what a month below the promised availability gives back of its fee. Pure.

At most one step of the table applies; a month of which nothing is known breaks no promise.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from apps.billing.rating.money import rounded
from apps.billing.rating.pricing import Term
from apps.formats import plain
from apps.periods import Period
from apps.sla.intervals import Seconds, second_of, union

#: The promise: this share of a month's counted seconds.
TARGET = Fraction(999, 1000)
#: Below this availability → percent of the monthly fee, the worst first.
STEPS = ((Fraction(95, 100), 100), (Fraction(99, 100), 25), (TARGET, 10))
#: The feature of a plan that promises it.
FEATURE = "sla"


def credit_percent(availability: Fraction | None) -> int:
    """Percent of the fee that a month of this availability gives back; 0 when the promise was kept."""
    return next((percent for below, percent in STEPS if availability is not None and availability < below), 0)


def credit_amount(fee: Decimal, percent: int, currency: str) -> Decimal:
    """So many percent of a fee, half-up to the currency's smallest coin."""
    return rounded(fee * percent / 100, currency)


def promised_terms(terms: Iterable[Term]) -> list[Term]:
    """The terms of a month that promise it: what nothing is paid for (a trial, a limited account) promises nothing."""
    return [term for term in terms if FEATURE in term.plan.features and not term.free]


def promised_seconds(terms: Iterable[Term]) -> Seconds:
    """When it was promised."""
    return union((second_of(term.start), second_of(term.end)) for term in promised_terms(terms))


def promised_fee(terms: Iterable[Term], period: Period, currency: str) -> Decimal:
    """The fees of the terms that promise it, each by its share of the month, to the smallest coin."""
    exact = Fraction(0)
    for term in promised_terms(terms):
        exact += Fraction(term.plan.prices[currency].monthly) * period.share(term.start, term.end)
    return rounded(exact, currency)


def percent_of(availability: Fraction | None) -> str | None:
    """Availability in percent, such as 99.95671; None when nothing is known.

    Five decimals, rounded down: what was not reached is never written.
    """
    if availability is None:
        return None
    return plain(Decimal(availability.numerator * 10**7 // availability.denominator).scaleb(-5))
