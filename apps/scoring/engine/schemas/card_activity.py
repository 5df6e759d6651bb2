"""Card activity: who paid what where, on which device and how proven, with counts the sender keeps of its users.

The published fields of the Multi-model interface, in their order. Eight of them are derived from the others: they are
computed here when absent, and what is sent is held against what it should be. The features never read them.
"""

from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from math import exp, isfinite, log, nan, pi, prod
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.currencies import CURRENCIES
from apps.scoring.engine.features import Feature, stated, weighed
from apps.scoring.engine.known_values import KnownValues
from apps.scoring.engine.operations import SCALAR, Operations
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.rules import Condition, RuleResult, Typology
from apps.scoring.engine.schemas import built_in
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.windows import COUNTS, FROM_NOTHING

MOST_MONEY = 1e15
LARGEST_ID = 2**53 - 1  # beyond, JSON readers take an integer for its neighbour
MOST_KM = 1e6
MOST_MINUTES = 1e8
MOST_PAYMENTS = 1e6
MOST_DERIVED = 1e18

# What one unit of a currency is worth in US dollars, roughly. Those of the simulated rows: others are unknown to the
# models, and said so.
KNOWN_CURRENCIES = (
    "USD", "EUR", "GBP", "CHF", "CNY", "JPY", "KRW", "INR", "RUB", "KZT", "UZS", "KGS", "TJS", "TMT", "AZN", "AMD",
    "GEL", "BYN", "UAH", "TRY", "AED", "SAR", "QAR", "ILS", "PKR", "BDT", "THB", "VND", "IDR", "MYR", "SGD", "HKD",
    "PLN", "CZK", "HUF", "SEK", "NOK", "DKK", "CAD", "AUD", "NZD", "BRL", "MXN", "ZAR", "EGP", "NGN",
)  # fmt: skip
USD_PER_UNIT = {code: CURRENCIES[code].dollars for code in KNOWN_CURRENCIES}
# How the payment ended: 1 failed, 0 went through.
STATUS = {
    "Completed": 0.0, "Successful": 0.0, "Success": 0.0, "Approved": 0.0, "Pending": 0.5,
    "Failed": 1.0, "Declined": 1.0, "Rejected": 1.0, "Cancelled": 1.0, "Reversed": 1.0,
}  # fmt: skip
UNKNOWN_STATUS = 0.5
# How hard the proof is to steal: none or what the card shows, something known, something held, two of them or a body.
AUTHENTICATION = {
    "None": 0.0, "Signature": 0.0, "CVV": 0.0, "Magstripe": 0.0, "Password": 1.0, "PIN": 2.0, "OTP": 3.0, "SMS": 3.0,
    "2FA": 4.0, "3DS": 4.0, "Biometric": 4.0, "Fingerprint": 4.0, "Face ID": 4.0,
}  # fmt: skip
UNKNOWN_AUTHENTICATION = 1.5
WEAK_AUTHENTICATION = 2.0  # below
# Where a card is of use: at home, anywhere on account of money that is there, anywhere on credit.
CARD_REACH = {
    "UzCard": 0.0, "Humo": 0.0, "Mir": 0.0, "Elcart": 0.0, "Debit": 1.0, "Prepaid": 1.0,
    "Visa": 2.0, "MasterCard": 2.0, "UnionPay": 2.0, "Maestro": 2.0, "Amex": 3.0, "Credit": 3.0,
}  # fmt: skip
UNKNOWN_CARD = 1.5
# How easily what is bought turns into money.
CATEGORY_RISK = {
    "Groceries": 0.0, "Utilities": 0.0, "Transport": 0.0, "Health": 0.0, "Education": 0.0, "Restaurants": 1.0,
    "Food": 1.0, "Payment": 1.0, "Entertainment": 1.0, "Shopping": 2.0, "Clothing": 2.0, "Cash Out": 2.0,
    "Travel": 2.0, "Gaming": 3.0, "Electronics": 3.0, "Transfer": 3.0, "Jewelry": 3.0, "Crypto": 3.0, "Gambling": 3.0,
}  # fmt: skip
UNKNOWN_CATEGORY = 1.5

PLANE_KMH = 900.0  # faster nobody travels
NIGHT_ENDS = 6.0  # hours after midnight
FEW_EVENTS = 5  # payments the sender knows of, from which on a device that is unknown to us is new to the user
MOST_LOGARITHM = 700.0  # more is beyond a double
LEAST_USUAL = 2.0  # dollars: what is usual is at least so much when an amount is held against it
LEAST_MINUTES = 1.0  # between two places: clocks are no better
DEVICE_DAYS, PLACE_DAYS, OLD_DAYS, MANY = 30.0, 30.0, 60.0, 100.0  # beyond which more says no more
A_DAY_S = 86_400.0

_LEAP_YEAR = 2024
_PER_HOUR, _PER_WEEKDAY = 2.0 * pi / 24.0, 2.0 * pi / 7.0


def _between(description: str, least: float, most: float, *, above: bool = False, whole: bool = True) -> Meta:
    """A number's bounds; `above` the least one, or from it on."""
    bounds: dict[str, Any] = {"gt" if above else "ge": least, "le": most}
    kind, begin = "a whole number" if whole else "a number", "above" if above else "from"
    needs = f"{kind} {begin} {least:,.0f} {'and up ' if above else ''}to {most:,.0f}"
    return Meta(**bounds, description=description, extra={"needs": needs})


def _text(description: str, longest: int = 64) -> Meta:
    needs = f"text of 1 to {longest} printable characters"
    return Meta(min_length=1, max_length=longest, description=description, extra={"needs": needs})


def _check(description: str) -> Meta:
    return Meta(
        ge=-MOST_DERIVED,
        le=MOST_DERIVED,
        description=f"{description}. Computed when absent, checked when sent.",
        extra={"needs": "a number"},
    )


_ID = Meta(
    max_length=128,
    description="Your id of the transaction.",
    extra={"needs": "text of at most 128 printable characters"},
)
_TIMESTAMP = Meta(
    description="When it happened; UTC when it has no zone. The time of the request when absent.",
    extra={"needs": "a time in ISO 8601, like 2026-01-15T14:30:00Z"},
)


class CardActivity(msgspec.Struct, frozen=True):
    """One payment with a card, and what its sender counts of the user."""

    User_ID: Annotated[int, _between("Who pays.", 0, LARGEST_ID)]
    Transaction_Amount: Annotated[
        float, _between("Amount, in the transaction's currency.", 0, MOST_MONEY, above=True, whole=False)
    ]
    Transaction_Location: Annotated[str, _text("Where: a country or a place, always named the same way.", 128)]
    Merchant_ID: Annotated[int, _between("Who is paid.", 0, LARGEST_ID)]
    Device_ID: Annotated[int, _between("The device it was paid with.", 0, LARGEST_ID)]
    Card_Type: Annotated[str, _text("Kind of card.")]
    Transaction_Currency: Annotated[str, _text("ISO 4217 code of the currency, like UZS.", 16)]
    Transaction_Status: Annotated[str, _text("How the payment ended.")]
    Previous_Transaction_Count: Annotated[int, _between("The user's payments before this one.", 0, LARGEST_ID)]
    Distance_Between_Transactions_km: Annotated[
        float, _between("Kilometres from the user's payment before.", 0, MOST_KM, whole=False)
    ]
    Time_Since_Last_Transaction_min: Annotated[
        float, _between("Minutes since the user's payment before.", 0, MOST_MINUTES, whole=False)
    ]
    Authentication_Method: Annotated[str, _text("How the payer was proven to be who they are.")]
    Transaction_Velocity: Annotated[
        float, _between("The user's payments in the sender's short window.", 0, MOST_PAYMENTS, whole=False)
    ]
    Transaction_Category: Annotated[str, _text("What was bought.")]
    Transaction_Hour: Annotated[int, _between("Local hour.", 0, 23)]
    Transaction_Day: Annotated[int, _between("Day of the month.", 1, 31)]
    Transaction_Month: Annotated[int, _between("Month.", 1, 12)]
    Transaction_Weekday: Annotated[int, _between("Day of the week, from 0.", 0, 6)]
    Log_Transaction_Amount: Annotated[float, _check("ln(1 + amount), or ln(amount)")] | None = None
    Velocity_Distance_Interact: Annotated[float, _check("Velocity ÷ distance")] | None = None
    Amount_Velocity_Interact: Annotated[float, _check("Amount ÷ velocity")] | None = None
    Time_Distance_Interact: Annotated[float, _check("Minutes × distance")] | None = None
    Hour_sin: Annotated[float, _check("sin(2π hour/24)")] | None = None
    Hour_cos: Annotated[float, _check("cos(2π hour/24)")] | None = None
    Weekday_sin: Annotated[float, _check("sin(2π weekday/7)")] | None = None
    Weekday_cos: Annotated[float, _check("cos(2π weekday/7)")] | None = None
    transaction_id: Annotated[str, _ID] | None = None
    Timestamp: Annotated[datetime, _TIMESTAMP] | None = None


# The derived fields and how far a sent one may be off: (absolute, relative). Two decimals are rounded well enough.
DERIVED = {
    "Log_Transaction_Amount": (0.05, 0.0),
    "Velocity_Distance_Interact": (0.00006, 0.01),
    "Amount_Velocity_Interact": (0.006, 0.01),
    "Time_Distance_Interact": (0.006, 0.01),
    "Hour_sin": (0.011, 0.0),
    "Hour_cos": (0.011, 0.0),
    "Weekday_sin": (0.011, 0.0),
    "Weekday_cos": (0.011, 0.0),
}  # fmt: skip


LOGARITHMS = ("Log_Transaction_Amount",)  # senders take either of two


def derived(t: Any, ops: Operations) -> tuple[Any, ...]:
    """The derived fields in the order of `DERIVED`, for a row or for columns; nan where there is none (n ÷ 0)."""
    hour, weekday = t.Transaction_Hour * _PER_HOUR, t.Transaction_Weekday * _PER_WEEKDAY
    return (
        ops.log1p(t.Transaction_Amount),
        ops.ratio(t.Transaction_Velocity, t.Distance_Between_Transactions_km, nan),
        ops.ratio(t.Transaction_Amount, t.Transaction_Velocity, nan),
        t.Time_Since_Last_Transaction_min * t.Distance_Between_Transactions_km,
        ops.sin(hour),
        ops.cos(hour),
        ops.sin(weekday),
        ops.cos(weekday),
    )


FEATURES = (
    weighed("amount_usd", "AMOUNT", "Transaction_Amount", "amount", "An amount of {value}",
            unknown="What the amount is in dollars is not known.", own=True, unit="money"),
    stated("against_usual", "AMOUNT_AGAINST_USUAL", "Transaction_Amount", "amount against the usual",
           "The amount is {factor} what the user pays as a rule{usual}.",
           unknown="What the user pays as a rule is not known.", shown_as="exp", up_above=1.0, down_below=2.0,
           own=True, unit="money"),
    stated("against_kind", "AMOUNT_AGAINST_CATEGORY", "Transaction_Amount", "amount against category's",
           "The amount is {factor} what the user pays in this category{usual}.",
           unknown="What the user pays in this category is not known.", shown_as="exp", up_above=1.0, down_below=2.0,
           own=True, unit="money"),
    stated("velocity", "SENT_VELOCITY", "Transaction_Velocity", "payments in a short time",
           "By the count you sent the user made {value} payment{s} in a short time.", own=True, up_above=1.0),
    stated("distance_km", "DISTANCE", "Distance_Between_Transactions_km", "km from the one before",
           "From the payment before it is {whole} km.", own=True, unit="km"),
    stated("speed_kmh", "IMPLIED_SPEED", "Distance_Between_Transactions_km", "speed of the day's journeys",
           "From one payment of the last 24 hours to the next it was {whole} km/h.",
           unknown="How fast the user travelled in the last 24 hours is not known.", unit="km/h", up_above=100.0,
           down_below=PLANE_KMH),
    stated("night", "NIGHT_TIME", "Transaction_Hour", "night", "It is night.", zero="It is not night.", up_above=0.0),
    Feature("status", "STATUS", "Transaction_Status", "The payment's status is {value}.",
            "The payment's status is {value}.", "status", unknown="The payment's status is not known.", own=True),
    weighed("authentication_strength", "AUTHENTICATION", "Authentication_Method", "proof by the payer",
            "The payer's proof, {value},", own=True),
    weighed("card_reach", "CARD_TYPE", "Card_Type", "type of card", "The type of card, {value},", own=True),
    weighed("category_risk", "MERCHANT_CATEGORY", "Transaction_Category", "category", "The category {value}", own=True),
    stated("previous_count", "PREVIOUS_COUNT", "Previous_Transaction_Count", "payments before",
           "By the count you sent the user made {value} payment{s} before.", up_below=6.0, down_above=5.0),
    stated("known_events", "KNOWN_USER", "User_ID", "known payments of the user",
           "We know {value} payment{s} of the user from before the last 24 hours.", up_below=3.0, down_above=2.0),
    stated("device_days", "NEW_DEVICE", "Device_ID", "days the device is known",
           "The user has been seen with this device for {value} day{s}.",
           zero="The user was never seen with this device until today.",
           unknown="Whether the device is one of the user's is not known.", unit="days", up_below=8.0),
    stated("abroad", "ABROAD", "Transaction_Location", "away from home", "The payment is made away from home.",
           zero="The payment is made at home.", unknown="Where the user is at home is not known."),
    stated("place_days", "KNOWN_PLACE", "Transaction_Location", "days in this place",
           "The user paid in this place on {value} day{s} before.",
           zero="The user never paid in this place until today.",
           unknown="Where the user paid before is not known.", up_below=3.0),
    stated("merchant_known", "KNOWN_MERCHANT", "Merchant_ID", "bought there before", "The user bought there before.",
           zero="The user never bought there until today.",
           unknown="Whether the user bought there before is not known."),
    stated("user_count_1h", "HIGH_VELOCITY", "User_ID", "user's payments in 1 h",
           "The user made {value} payment{s} in the last hour.", up_above=0.0),
    stated("merchants_1h", "MANY_MERCHANTS", "Merchant_ID", "merchants in 1 h",
           "The user paid {value} merchant{s} in the last hour.", up_above=0.0),
    stated("user_count_24h", "HIGH_VELOCITY_DAY", "User_ID", "user's payments in 24 h",
           "The user made {value} payment{s} in the last 24 hours.", up_above=0.0),
    stated("pace", "PACE", "User_ID", "user's pace", "The user's pace of the last 24 hours is {factor} the usual one.",
           zero="The user made no payments in the last 24 hours.", up_above=1.0, unit="times"),
    stated("spent_24h_usd", "SPENT_IN_A_DAY", "Transaction_Amount", "dollars spent in 24 h",
           "With this the user spends about {whole} dollars in 24 hours.", unit="USD"),
    stated("spree", "SPREE", "Transaction_Amount", "day's excess of the usual",
           "With this the user's payments of the last 24 hours go far beyond the usual.",
           zero="No payment of the last 24 hours goes beyond the usual.",
           unknown="What the user pays as a rule is not known.", up_above=0.7, down_below=0.7, unit="index"),
    stated("failed_1h", "FAILED_BEFORE", "Transaction_Status", "failed in 1 h",
           "In the last hour {value} payment{s} of the user failed.", up_above=0.0),
    stated("failed_24h", "FAILED_BEFORE", "Transaction_Status", "failed in 24 h",
           "In the last 24 hours {value} payment{s} of the user failed.", up_above=0.0),
    stated("user_devices_24h", "MANY_DEVICES", "Device_ID", "user's devices in 24 h",
           "The user paid with {value} device{s} in the last 24 hours.", up_above=1.0),
    stated("user_places_24h", "USER_PLACES", "Transaction_Location", "user's places in 24 h",
           "The user paid in {value} place{s} in the last 24 hours.", up_above=1.0),
    stated("device_users_24h", "DEVICE_USERS", "Device_ID", "device's users in 24 h",
           "This device was used by {value} user{s} in the last 24 hours.", up_above=1.0),
    stated("device_count_1h", "DEVICE_COUNT_HOUR", "Device_ID", "device's or user's in 1 h",
           "This device, or the user, made {value} payment{s} in the last hour.", up_above=0.0),
)  # fmt: skip

# More of these never lowers the risk (1), or never raises it (-1); what we know of a user is free.
DIRECTIONS = {
    **dict.fromkeys(
        ("amount_usd", "against_usual", "against_kind", "velocity", "distance_km", "speed_kmh", "night", "status",
         "card_reach", "category_risk", "abroad", "user_count_1h", "merchants_1h", "user_count_24h", "pace",
         "spent_24h_usd", "spree", "failed_1h", "failed_24h", "user_devices_24h", "user_places_24h",
         "device_users_24h", "device_count_1h"), 1,
    ),
    **dict.fromkeys(
        ("authentication_strength", "previous_count", "device_days", "place_days", "merchant_known"), -1
    ),
}  # fmt: skip
# An unknown yes or no lies between the two, an unknown device or place between a new one and one of yesterday.
UNKNOWN_AS = dict.fromkeys(("device_days", "place_days", "merchant_known", "abroad"), 0.5)

# How far features reach: beyond, a rule would never hit.
YES_OR_NO = (0.0, 1.0)
REACH = {
    "amount_usd": FROM_NOTHING, "velocity": (0.0, 100.0), "distance_km": (0.0, MOST_KM), "speed_kmh": FROM_NOTHING,
    "night": YES_OR_NO, "status": YES_OR_NO, "authentication_strength": (0.0, 4.0), "card_reach": (0.0, 3.0),
    "category_risk": (0.0, 3.0), "previous_count": (0.0, 200.0), "known_events": (0.0, MANY),
    "device_days": (0.0, DEVICE_DAYS), "abroad": YES_OR_NO, "place_days": (0.0, PLACE_DAYS),
    "merchant_known": YES_OR_NO, "pace": FROM_NOTHING, "spent_24h_usd": FROM_NOTHING, "spree": FROM_NOTHING,
    **dict.fromkeys(("user_count_1h", "merchants_1h", "user_count_24h", "failed_1h", "failed_24h", "user_devices_24h",
                     "user_places_24h", "device_users_24h", "device_count_1h"), COUNTS),
}  # fmt: skip


def dollars_of(t: Any, ops: Operations) -> Any:
    """The amount in dollars, nan for a currency nobody knows: comparable between users and countries."""
    return t.Transaction_Amount * ops.lookup(USD_PER_UNIT, t.Transaction_Currency, nan)


def build(t: Any, at_ms: Any, pasts: Sequence[Any], ops: Operations) -> tuple[Any, ...]:
    """The one definition of the features, in the order of `FEATURES`, for a row or for columns.

    A limit stands first in `minimum` and `maximum`, where an unknown second stays unknown.
    """
    user, device = pasts
    where, minimum, maximum, logged = ops.where, ops.minimum, ops.maximum, ops.log1p
    dollars = dollars_of(t, ops)
    money = logged(dollars)
    beyond = money - logged(maximum(LEAST_USUAL, user.usual_amount))
    known = user.known > 0.0
    before = ops.number(t.Previous_Transaction_Count)
    return (
        dollars,
        beyond,
        money - logged(maximum(LEAST_USUAL, user.kind_amount)),
        minimum(100.0, ops.number(t.Transaction_Velocity)),
        ops.number(t.Distance_Between_Transactions_km),
        larger(user.fastest_24h, speed_kmh(t, ops), ops),
        where(ops.number(t.Transaction_Hour) < NIGHT_ENDS, 1.0, 0.0),
        ops.lookup(STATUS, t.Transaction_Status, UNKNOWN_STATUS),
        ops.lookup(AUTHENTICATION, t.Authentication_Method, UNKNOWN_AUTHENTICATION),
        ops.lookup(CARD_REACH, t.Card_Type, UNKNOWN_CARD),
        ops.lookup(CATEGORY_RISK, t.Transaction_Category, UNKNOWN_CATEGORY),
        minimum(200.0, maximum(0.0, before - either(user.count_24h, 0.0, ops))),
        minimum(MANY, user.known),
        device_days(user, before, ops),
        user.abroad,
        where(known, minimum(PLACE_DAYS, user.place_days), nan),
        where(known, where(user.merchant_known > 0.0, 1.0, 0.0), nan),
        user.count_1h,
        user.distinct_1h,
        user.count_24h,
        user.count_24h * maximum(1.0, user.known_days) / maximum(1.0, user.known),
        user.sum_24h + dollars,
        user.excess_24h + maximum(0.0, beyond),
        user.failed_1h,
        user.failed_24h,
        user.devices_24h,
        user.places_24h,
        maximum(1.0, device.distinct_24h),
        larger(user.count_1h, device.count_1h, ops),
    )


def speed_kmh(t: Any, ops: Operations) -> Any:
    """How fast the user would have come here from the payment before, by the sender's own word."""
    minutes = ops.maximum(LEAST_MINUTES, ops.number(t.Time_Since_Last_Transaction_min))
    return ops.number(t.Distance_Between_Transactions_km) * 60.0 / minutes


def device_days(user: Any, before: Any, ops: Operations) -> Any:
    """For how many days the user has had this device: 0 on the day we first see it. Unknown of somebody new, of whom
    every device would be a new one: neither we nor the sender (who counts payments `before`) know enough of them."""
    days = ops.minimum(DEVICE_DAYS, ops.floor(user.device_age / A_DAY_S))
    return ops.where((user.devices_known > 0.0) | (before >= FEW_EVENTS), days, nan)


def either(first: Any, second: Any, ops: Operations) -> Any:
    """The first where it is known, else the second."""
    return ops.where(first == first, first, second)


def larger(first: Any, second: Any, ops: Operations) -> Any:
    """The larger one of those that are known."""
    return either(ops.where(second > first, second, first), second, ops)


# What the published interface calls each signal, and the share of the way to certainty it takes a risk.
SIGNALS: Mapping[str, tuple[str, float]] = {
    "foreign": ("Foreign", 0.15),
    "unknown_place": ("Foreign", 0.15),
    "new_device": ("New Device", 0.15),
    "high_amount": ("High Amount", 0.20),
    "amount_above_usual": ("High Amount", 0.20),
    "high_velocity": ("High Velocity", 0.15),
    "high_velocity_hour": ("High Velocity", 0.15),
    "very_high_velocity": ("High Velocity", 0.15),
    "many_shops": ("High Velocity", 0.15),
    "unusual_distance": ("Unusual Distance", 0.10),
    "impossible_journey": ("Unusual Distance", 0.10),
    "night_time": ("Night Time", 0.05),
    "weak_authentication": ("Weak Authentication", 0.10),
    "failed_status": ("Failed Status", 0.10),
}
WEIGHTS: Mapping[str, float] = dict(SIGNALS.values())
THRESHOLD = 0.5
BELOW_THRESHOLD = 0.499999


def alerts(rules: Iterable[RuleResult]) -> tuple[str, ...]:
    """The published names of the signals that were hit, each once, in the order of `SIGNALS`."""
    hit = {rule.id for rule in rules if rule.outcome == "hit"}
    return tuple(dict.fromkeys(title for rule_id, (title, _) in SIGNALS.items() if rule_id in hit))


def final_risk(probability: float, titles: Collection[str]) -> float:
    """The probability raised by each signal (a title of `SIGNALS`) by its share of what is left.

    Left up to certainty, or, for a probability below 0.5, up to 0.5, which signals alone never reach: so the risk is at
    least 0.5 exactly when the probability is. Never below the probability; six decimals.
    """
    left = prod(1.0 - WEIGHTS[title] for title in set(titles))
    if probability >= THRESHOLD:
        return max(probability, round(1.0 - (1.0 - probability) * left, 6))
    return max(probability, min(round(THRESHOLD - (THRESHOLD - probability) * left, 6), BELOW_THRESHOLD))


FEW_DOLLARS = 6.0
MANY_DOLLARS = 2000.0
NEW_DAYS = 2.0  # of a device
REMOTE_CATEGORIES = ("Transfer", "Crypto")  # what is taken from an account, not with a card in a shop
# Tuned on the simulator's labels (docs/card-activity.md). Users without a history have no shares: the distance and the
# amount speak for them.
TYPOLOGIES = (
    Typology("device_farm", (Condition("device_users_24h", "ge", 4.0),)),
    Typology("cloned_card", (Condition("speed_kmh", "gt", built_in.PLANE_KMH), Condition("abroad", "eq", 0.0))),
    Typology("card_testing", (Condition("amount_usd", "le", FEW_DOLLARS),)),
    Typology("account_takeover", (Condition("device_days", "lt", NEW_DAYS),
                                  Condition("Transaction_Category", "in", REMOTE_CATEGORIES))),
    Typology("stolen_card_abroad", (Condition("abroad", "eq", 1.0),)),
    Typology("stolen_card_abroad", (Condition("speed_kmh", "gt", PLANE_KMH),)),
    Typology("account_takeover", (Condition("device_days", "lt", NEW_DAYS),)),
    Typology("bust_out", (Condition("against_usual", "gt", log(3.0)),)),
    Typology("bust_out", (Condition("amount_usd", "ge", MANY_DOLLARS),)),
    Typology("other"),
)  # fmt: skip


def parties(t: CardActivity) -> tuple[Party, ...]:
    user, device = str(int(t.User_ID)), str(int(t.Device_ID))
    place, failed = t.Transaction_Location, STATUS.get(t.Transaction_Status, UNKNOWN_STATUS) == 1.0
    speed = speed_kmh(t, SCALAR)
    return (
        Party("User_ID", user, str(int(t.Merchant_ID)), t.Transaction_Category, speed, place, device, failed),
        Party("Device_ID", device, user),
    )


def usually(t: CardActivity, against: float) -> float:
    """What an amount is held against, in its currency, from the logarithm of how many times it is."""
    return round(t.Transaction_Amount / exp(min(against, MOST_LOGARITHM)), 2)


def currency_of(t: CardActivity) -> str | None:
    return t.Transaction_Currency


def place(t: Any) -> str:
    return t.Transaction_Location


def event_time_ms(t: Any, received_ms: Any, ops: Operations) -> Any:
    """The transaction's own time, or when it was received."""
    own = ops.instant(t.Timestamp)
    return ops.where(own == own, own, received_ms)


def amount(t: Any) -> Any:
    """In dollars, so that a traveller's history adds up; as it is in a currency nobody knows."""
    return t.Transaction_Amount * USD_PER_UNIT.get(t.Transaction_Currency, 1.0)


def transaction_id(t: CardActivity) -> str | None:
    return t.transaction_id


# Fields whose words are known.
WORDS: Mapping[str, Mapping[str, float]] = {
    "Card_Type": CARD_REACH,
    "Transaction_Currency": USD_PER_UNIT,
    "Transaction_Status": STATUS,
    "Authentication_Method": AUTHENTICATION,
    "Transaction_Category": CATEGORY_RISK,
}
FOLDED = {name: {word.casefold(): word for word in table} for name, table in WORDS.items()}


def tidy(t: CardActivity) -> CardActivity:
    """Known words in another case are those words; absent derived fields are filled in where there is a value."""
    changed: dict[str, Any] = {name: _known_word(name, getattr(t, name)) for name in _unknown_words(t)}
    if t.transaction_id == "":
        changed["transaction_id"] = None
    absent = [name for name in DERIVED if getattr(t, name) is None]
    if absent:
        computed = dict(zip(DERIVED, derived(t, SCALAR), strict=True))
        changed |= {name: computed[name] for name in absent if abs(computed[name]) <= MOST_DERIVED}
    return msgspec.structs.replace(t, **changed) if changed else t


def remarks(t: CardActivity) -> tuple[str, ...]:
    off = [
        f"{name} is {getattr(t, name):.6g}, but {right:.6g} follows from the other fields; that is what was used."
        for name, right in zip(DERIVED, derived(t, SCALAR), strict=True)
        if not _agrees(t, name, right)
    ]
    return (*off, *_of_date(t))


def _of_date(t: CardActivity) -> tuple[str, ...]:
    """A day that no year has. The day itself is not weighed: what is, are hour and weekday."""
    longest = monthrange(_LEAP_YEAR, t.Transaction_Month)[1]
    if t.Transaction_Day <= longest:
        return ()
    return (f"Transaction_Day is {t.Transaction_Day}, but month {t.Transaction_Month} has {longest} days at most.",)


def _unknown_words(t: CardActivity) -> list[str]:
    return [name for name, table in WORDS.items() if getattr(t, name) not in table]


def _known_word(name: str, sent: str) -> str:
    """The word as it is known, if it is known under any case."""
    return FOLDED[name].get(sent.strip().casefold(), sent)


def _agrees(t: CardActivity, name: str, right: float) -> bool:
    """Whether a derived field, if sent, is near enough to what it should be (if that can be said)."""
    sent = getattr(t, name)
    if sent is None or sent == right or not isfinite(right):
        return True
    absolute, relative = DERIVED[name]
    near = absolute + relative * abs(right)
    return abs(sent - right) <= near or (name in LOGARITHMS and abs(sent - log(t.Transaction_Amount)) <= near)


CARD_ACTIVITY = TransactionSchema(
    name="card_activity",
    struct=CardActivity,
    roles=(
        Role("User_ID", habits=True, speeds=True, called="user", meets="merchants"),
        Role("Device_ID", called="device", meets="users"),
    ),
    features=FEATURES,
    build=build,
    parties=parties,
    event_time_ms=event_time_ms,
    amount=amount,
    transaction_id=transaction_id,
    rules=built_in.CARD_ACTIVITY,
    typologies=TYPOLOGIES,
    reach=REACH,
    known_by="known_events",
    of_today="user_count_24h",
    flags=frozenset(("night", "abroad", "merchant_known")),
    directions=DIRECTIONS,
    unknown_as=UNKNOWN_AS,
    known_values={name: KnownValues(tuple(table)) for name, table in WORDS.items()},
    place=place,
    usuals={"against_usual": usually, "against_kind": usually},
    currency=currency_of,
    tidy=tidy,
    remarks=remarks,
    searched=("User_ID", "Merchant_ID", "Device_ID"),
    amount_field="Transaction_Amount",
    ids=frozenset(["transaction_id"]),
)
