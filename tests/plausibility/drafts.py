"""Draws transactions and pasts at random, for every schema: wild ones, sparse ones, extreme ones.

People come from a crowd. Each has a past, and variants of the past that differ in one thing: more payments "in an
hour" or "in a day", or the last one "sooner". A draft says who pays; changing the variant changes only their past.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from math import exp, log
from random import Random
from statistics import median
from typing import Any, NamedTuple

from apps.scoring.engine.history import Replay
from apps.scoring.engine.past_events import transaction_hash
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed
from apps.scoring.engine.windows import Activity
from tests.plausibility.senders import AMOUNT

CROWD = 150  # people
BEGINS_MS = 1_772_000_000_000
HOUR_MS, DAY_MS, MINUTE_MS = 3_600_000, 86_400_000, 60_000
VARIANTS = ("", "in an hour", "in a day", "sooner")
EXTREMES = (0.01, 1.0, 99_999.0, 1e6, 1e9)
CATEGORIES = ("home", "travel", "misc", "grocery", "shopping", "electronics", "food_dining", "odd things")
HOME = {"payments": "US", "card_activity": "Uzbekistan"}


class Draft(NamedTuple):
    """A payment: its fields, and whose past, in which variant. "known" and "home" in a field are that person's."""

    schema: str
    fields: dict[str, Any]
    person: int
    variant: str = ""

    def with_field(self, name: str, value: Any) -> "Draft":
        """With another value, or without the field (None)."""
        left = {known: own for known, own in self.fields.items() if known != name}
        return self._replace(fields=left if value is None else {**left, name: value})


class Member(NamedTuple):
    """Somebody of the crowd: now, and what they usually pay (nan: nobody knows)."""

    now_ms: int
    usual: float


class Crowd:
    """A schema's people with all variants of their pasts."""

    def __init__(self, schema: str, seed: int) -> None:
        self.schema = SCHEMAS[schema]
        self.replay = Replay(self.schema.roles)
        self.written = 0
        random = Random(f"{schema} {seed}")
        self.members = [self._member(number, random) for number in range(CROWD)] if self.schema.roles else []

    def seen(self, draft: Draft, parsed: Parsed) -> Mapping[str, Activity]:
        """The pasts of everybody a draft names."""
        parties = self.schema.parties(parsed.transaction)
        return self.replay.look(parties, parsed.at_ms, transaction_hash("this one"), parsed.received_ms)

    def parsed(self, draft: Draft) -> Parsed:
        now_ms = self.members[draft.person].now_ms if self.members else BEGINS_MS
        return self.schema.parse(NAMED[draft.schema](draft, now_ms), now_ms)

    def _member(self, number: int, random: Random) -> Member:
        now_ms = BEGINS_MS + random.randrange(7 * DAY_MS)
        events = self._past(number, now_ms, random)
        extra = [self._event(number, random) for _ in range(random.randint(1, 30))]
        within = {"in an hour": HOUR_MS - 1, "in a day": DAY_MS - 1}
        for variant in VARIANTS:
            more = [(now_ms - 1 - random.randrange(within[variant]), one) for one in extra] if variant in within else []
            told = _sooner(events, now_ms) if variant == "sooner" else events
            for at_ms, draft in sorted([*told, *more], key=lambda one: one[0]):
                self._remember(draft._replace(variant=variant), at_ms)
        amounts = [draft.fields[AMOUNT[draft.schema]] for _, draft in events]
        return Member(now_ms, median(amounts) if amounts else 0.0)

    def _past(self, number: int, now_ms: int, random: Random) -> list[tuple[int, Draft]]:
        """Nothing, a few payments, or months of them; sometimes a busy last day before."""
        count = random.choice((0, 0, 1, 3, 8, 20, 40, 80))
        reach = random.choice((2, 20, 100)) * DAY_MS
        usual = exp(random.uniform(log(5), log(3_000)))
        made = []
        for _ in range(count):
            draft = self._event(number, random)
            field = AMOUNT[draft.schema]
            amount = round(usual * exp(random.gauss(0, 0.5)), 2)
            made.append((now_ms - 1 - random.randrange(reach), draft.with_field(field, amount)))
        return sorted(made, key=lambda one: one[0])

    def _event(self, number: int, random: Random) -> Draft:
        draft = DRAWN[self.schema.name](random)
        return USUAL[self.schema.name](draft)._replace(person=number)

    def _remember(self, draft: Draft, at_ms: int) -> None:
        self.written += 1
        parsed = self.schema.parse(NAMED[draft.schema](draft, at_ms), at_ms)
        amount = self.schema.amount(parsed.transaction)
        self.replay.remember(
            self.schema.parties(parsed.transaction), parsed.at_ms, amount, transaction_hash(str(self.written)), at_ms
        )


@cache
def crowd(schema: str, seed: int = 0) -> Crowd:
    return Crowd(schema, seed)


def drawn(schema: str, random: Random) -> Draft:
    """A payment of somebody of the crowd."""
    return DRAWN[schema](random)._replace(person=random.randrange(CROWD))


def _sooner(events: list[tuple[int, Draft]], now_ms: int) -> list[tuple[int, Draft]]:
    """The same past, its last payment half as long ago: one of the last day without a journey of its own, for moving
    another one changes habits and earlier journeys, too."""
    if not events:
        return events
    at_ms, last = events[-1]
    if now_ms - at_ms >= DAY_MS or "distance_from_last_transaction" in last.fields:
        return events
    return [*events[:-1], (now_ms - max(1, (now_ms - at_ms) // 2), last)]


def amount_of(random: Random, least: float = 0.5, most: float = 20_000.0) -> float:
    if random.random() < 0.05:
        return random.choice(EXTREMES)
    return round(exp(random.uniform(log(least), log(most))), 2)


def far(random: Random) -> float:
    return random.choice((0.0, 20_000.0, 1e6)) if random.random() < 0.1 else round(exp(random.uniform(-1, 9)), 1)


def payments(random: Random) -> Draft:
    maybe: dict[str, Any] = {
        "merchant_category": random.choice(CATEGORIES), "card_present": random.random() < 0.5,
        "distance_from_home_km": far(random), "foreign_transaction": random.random() < 0.2,
        "used_chip": random.random() < 0.5, "used_pin_number": random.random() < 0.5,
        "online_order": random.random() < 0.5, "repeat_retailer": random.random() < 0.5,
        "distance_from_last_transaction": far(random), "country": random.choice(("home", "home", "DE", "KP")),
        "ratio_to_median_purchase_price": min(1e6, amount_of(random, 0.05, 60.0)),
        "device_id": random.choice(("known", "new")),
    }  # fmt: skip
    told = random.choice((0.0, 0.3, 0.7, 1.0))
    return Draft("payments", {"amount": amount_of(random)} | _some(maybe, told, random), 0)


def card_activity(random: Random) -> Draft:
    fields = {
        "Transaction_Amount": amount_of(random), "Transaction_Location": random.choice(("home", "home", "Turkey")),
        "Device_ID": random.choice(("known", 777)), "Card_Type": random.choice(("UzCard", "Visa", "Credit", "Other")),
        "Transaction_Currency": "USD", "Transaction_Status": random.choice(("Completed", "Pending", "Failed")),
        "Previous_Transaction_Count": random.choice((0, 1, 5, 25, 300)),
        "Distance_Between_Transactions_km": far(random),
        "Time_Since_Last_Transaction_min": far(random), "Transaction_Velocity": random.choice((1, 1, 2, 4, 9, 15, 60)),
        "Authentication_Method": random.choice(("Biometric", "OTP", "PIN", "Password", "CVV", "None", "Other")),
        "Transaction_Category": random.choice(("Groceries", "Travel", "Gaming", "Crypto", "Shopping", "Other")),
    }  # fmt: skip
    return Draft("card_activity", fields, 0)


def paysim(random: Random) -> Draft:
    before, share = exp(random.uniform(0, 16)), random.choice((random.random(), 1.0, 0.99, 1.5, 0.01))
    amount = round(before * share, 2)
    kind = random.choice(("TRANSFER", "TRANSFER", "CASH_OUT", "CASH_OUT", "PAYMENT", "CASH_IN", "DEBIT", "OTHER"))
    there = round(random.choice((0.0, exp(random.uniform(0, 16)))), 2)
    fields = {"type": kind, "amount": amount, "oldbalanceOrg": round(before, 2), "oldbalanceDest": there}
    return Draft("paysim", fields, 0)


def ieee_cis(random: Random) -> Draft:
    told = random.choice((0.05, 0.3, 0.7, 0.95))
    few = (0, 0, 1, 1, 2, 3, 5, 20, 300)
    maybe: dict[str, Any] = {
        "ProductCD": random.choice("WHRSC"), "card1": random.randrange(1_000, 18_400),
        "card2": random.randrange(100, 600), "card3": random.choice((150, 150, 185, 144)),
        "card5": random.choice((226, 195, 224, 102, 138)), "addr1": random.randrange(100, 540), "addr2": 87,
        "R_emaildomain": random.choice(("gmail.com", "hotmail.com", "anonymous.com", "x.example")),
        "DeviceInfo": random.choice(("Windows", "iOS Device", "SAMSUNG")),
        "id_16": random.choice(("Found", "NotFound")),
        "TransactionDT": random.randrange(86_400, 15_000_000),
        **{f"C{number}": random.choice(few) for number in range(1, 15)},
        **{f"V{number}": random.choice(few) for number in range(1, 340)},
    }  # fmt: skip
    return Draft("ieee_cis", {"TransactionAmt": amount_of(random)} | _some(maybe, told, random), 0)


def _some(maybe: Mapping[str, Any], told: float, random: Random) -> dict[str, Any]:
    return {name: value for name, value in maybe.items() if random.random() < told}


# Every moment has its own merchant: two payments of a pair, at one moment, differ in nothing but what the law is about.


def _named_payments(draft: Draft, at_ms: int) -> dict[str, Any]:
    who = f"user {draft.person} {draft.variant}"
    named = {**draft.fields, "user_id": who, "merchant_id": f"merchant {at_ms}"}
    named = {**named, "timestamp": at_ms_as_text(at_ms)}
    if named.get("device_id") == "known":
        named["device_id"] = f"device of {who}"
    if named.get("country") == "home":
        named["country"] = HOME["payments"]
    return named


def _named_card_activity(draft: Draft, at_ms: int) -> dict[str, Any]:
    who = 1_000 + draft.person * len(VARIANTS) + VARIANTS.index(draft.variant)
    clock = {"Transaction_Hour": at_ms // HOUR_MS % 24, "Transaction_Day": 5, "Transaction_Month": 3}
    named = {**draft.fields, **clock, "Transaction_Weekday": 2, "User_ID": who}
    named |= {"Merchant_ID": at_ms, "Timestamp": at_ms_as_text(at_ms)}
    if named["Device_ID"] == "known":
        named["Device_ID"] = 100_000 + who
    if named["Transaction_Location"] == "home":
        named["Transaction_Location"] = HOME["card_activity"]
    return named


def _named_paysim(draft: Draft, at_ms: int) -> dict[str, Any]:
    """Balances after as they follow, unless a draft tells them."""
    fields, sign = draft.fields, -1 if draft.fields["type"] == "CASH_IN" else 1
    moved = sign * fields["amount"]
    after = {
        "newbalanceOrig": round(max(0.0, fields["oldbalanceOrg"] - moved), 2),
        "newbalanceDest": round(max(0.0, fields["oldbalanceDest"] + moved), 2),
    }
    names = {"nameOrig": f"C{draft.person} {draft.variant}", "nameDest": f"D{draft.person}"}
    return {"step": at_ms // HOUR_MS % 1_000_000, **after, **names, **fields}


def _named_ieee_cis(draft: Draft, at_ms: int) -> dict[str, Any]:
    return draft.fields


def at_ms_as_text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def _as_usual_payments(draft: Draft) -> Draft:
    return draft.with_field("device_id", "known").with_field("country", "home")


def _as_usual_card_activity(draft: Draft) -> Draft:
    return draft.with_field("Device_ID", "known").with_field("Transaction_Location", "home")


def _as_it_is(draft: Draft) -> Draft:
    return draft


DRAWN: Mapping[str, Callable[[Random], Draft]] = {
    "payments": payments,
    "card_activity": card_activity,
    "paysim": paysim,
    "ieee_cis": ieee_cis,
}
NAMED: Mapping[str, Callable[[Draft, int], dict[str, Any]]] = {
    "payments": _named_payments,
    "card_activity": _named_card_activity,
    "paysim": _named_paysim,
    "ieee_cis": _named_ieee_cis,
}
#: How somebody's own past is made: with their device, at home.
USUAL: Mapping[str, Callable[[Draft], Draft]] = {
    "payments": _as_usual_payments,
    "card_activity": _as_usual_card_activity,
    "paysim": _as_it_is,
    "ieee_cis": _as_it_is,
}
