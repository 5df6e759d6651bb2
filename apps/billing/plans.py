"""The plans, as one append-only table with dated codes: a customer keeps what they signed. Pure.

To change a price add a row with a new date and move `CURRENT`; never edit a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

#: A tier of graduated overage: (upper bound in overage calls or None, price of one call).
Tier = tuple[int | None, Decimal]


@dataclass(frozen=True)
class Plan:
    """What one plan promises. Prices in USD; units are decisions; rates are requests a minute."""

    code: str
    name: str
    monthly: Decimal
    included: int
    rate_per_minute: int
    overage: tuple[Tier, ...]
    features: tuple[str, ...]


def _tiers(*rows: tuple[int | None, str]) -> tuple[Tier, ...]:
    return tuple((bound, Decimal(price)) for bound, price in rows)


_TABLE = (
    Plan("free-2026-11", "free", Decimal("0"), 1_000, 10, _tiers((None, "0.01")), ()),
    Plan(
        "basic-2026-11",
        "basic",
        Decimal("99"),
        10_000,
        100,
        _tiers((10_000, "0.008"), (None, "0.005")),
        ("batch", "monitoring"),
    ),
    Plan(
        "professional-2026-11",
        "professional",
        Decimal("299"),
        50_000,
        500,
        _tiers((25_000, "0.006"), (100_000, "0.004"), (None, "0.002")),
        ("batch", "monitoring", "analytics", "drift", "custom_models"),
    ),
    Plan(
        "enterprise-2026-11",
        "enterprise",
        Decimal("999"),
        200_000,
        2_000,
        _tiers((100_000, "0.003"), (500_000, "0.002"), (None, "0.001")),
        ("batch", "monitoring", "analytics", "drift", "custom_models", "sla", "sso"),
    ),
)
PLANS: Mapping[str, Plan] = {plan.code: plan for plan in _TABLE}
#: What a new customer gets when they say a plan's name.
CURRENT: Mapping[str, str] = {
    "free": "free-2026-11",
    "basic": "basic-2026-11",
    "professional": "professional-2026-11",
    "enterprise": "enterprise-2026-11",
}


def current(name: str) -> Plan:
    """The plan sold today under a name. Raises `KeyError` for an unknown one."""
    return PLANS[CURRENT[name]]
