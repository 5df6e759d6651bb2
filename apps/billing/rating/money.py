"""Cents: how many decimals a currency has, rounding half-up once, and dividing whole things without losing one. Pure.

Amounts that are owed are `Decimal`, always with exactly their currency's decimals; on the way there shares of a month
are exact `Fraction`s, so that nothing is rounded twice. No float ever.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from apps.currencies import CURRENCIES
from apps.formats import amount_text

#: Decimals of the currencies we bill in (ISO 4217).
EXPONENTS: Mapping[str, int] = {code: CURRENCIES[code].decimals for code in ("USD", "EUR", "GBP", "JPY", "KWD")}
_WORDS: Mapping[int, str] = {0: "no", 2: "two", 3: "three"}

Amount = Decimal | Fraction | int


def rounded(amount: Amount, currency: str) -> Decimal:
    """To the currency's decimals, half-up; a half is rounded away from zero on both sides of it."""
    exponent = EXPONENTS[currency]
    scaled = abs(Fraction(amount)) * 10**exponent
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return from_minor(-units if amount < 0 else units, currency)


def decimals_of(currency: str) -> str:
    """Name the decimals a currency has, for an amount with too many."""
    return f"{currency} has {_WORDS[EXPONENTS[currency]]} decimals."


def wrong_with(amount: Decimal, currency: str) -> str:
    """Why an amount can be neither given nor corrected, in a sentence; empty when it can."""
    if amount <= 0:
        return "It must be more than 0."
    return "" if amount == rounded(amount, currency) else decimals_of(currency)


def from_minor(units: int, currency: str) -> Decimal:
    """Cents (or a currency's smallest unit) as an amount: 17901, USD → 179.01."""
    return Decimal(units).scaleb(-EXPONENTS[currency])


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in the currency's smallest unit: 179.01 USD → 17901. Raises `ValueError` on a fraction of a cent."""
    units = Fraction(amount) * 10 ** EXPONENTS[currency]
    if units.denominator != 1:
        raise ValueError(f"{amount} {currency} has more decimals than the currency")
    return units.numerator


def allocate(total: int, weights: Sequence[Fraction]) -> list[int]:
    """`total` divided by weights into whole parts that sum to it: by largest remainder, the earlier one on a tie."""
    whole = sum(weights, Fraction(0))
    if not whole:
        raise ValueError("the weights sum to nothing")
    exact = [total * weight / whole for weight in weights]
    parts = [share.numerator // share.denominator for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[: total - sum(parts)]:
        parts[place] += 1
    return parts


def shown(amount: Decimal, currency: str) -> str:
    """An amount for people: −1,299.00 USD."""
    return f"{amount_text(amount, EXPONENTS[currency])} {currency}"
