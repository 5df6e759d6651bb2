"""The same bill, written another way: unit by unit, in whole numbers, knowing nothing of lines' arithmetic elsewhere.

Prices are integers in 10⁻¹² of the currency, time is counted in seconds, a unit is one item of a list. What it shares
with the code it checks is the plan table alone.
"""

import itertools
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

from apps.billing.rating.plans import Plan

PICO = 10**12
DECIMALS = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3}
#: (plan, first second, second after the last, units used, trial), seconds since the month began.
Piece = tuple[Plan, int, int, int, bool]


def month_seconds(year: int, month: int) -> int:
    following = datetime(year + (month == 12), month % 12 + 1, 1, tzinfo=UTC)
    return int(following.timestamp()) - int(datetime(year, month, 1, tzinfo=UTC).timestamp())


def half_up(numerator: int, denominator: int) -> int:
    """Round a ratio of whole numbers ≥ 0 half-up: long division, looking at what is left."""
    whole, left = divmod(numerator, denominator)
    return whole + 1 if left >= denominator - left else whole


def cents_of(pieces: list[Piece], length: int, currency: str, tax_permille: int, credit_cents: int) -> dict[str, int]:
    """Subtotal, credits, tax and total in the currency's smallest unit."""
    unit = PICO // 10 ** DECIMALS[currency]
    pieces = _glued(pieces)
    amounts = [
        0 if trial else half_up(_pico(plan.prices[currency].monthly) * (end - start), length * unit)
        for plan, start, end, _, trial in pieces
    ]
    owed = [half_up(pico, unit) for pico in _overage_by_tier(pieces, length, currency).values()]
    subtotal = sum(amounts) + sum(owed)
    credits = credit_cents if credit_cents < subtotal else subtotal
    tax = half_up((subtotal - credits) * tax_permille, 1000)
    return {"subtotal": subtotal, "credits": credits, "tax": tax, "total": subtotal - credits + tax}


def _overage_by_tier(pieces: list[Piece], length: int, currency: str) -> Counter[tuple[str, int]]:
    """Walk the month unit by unit (in strides where nothing changes) and charge those that are not included."""
    free = _included(pieces, length)
    owed: Counter[tuple[str, int]] = Counter()
    nth: Counter[str] = Counter()
    for plan, _, _, used, trial in pieces:
        for stride in _strides(used, free, plan, nth[plan.code], currency):
            if free:
                free -= stride
            elif not trial:
                tier = _tier_of(plan, nth[plan.code] + 1, currency)
                owed[plan.code, tier] += stride * _pico(plan.prices[currency].overage[tier][1])
                nth[plan.code] += stride
    return owed


def _strides(used: int, free: int, plan: Plan, nth: int, currency: str) -> list[int]:
    """Cut `used` units where they stop being free and where a tier ends."""
    cuts = {0, used, min(free, used)}
    for bound, _ in plan.prices[currency].overage:
        if bound is not None:
            cuts.add(min(max(bound - nth + min(free, used), 0), used))
    marks = sorted(cuts)
    return [after - before for before, after in itertools.pairwise(marks)]


def _tier_of(plan: Plan, place: int, currency: str) -> int:
    return next(
        number for number, (bound, _) in enumerate(plan.prices[currency].overage) if bound is None or place <= bound
    )


def _included(pieces: list[Piece], length: int) -> int:
    weighted = 0
    for number, (plan, start, end, _, _) in enumerate(pieces):
        weighted += plan.included * (end - (0 if number == 0 else start))
    return half_up(weighted, length)


def _glued(pieces: list[Piece]) -> list[Piece]:
    glued: list[Piece] = []
    for plan, start, end, used, trial in pieces:
        if glued and glued[-1][0].code == plan.code and glued[-1][4] == trial:
            before = glued.pop()
            start, used = before[1], before[3] + used
        glued.append((plan, start, end, used, trial))
    return glued


def _pico(price: Decimal) -> int:
    sign, digits, exponent = price.as_tuple()
    assert sign == 0 and isinstance(exponent, int)
    return int("".join(map(str, digits))) * 10 ** (12 + exponent)
