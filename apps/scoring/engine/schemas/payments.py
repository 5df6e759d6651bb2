"""Payments with a card at a merchant: who pays whom how much for what, where, and whatever is known of how.

What tells a theft is mostly the past: what the user pays as a rule, in this category too, and whether the last day
already looked like one. `likeness` is what a single payment tells about that; it is kept with every event as its
measure, so that a spree of unremarkable thefts adds up.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf, log, log1p, nan
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.currencies import CURRENCIES
from apps.scoring.engine.history import COUNTS, DAY_MS, FROM_NOTHING, HOUR_MS
from apps.scoring.engine.operations import SCALAR, Operations
from apps.scoring.engine.rules import Condition, Typology, review
from apps.scoring.engine.transaction import InvalidTransaction, Party, Role, TransactionSchema, stated, weighed

MOST_MONEY = 1e9  # in dollars
MOST_AMOUNT = 1e15  # in the least of currencies
MOST_KM = 1e6
MOST_TIMES = 1e6
MOST_SPREADS = 50.0  # amounts further from the usual say no more
LEAST_SPREAD = 5.0  # in money: nobody's amounts are more alike than that
OLD_DAYS = 60.0  # of a past, beyond which more says no more
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

# How much more often amounts of a size are stolen than honestly paid, as the logarithm of how many times: from the
# first amount on the value beside it, up to the next. Counted in the training rows.
BANDS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "entertainment": ((0, -5.8), (340, 3.6), (400, 4.7), (450, 6.2), (710, 3.0)),
    "food_dining": ((0, -5.4), (94, 1.2), (105, 2.5), (145, 1.7), (156, -2.3)),
    "gas_transport": ((0, 3.2), (5.5, 9.0), (15, 6.5), (22, 2.0), (30, -6.9)),
    "grocery": ((0, -0.8), (4.3, 1.3), (8, 2.0), (17, -0.4), (20, -8.0), (245, 1.0), (260, 7.7), (410, 2.3)),
    "health_fitness": ((0, -3.6), (16, 1.8), (18, 2.7), (22, 2.0), (24, -4.6)),
    "home": ((0, -5.5), (198, 1.2), (215, 4.6), (290, 3.3)),
    "kids_pets": ((0, -1.3), (1.9, 0.8), (7.7, -3.4), (16, 2.3), (23, 1.0), (26, -5.4)),
    "misc": ((0, -6.4), (6.4, -0.4), (10.5, -3.5), (47, 1.0), (52, -4.8), (550, 1.5), (650, 4.7), (900, 3.5),
             (1140, -1.4)),
    "personal_care": ((0, -4.7), (14, 0.4), (17, 2.2), (23, -0.7), (29, -2.4), (46, 1.7), (54, -4.8)),
    "shopping": ((0, -8.3), (600, 1.5), (700, 3.2), (800, 4.8), (1100, 4.1), (1250, 2.2), (1410, -3.0)),
    "travel": ((0, -1.2), (8, 1.4), (12.4, -3.1)),
}  # fmt: skip
AT_NIGHT, BY_DAY = 1.3, -1.6  # the same of the time of day
MOST_ALIKE = 6.0  # no single payment says more, either way


def _with_other_words(table: Mapping[str, float]) -> dict[str, float]:
    return {**table, **{word: table[meaning] for word, meaning in MEANS.items() if meaning in table}}


def _step(number: int, part: int) -> dict[str, float]:
    return _with_other_words({name: bands[number][part] for name, bands in BANDS.items() if number < len(bands)})


RANKS = _with_other_words(CATEGORY_RANK)
STEPS = tuple((_step(number, 0), _step(number, 1)) for number in range(max(map(len, BANDS.values()))))


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
    merchant_category: Annotated[str, _text("What is sold: grocery, shopping, travel, …", 64)] | None = None
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
    ip_address: Annotated[str, _text("The address it came from.", 64)] | None = None
    email: Annotated[str, _text("The address it was paid under.", 254)] | None = None
    card_bin: Annotated[str, _text("The first digits of the card.", 16)] | None = None


OPTIONAL_TEXTS = (
    "transaction_id", "merchant_category", "currency", "country", "device_id", "ip_address", "email", "card_bin",
)  # fmt: skip


FEATURES = (
    weighed("log_amount", "AMOUNT", "amount", "amount (logarithm)", "An amount of {exp}"),
    weighed("category", "MERCHANT_CATEGORY", "merchant_category", "category", "The category {value}",
            unknown="The merchant's category was not sent, or is not one we know."),
    stated("card_present", "CARD_PRESENT", "card_present", "card present", "The card was there.",
           zero="The card was not there.", unknown="Whether the card was there was not sent."),
    stated("distance_from_home", "DISTANCE_FROM_HOME", "distance_from_home_km", "km from home",
           "The payment is made {value} km from home.", unknown="The distance from home was not sent."),
    weighed("hour_of_day", "HOUR_OF_DAY", "timestamp", "hour of the day", "The hour of the day"),
    stated("night", "NIGHT_TIME", "timestamp", "night", "It is night (UTC).", zero="It is not night (UTC)."),
    weighed("weekday", "WEEKDAY", "timestamp", "day of the week", "The day of the week"),
    weighed("likeness", "LIKE_A_THEFT", "amount", "amount, category and time", "Amount, category and time together",
            many=True),
    stated("count_1h", "HIGH_VELOCITY", "user_id", "user's payments in 1 h",
           "The user made {value} payment{s} in the last hour."),
    stated("count_24h", "HIGH_VELOCITY_DAY", "user_id", "user's payments in 24 h",
           "The user made {value} payment{s} in the last 24 hours."),
    stated("count_7d", "HIGH_VELOCITY_WEEK", "user_id", "user's payments in 7 d",
           "The user made {value} payment{s} in the last 7 days."),
    stated("pace", "PACE", "user_id", "user's pace",
           "The user's pace of the last 24 hours is {times} the usual one.",
           zero="The user made no payments in the last 24 hours."),
    stated("log_sum_24h", "SPENT_IN_A_DAY", "user_id", "spent in 24 h (logarithm)",
           "The user spent {exp} in the last 24 hours.", zero="The user spent nothing in the last 24 hours."),
    stated("log_since_last", "LAST_SEEN", "user_id", "time since last (logarithm)",
           "The user's payment before was {exp_span} ago.", unknown="No earlier payment of the user is known."),
    stated("known_events", "KNOWN_USER", "user_id", "known payments of the user",
           "We know {value} earlier payment{s} of the user."),
    stated("known_days", "KNOWN_SINCE", "user_id", "days the user is known",
           "The user has been known for {value} day{s}.", zero="The user has only just become known.",
           unknown="No earlier payment of the user is known."),
    stated("against_usual", "AMOUNT_AGAINST_USUAL", "amount", "amount against the usual",
           "The amount is {than} what the user pays as a rule.", unknown="What the user pays as a rule is not known."),
    stated("against_largest_24h", "AMOUNT_AGAINST_LARGEST", "amount", "amount against the day's",
           "The amount is {than} the user's largest of the last 24 hours.",
           unknown="No payment of the user in the last 24 hours is known."),
    stated("largest_24h_against_usual", "LARGE_AMOUNTS_BEFORE", "user_id", "largest of a day and usual",
           "The user's largest payment of the last 24 hours was {than} what they pay as a rule.",
           unknown="No payment of the user in the last 24 hours is known."),
    stated("largest_1h_against_usual", "LARGE_AMOUNT_JUST_BEFORE", "user_id", "largest of an hour and usual",
           "The user's largest payment of the last hour was {than} what they pay as a rule.",
           unknown="No payment of the user in the last hour is known."),
    stated("last_against_usual", "LAST_AMOUNT", "user_id", "last amount against usual",
           "The user's payment before was {than} what they pay as a rule.",
           unknown="No earlier payment of the user is known."),
    stated("kind_count", "CATEGORY_COUNT", "merchant_category", "payments in this category",
           "The user made {value} payment{s} in this category before."),
    stated("kind_share", "CATEGORY_SHARE", "merchant_category", "share of this category",
           "Of the user's payments {percent} were in this category.",
           zero="None of the user's payments that we know was in this category."),
    stated("against_kind", "AMOUNT_AGAINST_CATEGORY", "amount", "amount against category's",
           "The amount is {than} what the user pays in this category.",
           unknown="What the user pays in this category is not known."),
    stated("kind_spreads", "AMOUNT_BEYOND_CATEGORY", "amount", "spreads from the category's",
           "The amount is {than} what the user pays in this category, by {size} times the usual spread.",
           zero="The amount is equal to what the user pays in this category.",
           unknown="How much the user's payments in this category differ is not known."),
    stated("against_last_of_kind", "AMOUNT_AGAINST_LAST_OF_CATEGORY", "amount", "amount against the last",
           "The amount is {than} what the user paid last in this category.",
           unknown="No earlier payment of the user in this category is known."),
    stated("log_kind_since_last", "CATEGORY_LAST_SEEN", "merchant_category", "category's last (logarithm)",
           "The user last paid in this category {exp_span} ago.",
           unknown="No earlier payment of the user in this category is known."),
    stated("kinds_24h", "MANY_CATEGORIES", "merchant_category", "user's categories in 24 h",
           "The number of categories the user paid in within the last 24 hours is {value}.",
           zero="The user paid in no category in the last 24 hours."),
    stated("merchant_events", "KNOWN_MERCHANT", "merchant_id", "payments to this merchant",
           "The user made {value} payment{s} to this merchant before."),
    stated("night_share", "NIGHT_SHARE", "timestamp", "share of night payments",
           "Of the user's payments {percent} were made at night (UTC).",
           zero="None of the user's payments that we know was made at night (UTC).",
           unknown="How often the user pays at night is not known."),
    stated("count_today", "COUNT_TODAY", "user_id", "user's payments today",
           "The user made {value} payment{s} today."),
    stated("count_yesterday", "COUNT_YESTERDAY", "user_id", "user's payments yesterday",
           "The user made {value} payment{s} yesterday."),
    weighed("spree_24h", "SPREE_24H", "user_id", "payments of 24 h together",
            "How the payments of the last 24 hours look together",
            zero="The payments of the last 24 hours show nothing either way."),
    weighed("spree_today", "SPREE_TODAY", "user_id", "today's payments together",
            "How today's payments look together", zero="Today's payments before this one show nothing either way."),
    weighed("spree_with_this", "SPREE", "amount", "today's and this together",
            "How today's payments look together, this one included,"),
    weighed("spree_yesterday", "SPREE_YESTERDAY", "user_id", "yesterday's together",
            "How yesterday's payments look together", zero="Yesterday's payments show nothing either way."),
    weighed("spree_before", "SPREE_BEFORE", "user_id", "day before yesterday's",
            "How the payments of the day before yesterday look together",
            zero="The payments of the day before yesterday show nothing either way."),
    weighed("last_likeness", "LAST_LIKE_A_THEFT", "user_id", "look of the last payment",
            "How the user's payment before looks", unknown="No earlier payment of the user is known."),
    weighed("usual_likeness", "USUALLY_LIKE_A_THEFT", "user_id", "look of usual payments",
            "How the user's payments look as a rule", unknown="No earlier payment of the user is known."),
    weighed("largest_likeness", "ONCE_LIKE_A_THEFT", "user_id", "look of the riskiest payment",
            "How the riskiest payment of the user's last months looks",
            unknown="No earlier payment of the user is known."),
)  # fmt: skip


# How far features reach that are no fields: beyond, a rule would never hit.
SHARE, LIKENESS = (0.0, 1.0), (-MOST_ALIKE, MOST_ALIKE)
REACH = {
    "log_amount": FROM_NOTHING, "category": (0.0, 10.0), "distance_from_home": (0.0, MOST_KM), "night": (0.0, 1.0),
    "hour_of_day": (0.0, 24.0), "weekday": (0.0, 6.0), "likeness": LIKENESS, "pace": FROM_NOTHING,
    "log_sum_24h": FROM_NOTHING, "log_since_last": FROM_NOTHING, "known_days": (0.0, OLD_DAYS),
    "kind_share": SHARE, "night_share": SHARE, "log_kind_since_last": FROM_NOTHING,
    "kind_spreads": (-inf, MOST_SPREADS), "last_likeness": LIKENESS, "usual_likeness": LIKENESS,
    "largest_likeness": LIKENESS,
    **dict.fromkeys(("count_1h", "count_24h", "count_7d", "known_events", "kind_count", "kinds_24h", "merchant_events",
                     "count_today", "count_yesterday"), COUNTS),
}  # fmt: skip


def dollars_of(t: Any, ops: Operations) -> Any:
    """The amount in dollars; as it is without a currency, or in one nobody knows."""
    worth = ops.lookup(WORTH, t.currency, 1.0)
    return t.amount * ops.where(worth == worth, worth, 1.0)


def likeness(t: Any, at_ms: Any, ops: Operations) -> Any:
    """How much a single payment looks like a theft: the logarithm of how many times more often such ones are."""
    score, paid = 0.0, dollars_of(t, ops)
    for begins, worth in STEPS:
        reached = paid >= ops.lookup(begins, t.merchant_category, inf)
        score = ops.where(reached, ops.lookup(worth, t.merchant_category, 0.0), score)
    of_day = ops.where(at_night(hour_of_day(at_ms)), AT_NIGHT, BY_DAY)
    score = score + ops.where(at_ms == at_ms, of_day, 0.0)
    return ops.maximum(-MOST_ALIKE, ops.minimum(MOST_ALIKE, score))


def hour_of_day(at_ms: Any) -> Any:
    return (at_ms % float(DAY_MS)) / HOUR_MS


def at_night(hour: Any) -> Any:
    return (hour >= NIGHT_BEGINS) | (hour < NIGHT_ENDS)


def build(t: Any, at_ms: Any, pasts: Sequence[Any], ops: Operations) -> tuple[Any, ...]:
    """The one definition of the features, in the order of `FEATURES`, for a row or for columns.

    Amounts are compared by the difference of their logarithms. A limit stands first in `minimum` and `maximum`, where
    an unknown second stays unknown.
    """
    (user,) = pasts
    logged, minimum, maximum = ops.log1p, ops.minimum, ops.maximum
    paid = dollars_of(t, ops)
    money, usual, hour = logged(paid), logged(user.usual_amount), hour_of_day(at_ms)
    largest_24h = logged(user.largest_24h)
    days = maximum(1.0, user.known_days)
    alike = likeness(t, at_ms, ops)
    spreads = (paid - user.kind_amount) / maximum(LEAST_SPREAD, user.kind_spread)
    return (
        money,
        ops.lookup(RANKS, t.merchant_category, nan),
        ops.number(t.card_present),
        ops.number(t.distance_from_home_km),
        hour,
        ops.where(at_night(hour), 1.0, 0.0),
        (ops.floor(at_ms / DAY_MS) + 3.0) % 7.0,
        alike,
        user.count_1h,
        user.count_24h,
        user.count_7d,
        user.count_24h * days / maximum(1.0, user.known),
        logged(user.sum_24h),
        logged(user.since_last),
        user.known,
        minimum(OLD_DAYS, user.known_days),
        money - usual,
        money - largest_24h,
        largest_24h - usual,
        logged(user.largest_1h) - usual,
        logged(user.last_amount) - usual,
        user.same_kind,
        user.same_kind / maximum(1.0, user.known),
        money - logged(user.kind_amount),
        minimum(MOST_SPREADS, spreads),
        money - logged(user.kind_last_amount),
        logged(user.kind_since_last),
        user.kinds_24h,
        user.same_counterparty,
        user.night_share,
        user.count_today,
        user.count_yesterday,
        user.measure_24h,
        user.measure_today,
        user.measure_today + alike,
        user.measure_yesterday,
        user.measure_before,
        user.last_measure,
        user.usual_measure,
        user.largest_measure,
    )


# For what the models have not learned: fields their training rows lack, amounts those rows' thieves never took. In the
# public card_transdata set (CC0) nothing honest hits the first two; of the training rows 0.03 % hit the third.
RULES = (
    review("remote_far_above_median", "Ordered online without a PIN for more than four times the user's median.",
           Condition("online_order", "eq", True), Condition("used_pin_number", "eq", False),
           Condition("ratio_to_median_purchase_price", "gt", 4.0)),
    review("remote_far_from_home", "Ordered online without chip or PIN, more than 100 km from home.",
           Condition("online_order", "eq", True), Condition("used_pin_number", "eq", False),
           Condition("used_chip", "eq", False), Condition("distance_from_home_km", "gt", 100.0)),
    review("far_above_usual", "More than 20 times what the user pays as a rule, and more than 3,000 US dollars.",
           Condition("against_usual", "gt", log(20.0)), Condition("log_amount", "gt", log1p(3000.0))),
    review("large_and_abroad", "More than 2,000 US dollars across a border.",
           Condition("foreign_transaction", "eq", True), Condition("log_amount", "gt", log1p(2000.0))),
)  # fmt: skip

SMALL_AMOUNT, LARGE_AMOUNT = log1p(30.0), log1p(200.0)
# What a suspicious payment looks like; the first that fits names it.
TYPOLOGIES = (
    Typology("card_testing", (Condition("log_amount", "le", SMALL_AMOUNT), Condition("count_1h", "ge", 2.0))),
    Typology("unusual_location", (Condition("foreign_transaction", "eq", True),)),
    Typology("unusual_location", (Condition("distance_from_home_km", "gt", 500.0),)),
    Typology("account_takeover", (Condition("log_amount", "ge", LARGE_AMOUNT), Condition("kinds_24h", "ge", 3.0))),
    Typology("stolen_card", (Condition("log_amount", "ge", LARGE_AMOUNT),)),
    Typology("card_testing", (Condition("log_amount", "le", SMALL_AMOUNT),)),
    Typology("high_velocity", (Condition("count_1h", "ge", 4.0),)),
    Typology("other"),
)


def parties(t: Any) -> tuple[Party, ...]:
    """The user, with the category and with how much this payment by itself looks like a theft."""
    kind = MEANS.get(t.merchant_category, t.merchant_category or "")
    alike = likeness(t, SCALAR.instant(t.timestamp), SCALAR)
    return (Party("user_id", t.user_id, t.merchant_id, kind, alike),)


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
    category = "_".join((t.merchant_category or "").strip().lower().replace("-", " ").replace("_", " ").split())
    if not blank and category == (t.merchant_category or ""):
        return t
    return msgspec.structs.replace(t, **{**blank, "merchant_category": category or None})


def remarks(t: Payment) -> tuple[str, ...]:
    return (*_of_money(t), *_of_category(t))


def _of_money(t: Payment) -> tuple[str, ...]:
    """What an amount was weighed as, where that is not what it says."""
    if t.currency and t.currency not in WORTH:
        return (f"Unknown currency '{t.currency}': the amount was weighed as US dollars. Known are ISO 4217's codes.",)
    worth = WORTH.get(t.currency or "", 1.0)
    if 1 / FAR_FROM_A_DOLLAR <= worth <= FAR_FROM_A_DOLLAR:
        return ()
    dollars = float(f"{t.amount * worth:.2g}")
    return (f"The amount was weighed as about {dollars:,.{2 if dollars < 100 else 0}f} US dollars.",)


def _of_category(t: Payment) -> tuple[str, ...]:
    if t.merchant_category is None or t.merchant_category in RANKS:
        return ()
    known = ", ".join(sorted(CATEGORY_RANK))
    return (f"Unknown merchant_category '{t.merchant_category}': accuracy may be lower. Known: {known}.",)


PAYMENTS = TransactionSchema(
    name="payments",
    struct=Payment,
    roles=(Role("user_id", habits=True),),
    features=FEATURES,
    build=build,
    parties=parties,
    event_time_ms=event_time_ms,
    amount=amount,
    transaction_id=transaction_id,
    rules=RULES,
    typologies=TYPOLOGIES,
    reach=REACH,
    words={"category": {rank: name for name, rank in CATEGORY_RANK.items()}},
    tidy=tidy,
    remarks=remarks,
    sample={"currency": min(CURRENCIES, key=lambda code: CURRENCIES[code].dollars)},
    ids=frozenset({"transaction_id", "user_id", "merchant_id", "device_id"}),
)
