"""Writes what a sender would send: the story's fields, and what follows from the time, the ledger and the past."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

HOUR_MS, MINUTE_MS, DAY_MS = 3_600_000, 60_000, 86_400_000
LOG_BEGAN_DAYS = 20  # before the day a story begins: PaySim's hours are counted from then
PAYMENTS_BEFORE, MINUTES_BEFORE = 25, 300.0  # of a user whose past the story leaves open


class Clerk:
    """One sender's books over one story: who was last seen when, and what accounts hold."""

    def __init__(self, schema: str, story: str, begins_ms: int) -> None:
        self._write = WRITERS[schema]
        self.story, self.number = story, 0
        self.log_began_ms = begins_ms - begins_ms % DAY_MS - LOG_BEGAN_DAYS * DAY_MS
        self.balances: dict[str, float] = {}
        self.seen: dict[Any, list[int]] = {}

    def write(self, told: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
        """The transaction's body; the books then know of it."""
        self.number += 1
        fields = {name: self._numbered(value) for name, value in told.items()}
        return {name: value for name, value in self._write(self, fields, at_ms).items() if value is not None}

    def _numbered(self, value: Any) -> Any:
        return value.replace("{n}", str(self.number)) if isinstance(value, str) else value


def payments(clerk: Clerk, told: dict[str, Any], at_ms: int) -> dict[str, Any]:
    who = {"user_id": f"user of {clerk.story}", "merchant_id": f"merchant of {clerk.story} {clerk.number}"}
    return {**who, "timestamp": _iso(at_ms), **told}


def paysim(clerk: Clerk, told: dict[str, Any], at_ms: int) -> dict[str, Any]:
    """The balances after from those before, and the next ones from these."""
    names = {"nameOrig": f"C {clerk.story}", "nameDest": f"D {clerk.story}"} | told
    before = told.pop("before", clerk.balances.get(str(names["nameOrig"]), 50_000.0))
    there = told.pop("there", clerk.balances.get(str(names["nameDest"]), 0.0))
    sign = -1 if told["type"] == "CASH_IN" else 1
    kept = told["type"] != "PAYMENT"  # a merchant's balance is always 0
    written = {
        **names,
        "step": (at_ms - clerk.log_began_ms) // HOUR_MS,
        "oldbalanceOrg": before,
        "newbalanceOrig": before - sign * told["amount"],
        "oldbalanceDest": there if kept else 0.0,
        "newbalanceDest": max(0.0, there + sign * told["amount"]) if kept else 0.0,
        **told,
    }
    clerk.balances |= {str(names["nameOrig"]): written["newbalanceOrig"]}
    clerk.balances |= {str(names["nameDest"]): written["newbalanceDest"]}
    names_told = {name: names[name] for name in ("nameOrig", "nameDest")}
    return {**written, **names_told}


def card_activity(clerk: Clerk, told: dict[str, Any], at_ms: int) -> dict[str, Any]:
    """What such a sender counts of its user: payments before, minutes since the last one, those of the last hour."""
    told = {name: int(value) if name.endswith("_ID") else value for name, value in told.items()}
    user = told.setdefault("User_ID", crc32(clerk.story.encode()))
    told.setdefault("Merchant_ID", 100_000 + clerk.number)
    seen = clerk.seen.setdefault(user, [])
    when = datetime.fromtimestamp(at_ms / 1000, UTC)
    counted = {
        "Previous_Transaction_Count": PAYMENTS_BEFORE + len(seen),
        "Time_Since_Last_Transaction_min": (at_ms - seen[-1]) / MINUTE_MS if seen else MINUTES_BEFORE,
        "Distance_Between_Transactions_km": 1.0,
        "Transaction_Velocity": 1 + sum(at > at_ms - HOUR_MS for at in seen),
        "Transaction_Hour": when.hour,
        "Transaction_Day": when.day,
        "Transaction_Month": when.month,
        "Transaction_Weekday": when.weekday(),
        "Transaction_Status": "Completed",
        "Timestamp": _iso(at_ms),
    }
    seen.append(at_ms)
    return {**counted, **told}


def ieee_cis(clerk: Clerk, told: dict[str, Any], at_ms: int) -> dict[str, Any]:
    return told


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


WRITERS: Mapping[str, Callable[[Clerk, dict[str, Any], int], dict[str, Any]]] = {
    "payments": payments,
    "paysim": paysim,
    "card_activity": card_activity,
    "ieee_cis": ieee_cis,
}
#: The field a past's amounts are sent in.
AMOUNT = {"payments": "amount", "paysim": "amount", "card_activity": "Transaction_Amount"}
