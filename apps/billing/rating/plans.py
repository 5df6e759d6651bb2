"""The plans, as one append-only table with dated codes: a customer keeps what they signed. Pure.

To change a price add a row with a new date and move `CURRENT`; never edit a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

#: A tier of graduated overage: (upper bound in overage units or None, price of one unit).
Tier = tuple[int | None, Decimal]


#: Units a month a tenant limited for not paying may still use, or what it has included when that is less.
LIMITED_UNITS = 1_000
#: What a feature of plans opens: method and path. One that is promised and not here is still to be built, and no plan
#: says it has it; whoever builds it adds its row, and its endpoint asks the gate for it.
FEATURES: Mapping[str, str] = {
    "batch": "POST /v1/decisions/batch",
    "drift": "GET /v1/analytics/drift",
    "custom_models": "POST /v1/models/train",
    "sla": "GET /v1/sla/{month}",
}
#: What a tenant pays in unless another currency was agreed.
DEFAULT_CURRENCY = "USD"


@dataclass(frozen=True)
class Price:
    """What a plan costs in one currency: a month, and each call beyond the included ones."""

    monthly: Decimal
    overage: tuple[Tier, ...]


@dataclass(frozen=True)
class Plan:
    """What one plan promises. Units are decisions; rates are requests a minute."""

    code: str
    name: str
    included: int
    rate_per_minute: int
    promised: tuple[str, ...]
    prices: Mapping[str, Price]

    @property
    def features(self) -> tuple[str, ...]:
        """What it has beyond single scoring: of what was promised all that is built."""
        return tuple(feature for feature in self.promised if feature in FEATURES)

    @property
    def monthly(self) -> Decimal:
        """In USD."""
        return self.prices[DEFAULT_CURRENCY].monthly

    @property
    def overage(self) -> tuple[Tier, ...]:
        """In USD."""
        return self.prices[DEFAULT_CURRENCY].overage


def _prices(*bounds: int | None, **rows: str) -> Mapping[str, Price]:
    """Currency="monthly | price of each tier", the tiers' bounds being the same in every currency."""
    prices = {}
    for currency, row in rows.items():
        monthly, _, tiers = row.partition("|")
        overage = tuple(zip(bounds, map(Decimal, tiers.split()), strict=True))
        prices[currency] = Price(Decimal(monthly.strip()), overage)
    return prices


_TABLE = (
    Plan(
        code="free-2026-11",
        name="free",
        included=1_000,
        rate_per_minute=10,
        promised=(),
        prices=_prices(None, USD="0 | 0.01", EUR="0 | 0.009", GBP="0 | 0.008", JPY="0 | 1.5", KWD="0 | 0.003"),
    ),
    Plan(
        code="basic-2026-11",
        name="basic",
        included=10_000,
        rate_per_minute=100,
        promised=("batch", "monitoring"),
        prices=_prices(
            10_000,
            None,
            USD="99 | 0.008 0.005",
            EUR="89 | 0.0072 0.0045",
            GBP="79 | 0.0064 0.004",
            JPY="14800 | 1.2 0.75",
            KWD="30 | 0.0025 0.0015",
        ),
    ),
    Plan(
        code="professional-2026-11",
        name="professional",
        included=50_000,
        rate_per_minute=500,
        promised=("batch", "monitoring", "analytics", "drift", "custom_models"),
        prices=_prices(
            25_000,
            100_000,
            None,
            USD="299 | 0.006 0.004 0.002",
            EUR="269 | 0.0054 0.0036 0.0018",
            GBP="239 | 0.0048 0.0032 0.0016",
            JPY="44800 | 0.9 0.6 0.3",
            KWD="92 | 0.0018 0.0012 0.0006",
        ),
    ),
    Plan(
        code="enterprise-2026-11",
        name="enterprise",
        included=200_000,
        rate_per_minute=2_000,
        promised=("batch", "monitoring", "analytics", "drift", "custom_models", "sla", "sso"),
        prices=_prices(
            100_000,
            500_000,
            None,
            USD="999 | 0.003 0.002 0.001",
            EUR="899 | 0.0027 0.0018 0.0009",
            GBP="799 | 0.0024 0.0016 0.0008",
            JPY="149800 | 0.45 0.3 0.15",
            KWD="307 | 0.0009 0.0006 0.0003",
        ),
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
