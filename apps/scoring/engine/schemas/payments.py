"""Payments with a card at a merchant: who pays whom how much for what, where, and whatever is known of how.

A payment is held against the person who makes it and against what people pay as a rule; nothing in it is a cut-out of
one log's habits. What more of a thing may only do to the risk is `DIRECTIONS`: every model is fitted under it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from math import exp, log1p, nan
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from apps.currencies import CURRENCIES
from apps.scoring.engine.features import stated, weighed
from apps.scoring.engine.habits import LEAST_HOURS
from apps.scoring.engine.known_values import KnownValues
from apps.scoring.engine.operations import BLOCK, SCALAR, Operations
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.past_events import DAY_MS, HOUR_MS
from apps.scoring.engine.rules import Condition, Typology
from apps.scoring.engine.schemas import built_in
from apps.scoring.engine.transaction import InvalidTransaction, TransactionSchema
from apps.scoring.engine.windows import COUNTS, FROM_NOTHING

MOST_MONEY = 1e9  # in dollars
MOST_AMOUNT = 1e15  # in the least of currencies
MOST_KM = 1e6
MOST_TIMES = 1e6
FEW_EVENTS = 5.0  # of which nothing usual can be said yet
LEAST_USUAL = 5.0  # in money: what is usual is at least so much when an amount is held against it
MOST_LOGARITHM = 700.0  # more is beyond a double
MANY = 100.0  # payments known, beyond which more says no more
DEVICE_DAYS = 30.0  # of a device, likewise
A_DAY_S = 86_400.0
NIGHT_BEGINS, NIGHT_ENDS = 22.0, 4.0  # UTC

# What a unit of a currency is worth in US dollars, roughly: the models have learned amounts in dollars.
WORTH = {code: known.dollars for upper, known in CURRENCIES.items() for code in (upper, upper.lower())}
FAR_FROM_A_DOLLAR = 10.0  # times: such amounts are told as what they were weighed

# Categories as one number, from the least to the most stolen-for.
CATEGORY_RANK = {
    "home": 0.0, "health_fitness": 1.0, "food_dining": 2.0, "kids_pets": 3.0, "entertainment": 4.0,
    "personal_care": 5.0, "travel": 6.0, "gas_transport": 7.0, "misc": 8.0, "grocery": 9.0, "shopping": 10.0,
}  # fmt: skip
# Other words for the same, as senders use them.
MEANS = {
    "electronics": "shopping", "clothing": "shopping", "fashion": "shopping", "jewelry": "shopping",
    "luxury": "shopping", "retail": "shopping", "department_store": "shopping", "online_shopping": "shopping",
    "shopping_net": "shopping", "shopping_pos": "shopping", "groceries": "grocery", "supermarket": "grocery",
    "grocery_net": "grocery", "grocery_pos": "grocery", "misc_net": "misc", "misc_pos": "misc", "other": "misc",
    "miscellaneous": "misc", "gas": "gas_transport", "fuel": "gas_transport", "transport": "gas_transport",
    "transportation": "gas_transport", "restaurant": "food_dining", "restaurants": "food_dining", "food": "food_dining",
    "dining": "food_dining", "health": "health_fitness", "healthcare": "health_fitness", "pharmacy": "health_fitness",
    "fitness": "health_fitness", "beauty": "personal_care", "furniture": "home", "home_improvement": "home",
    "utilities": "home", "kids": "kids_pets", "pets": "kids_pets", "toys": "kids_pets", "hotel": "travel",
    "airline": "travel", "hotels": "travel", "flights": "travel", "gaming": "entertainment", "movies": "entertainment",
    "streaming": "entertainment",
}  # fmt: skip


def _with_other_words(table: Mapping[str, float]) -> dict[str, float]:
    return {**table, **{word: table[meaning] for word, meaning in MEANS.items() if meaning in table}}


RANKS = _with_other_words(CATEGORY_RANK)
KNOWN_VALUES = {
    "merchant_category": KnownValues(tuple(sorted(CATEGORY_RANK)), MEANS),
    "currency": KnownValues(
        tuple(sorted(CURRENCIES)),
        {code.lower(): code for code in CURRENCIES},
        listed_as="the codes of ISO 4217",
        consequence="the amount was weighed as US dollars",
    ),
}


def _between(description: str, most: float, unit: str = "") -> Meta:
    needs = f"a number{unit} from 0 to {most:,.0f}"
    return Meta(ge=0.0, le=most, description=description, extra={"needs": needs})


def _text(description: str, longest: int = 128, least: int = 0) -> Meta:
    needs = f"text of {'1 to' if least else 'at most'} {longest} printable characters"
    return Meta(min_length=least, max_length=longest, description=description, extra={"needs": needs})


def _yes_or_no(description: str) -> Meta:
    return Meta(description=description, extra={"needs": "true or false"})


_TIMESTAMP = Meta(
    description="When it happened; UTC when it has no zone. The time of the request when absent.",
    extra={"needs": "a time in ISO 8601, like 2026-01-15T10:30:00Z"},
)


_NEEDS_AMOUNT = f"a number from 0 to {MOST_MONEY:,.0f} (US dollars' worth)"


class Payment(msgspec.Struct, frozen=True):
    """One payment."""

    amount: Annotated[
        float,
        Meta(
            ge=0.0,
            le=MOST_AMOUNT,
            description="Amount paid, in `currency`: at most 1,000,000,000 US dollars' worth.",
            extra={"needs": _NEEDS_AMOUNT},
        ),
    ]
    user_id: Annotated[str, _text("Who pays.", least=1)]
    merchant_id: Annotated[str, _text("Who is paid.", least=1)]
    transaction_id: Annotated[str, _text("Your id of the transaction.")] | None = None
    timestamp: Annotated[datetime, _TIMESTAMP] | None = None
    merchant_category: Annotated[str, _text("What is sold.", 64)] | None = None
    card_present: Annotated[bool, _yes_or_no("Whether the card was there.")] | None = None
    distance_from_home_km: Annotated[float, _between("Kilometres from the user's home.", MOST_KM)] | None = None
    foreign_transaction: Annotated[bool, _yes_or_no("Whether it crosses a border.")] | None = None
    used_chip: Annotated[bool, _yes_or_no("Whether the card's chip was used.")] | None = None
    used_pin_number: Annotated[bool, _yes_or_no("Whether a PIN was entered.")] | None = None
    online_order: Annotated[bool, _yes_or_no("Whether it was ordered online.")] | None = None
    repeat_retailer: Annotated[bool, _yes_or_no("Whether the user bought there before.")] | None = None
    distance_from_last_transaction: (
        Annotated[float, _between("Kilometres from the user's payment before.", MOST_KM)] | None
    ) = None
    ratio_to_median_purchase_price: (
        Annotated[float, _between("The amount ÷ the median of the user's.", MOST_TIMES)] | None
    ) = None
    currency: Annotated[str, _text("ISO 4217 code of the currency, like USD.", 16)] | None = None
    country: Annotated[str, _text("Where: an ISO 3166 code or a name.", 64)] | None = None
    device_id: Annotated[str, _text("The device it was paid with.")] | None = None
    ip_address: Annotated[str, _text("The IP address it came from.", 64)] | None = None
    email: Annotated[str, _text("The e-mail address it was paid under.", 254)] | None = None
    card_bin: Annotated[str, _text("The first digits of the card.", 16)] | None = None


OPTIONAL_TEXTS = (
    "transaction_id", "merchant_category", "currency", "country", "device_id", "ip_address", "email", "card_bin",
)  # fmt: skip


FEATURES = (
    weighed("log_amount", "AMOUNT", "amount", "amount", "An amount of {value}", own=True, unit="money",
           shown_as="expm1"),
    weighed("category", "MERCHANT_CATEGORY", "merchant_category", "category", "The category {value}",
            unknown="The merchant's category was not sent, or is not one we know."),
    stated("night", "NIGHT_TIME", "timestamp", "night", "It is night (UTC).", zero="It is not night (UTC).",
           up_above=0.0),
    stated("card_present", "CARD_PRESENT", "card_present", "card present", "The card was there.",
           zero="The card was not there.", unknown="Whether the card was there was not sent."),
    stated("online_order", "ONLINE", "online_order", "ordered online", "It was ordered online.",
           zero="It was not ordered online.", unknown="Whether it was ordered online was not sent."),
    stated("used_chip", "CHIP", "used_chip", "chip used", "The card's chip was used.",
           zero="The card's chip was not used.", unknown="Whether the chip was used was not sent."),
    stated("used_pin_number", "PIN", "used_pin_number", "PIN entered", "The PIN was entered.",
           zero="No PIN was entered.", unknown="Whether a PIN was entered was not sent."),
    stated("known_merchant", "KNOWN_MERCHANT", "repeat_retailer", "bought there before",
           "The user bought there before.", zero="The user never bought there until today.",
           unknown="Whether the user bought there before is not known."),
    stated("distance_from_home", "DISTANCE_FROM_HOME", "distance_from_home_km", "km from home",
           "The payment is made {whole} km from home.", unknown="The distance from home was not sent.", own=True,
           unit="km"),
    stated("distance_from_last", "DISTANCE", "distance_from_last_transaction", "km from the one before",
           "From the payment before it is {whole} km.", unknown="The distance from the payment before was not sent.",
           own=True, unit="km"),
    stated("speed_kmh", "IMPLIED_SPEED", "distance_from_last_transaction", "speed of the day's journeys",
           "From one payment of the last 24 hours to the next it was {whole} km/h.", unit="km/h",
           zero="No journey of the last 24 hours is known.", up_above=100.0, down_below=1000.0),
    stated("ratio_to_median", "RATIO_TO_MEDIAN", "ratio_to_median_purchase_price", "ratio to the median",
           "By the ratio you sent the amount is {factor} the user's median.",
           unknown="The amount's ratio to the median was not sent.",
           up_above=1.0),
    stated("abroad", "ABROAD", "foreign_transaction", "abroad", "The payment is made abroad.",
           zero="The payment is made at home.", unknown="Whether the payment is made abroad is not known.",
           needs=("foreign_transaction", "country")),
    stated("device_days", "NEW_DEVICE", "device_id", "days the device is known",
           "The user has been seen with this device for {value} day{s}.",
           zero="The user was never seen with this device until today.",
           unknown="Whether the device is one of the user's is not known.", unit="days", up_below=8.0),
    stated("devices_24h", "MANY_DEVICES", "device_id", "user's devices in 24 h",
           "The user paid with {value} device{s} in the last 24 hours.", up_above=1.0),
    stated("device_users_24h", "DEVICE_USERS", "device_id", "device's users in 24 h",
           "This device was used by {value} user{s} in the last 24 hours.", up_above=1.0),
    stated("email_users_24h", "EMAIL_USERS", "email", "e-mail's users in 24 h",
           "This e-mail address was used by {value} user{s} in the last 24 hours.", up_above=1.0),
    stated("ip_users_1h", "IP_USERS", "ip_address", "IP address's users in 1 h",
           "{value} user{s} paid from this IP address in the last hour.", up_above=1.0),
    stated("count_1h", "HIGH_VELOCITY", "user_id", "user's payments in 1 h",
           "The user made {value} payment{s} in the last hour.", up_above=0.0),
    stated("merchants_1h", "MANY_MERCHANTS", "merchant_id", "merchants in 1 h",
           "The user paid {value} merchant{s} in the last hour.", up_above=0.0),
    stated("count_24h", "HIGH_VELOCITY_DAY", "user_id", "user's payments in 24 h",
           "The user made {value} payment{s} in the last 24 hours.", up_above=0.0),
    stated("pace", "PACE", "user_id", "user's pace",
           "The user's pace of the last 24 hours is {factor} the usual one.",
           zero="The user made no payments in the last 24 hours.", up_above=1.0, unit="times"),
    stated("log_spent_24h", "SPENT_IN_A_DAY", "amount", "spent in 24 h",
           "With this the user spends {value} US dollars in 24 hours.", shown_as="expm1", unit="USD"),
    stated("against_usual", "AMOUNT_AGAINST_USUAL", "amount", "amount against the usual",
           "The amount is {factor} what the user pays as a rule{usual}.",
           unknown="What the user pays as a rule is not known.", shown_as="exp", up_above=1.0, down_below=2.0,
           own=True, unit="money"),
    stated("against_kind", "AMOUNT_AGAINST_CATEGORY", "amount", "amount against category's",
           "The amount is {factor} what the user pays in this category{usual}.",
           unknown="What the user pays in this category is not known.", shown_as="exp", up_above=1.0, down_below=2.0,
           own=True, unit="money"),
    stated("spree", "SPREE", "amount", "day's excess of the usual",
           "With this the user's payments of the last 24 hours go far beyond the usual.",
           zero="No payment of the last 24 hours goes beyond the usual.",
           unknown="What the user pays as a rule is not known.", up_above=0.7, down_below=0.7, unit="index"),
    stated("known_events", "KNOWN_USER", "user_id", "known payments of the user",
           "We know {value} payment{s} of the user from before the last 24 hours.", up_below=3.0, down_above=2.0),
)  # fmt: skip

# More of these never lowers the risk (1), or never raises it (-1); the category and how long we know a user are free.
DIRECTIONS = {
    **dict.fromkeys(
        ("log_amount", "night", "online_order", "distance_from_home", "distance_from_last", "speed_kmh",
         "ratio_to_median", "abroad", "devices_24h", "device_users_24h", "email_users_24h", "ip_users_1h", "count_1h",
         "merchants_1h", "count_24h", "pace", "log_spent_24h", "against_usual", "against_kind", "spree"), 1,
    ),
    **dict.fromkeys(
        ("card_present", "used_chip", "used_pin_number", "known_merchant", "device_days"), -1,
    ),
}  # fmt: skip
# An unknown yes or no lies between the two, an unknown device between a new one and one of yesterday.
FLAGS = frozenset(("night", "card_present", "online_order", "used_chip", "used_pin_number", "known_merchant", "abroad"))
UNKNOWN_AS = {
    "category": CATEGORY_RANK["misc"],
    "distance_from_last": 0.0,
    **dict.fromkeys(("device_users_24h", "email_users_24h", "ip_users_1h"), 1.0),
    **dict.fromkeys(
        ("card_present", "online_order", "used_chip", "used_pin_number", "known_merchant", "abroad", "device_days"), 0.5
    ),
}

# How far features reach that are no fields: beyond, a rule would never hit.
YES_OR_NO = (0.0, 1.0)
REACH = {
    "log_amount": FROM_NOTHING, "category": (0.0, 10.0), "night": YES_OR_NO, "known_merchant": YES_OR_NO,
    "distance_from_home": (0.0, MOST_KM), "distance_from_last": (0.0, MOST_KM), "speed_kmh": FROM_NOTHING,
    "ratio_to_median": (0.0, MOST_TIMES), "abroad": YES_OR_NO, "device_days": (0.0, DEVICE_DAYS),
    "pace": FROM_NOTHING, "log_spent_24h": FROM_NOTHING, "spree": FROM_NOTHING, "known_events": (0.0, MANY),
    **dict.fromkeys(
        ("devices_24h", "device_users_24h", "email_users_24h", "ip_users_1h", "count_1h", "merchants_1h", "count_24h"),
        COUNTS,
    ),
}  # fmt: skip


def dollars_of(t: Any, ops: Operations) -> Any:
    """The amount in dollars; as it is without a currency, or in one nobody knows."""
    worth = ops.lookup(WORTH, t.currency, 1.0)
    return t.amount * ops.where(worth == worth, worth, 1.0)


def at_night(hour: Any) -> Any:
    return (hour >= NIGHT_BEGINS) | (hour < NIGHT_ENDS)


def build(t: Any, at_ms: Any, pasts: Sequence[Any], ops: Operations) -> tuple[Any, ...]:
    """The one definition of the features, in the order of `FEATURES`, for a row or for columns.

    Amounts are compared by the difference of their logarithms. A limit stands first in `minimum` and `maximum`, where
    an unknown second stays unknown.
    """
    user, device, email, address = pasts
    where, minimum, maximum, logged = ops.where, ops.minimum, ops.maximum, ops.log1p
    paid = dollars_of(t, ops)
    money = logged(paid)
    usual = logged(maximum(LEAST_USUAL, user.usual_amount))
    beyond = money - usual
    km = ops.number(t.distance_from_last_transaction)
    return (
        money,
        ops.lookup(RANKS, t.merchant_category, nan),
        where(at_night((at_ms % float(DAY_MS)) / HOUR_MS), 1.0, 0.0),
        ops.number(t.card_present),
        ops.number(t.online_order),
        ops.number(t.used_chip),
        ops.number(t.used_pin_number),
        either(ops.number(t.repeat_retailer), bought_before(user, ops), ops),
        ops.number(t.distance_from_home_km),
        km,
        larger(larger(user.fastest_24h, km / maximum(LEAST_HOURS, user.since_last / 3600.0), ops), 0.0, ops),
        ops.number(t.ratio_to_median_purchase_price),
        larger(ops.number(t.foreign_transaction), user.abroad, ops),
        where(has_habits(user), minimum(DEVICE_DAYS, ops.floor(user.device_age / A_DAY_S)), nan),
        user.devices_24h,
        maximum(1.0, device.distinct_24h),
        maximum(1.0, email.distinct_24h),
        maximum(1.0, address.distinct_1h),
        user.count_1h,
        user.distinct_1h,
        user.count_24h,
        user.count_24h * maximum(1.0, user.known_days) / maximum(1.0, user.known),
        logged(user.sum_24h + paid),
        beyond,
        money - logged(maximum(LEAST_USUAL, user.kind_amount)),
        user.excess_24h + maximum(0.0, beyond),
        minimum(MANY, user.known),
    )


def has_habits(user: Any) -> Any:
    """Whether a device of the user's can be a new one: we know their devices, or enough of them without."""
    return (user.devices_known > 0.0) | (user.known >= FEW_EVENTS)


def either(first: Any, second: Any, ops: Operations) -> Any:
    """The first where it is known, else the second."""
    return ops.where(first == first, first, second)


def larger(first: Any, second: Any, ops: Operations) -> Any:
    """The larger one of those that are known."""
    return either(ops.where(second > first, second, first), second, ops)


def bought_before(user: Any, ops: Operations) -> Any:
    """Whether the user is known to have bought there; unknown of those we hardly know."""
    return ops.where(user.known >= FEW_EVENTS, ops.where(user.merchant_known > 0.0, 1.0, 0.0), nan)


SMALL_AMOUNT, LARGE_AMOUNT = log1p(30.0), log1p(200.0)
# What a suspicious payment looks like; the first that fits names it.
TYPOLOGIES = (
    Typology("card_testing", (Condition("log_amount", "le", SMALL_AMOUNT), Condition("count_1h", "ge", 2.0))),
    Typology("device_farm", (Condition("device_users_24h", "ge", 4.0),)),
    Typology("device_farm", (Condition("email_users_24h", "ge", 4.0),)),
    Typology("cloned_card", (Condition("speed_kmh", "gt", built_in.PLANE_KMH),)),
    Typology("account_takeover", (Condition("abroad", "eq", 1.0), Condition("device_days", "lt", 1.0))),
    Typology("unusual_location", (Condition("foreign_transaction", "eq", True),)),
    Typology("unusual_location", (Condition("distance_from_home_km", "gt", 500.0),)),
    Typology("account_takeover", (Condition("log_amount", "ge", LARGE_AMOUNT), Condition("device_days", "lt", 1.0))),
    Typology("stolen_card", (Condition("log_amount", "ge", LARGE_AMOUNT),)),
    Typology("card_testing", (Condition("log_amount", "le", SMALL_AMOUNT),)),
    Typology("high_velocity", (Condition("count_1h", "ge", 4.0),)),
    Typology("other"),
)


def parties(t: Any) -> tuple[Party, ...]:
    """The user, with the category, where and on which device; what they share with others, as far as it is told."""
    kind, place, device = MEANS.get(t.merchant_category, t.merchant_category or ""), t.country or "", t.device_id or ""
    km = SCALAR.number(t.distance_from_last_transaction)
    user = Party("user_id", t.user_id, t.merchant_id, kind, km, place, device)
    if not (device or t.email or t.ip_address):
        return (user,)
    shared = (("device_id", device), ("email", (t.email or "").lower()), ("ip_address", of_the_net(t.ip_address)))
    return (user, *[Party(role, name, t.user_id) for role, name in shared if name])


@lru_cache(maxsize=4096)
def of_the_net(address: str | None) -> str:
    """A public IP address in one spelling; "" of anything else: behind a private one stands a tenant's own network."""
    try:
        return str(known) if address and (known := ip_address(address)).is_global else ""
    except ValueError:
        return ""


def usually(t: Payment, against: float) -> float:
    """What an amount is held against, in the payment's currency, from the logarithm of how many times it is."""
    return round(t.amount / exp(min(against, MOST_LOGARITHM)), 2)


def currency_of(t: Payment) -> str | None:
    return t.currency.upper() if t.currency else None


def place(t: Any) -> str:
    return t.country or ""


def event_time_ms(t: Any, received_ms: Any, ops: Operations) -> Any:
    """The payment's own time, or when it was received."""
    own = ops.instant(t.timestamp)
    return ops.where(own == own, own, received_ms)


def amount(t: Any) -> Any:
    """In dollars, so that a traveller's history adds up."""
    return dollars_of(t, SCALAR)


def transaction_id(t: Payment) -> str | None:
    return t.transaction_id


def tidy(t: Payment) -> Payment:
    """Categories in one spelling; an empty text is none. Raises `InvalidTransaction` for more money than there is."""
    if t.amount > MOST_MONEY and dollars_of(t, SCALAR) > MOST_MONEY * 1.000001:  # a bound in euros is no round number
        raise InvalidTransaction("amount", f"'amount' must be {_NEEDS_AMOUNT}.")
    blank = {name: None for name in OPTIONAL_TEXTS if getattr(t, name) == ""}
    category = spelled(t.merchant_category or "")
    if not blank and category == (t.merchant_category or ""):
        return t
    return msgspec.structs.replace(t, **{**blank, "merchant_category": category or None})


def spelled(category: str) -> str:
    """A category in small letters, with one _ between words."""
    return "_".join(category.strip().lower().replace("-", " ").replace("_", " ").split())


def untouched(t: Any) -> np.ndarray:
    """The rows of columns, bool[n], that are tidy: not of more money than there is, their category spelled as ours."""
    kinds = t.merchant_category.tolist()
    tidy_kinds = {kind for kind in set(kinds) if kind is None or (kind and spelled(kind) == kind)}
    fits = (t.amount <= MOST_MONEY) | (dollars_of(t, BLOCK) <= MOST_MONEY)
    for name in OPTIONAL_TEXTS:
        fits &= getattr(t, name) != ""
    return fits & np.array([kind in tidy_kinds for kind in kinds], dtype=bool)


def remarks(t: Payment) -> tuple[str, ...]:
    """What an amount was weighed as, where that is not what it says."""
    worth = WORTH.get(t.currency or "", 1.0)
    if 1 / FAR_FROM_A_DOLLAR <= worth <= FAR_FROM_A_DOLLAR:
        return ()
    dollars = float(f"{t.amount * worth:.2g}")
    return (f"The amount was weighed as about {dollars:,.{2 if dollars < 100 else 0}f} US dollars.",)


PAYMENTS = TransactionSchema(
    name="payments",
    struct=Payment,
    roles=(
        Role("user_id", habits=True, called="user", meets="merchants"),
        Role("device_id", called="device", meets="users"),
        Role("email", meets="users"),
        Role("ip_address", called="ip", meets="users"),
    ),
    features=FEATURES,
    build=build,
    parties=parties,
    event_time_ms=event_time_ms,
    amount=amount,
    transaction_id=transaction_id,
    rules=built_in.PAYMENTS,
    typologies=TYPOLOGIES,
    reach=REACH,
    known_by="known_events",
    of_today="count_24h",
    flags=FLAGS,
    directions=DIRECTIONS,
    unknown_as=UNKNOWN_AS,
    words={"category": {rank: name for name, rank in CATEGORY_RANK.items()}},
    known_values=KNOWN_VALUES,
    place=place,
    usuals={"against_usual": usually, "against_kind": usually},
    currency=currency_of,
    tidy=tidy,
    untouched=untouched,
    remarks=remarks,
    sample={"currency": min(CURRENCIES, key=lambda code: CURRENCIES[code].dollars)},
    searched=("user_id", "merchant_id", "device_id", "email", "ip_address"),
    ids=frozenset({"transaction_id", "user_id", "merchant_id", "device_id"}),
)
