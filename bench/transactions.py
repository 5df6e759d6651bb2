"""Transactions that differ and name their parties, for measurements and for the survival tests; one maker a schema."""

import json
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: IEEE-CIS's numeric columns that clients of the public data set send; the values here mean nothing.
IEEE_COUNTS = tuple(f"C{one}" for one in range(1, 15))
IEEE_VESTA = tuple(f"V{one}" for one in (*range(13, 20), *range(95, 130), *range(279, 340)))
PLACES = ("Uzbekistan", "USA", "Russia", "Kazakhstan", "Turkey")
CATEGORIES = ("grocery_pos", "shopping_net", "gas_transport", "misc_net", "food_dining", "travel")


def transaction(chance: random.Random, origins: int = 1_000_000, destinations: int = 20_000) -> dict[str, Any]:
    """PaySim: one TRANSFER or CASH_OUT between so many parties; every other one empties the account."""
    amount = round(chance.uniform(1, 200_000), 2)
    old = round(amount + chance.choice([0, chance.uniform(1, 100_000)]), 2)
    return {
        "step": chance.randint(401, 500),
        "type": chance.choice(["TRANSFER", "CASH_OUT"]),
        "amount": amount,
        "nameOrig": f"C{chance.randint(1, origins)}",
        "oldbalanceOrg": old,
        "newbalanceOrig": round(old - amount, 2),
        "nameDest": f"C{chance.randint(1, destinations)}",
        "oldbalanceDest": 1000.0,
        "newbalanceDest": round(1000 + amount, 2),
    }


def ieee_cis(chance: random.Random) -> dict[str, Any]:
    """IEEE-CIS: a card payment with some 120 columns."""
    counts = {name: float(chance.randint(0, 20)) for name in IEEE_COUNTS}
    vesta = {name: round(chance.expovariate(1), 4) for name in IEEE_VESTA}
    return {
        "TransactionDT": chance.randint(12_000_000, 13_000_000),
        "TransactionAmt": round(chance.uniform(1, 900), 2),
        "ProductCD": chance.choice("WCHRS"),
        "card1": chance.randint(1000, 18_000),
        "card2": float(chance.randint(100, 600)),
        "card3": 150.0,
        "card5": 226.0,
        "addr1": float(chance.randint(100, 500)),
        "addr2": 87.0,
        "R_emaildomain": "gmail.com",
        "DeviceInfo": "Windows",
        **counts,
        **vesta,
    }


def payments(chance: random.Random) -> dict[str, Any]:
    """Payments: a purchase of one of 5,000 users."""
    return {
        "amount": round(chance.uniform(1, 500), 2),
        "user_id": f"U{chance.randint(1, 5000)}",
        "merchant_id": f"M{chance.randint(1, 700)}",
        "merchant_category": chance.choice(CATEGORIES),
        "card_present": chance.random() < 0.6,
        "distance_from_home_km": round(chance.uniform(0, 120), 1),
    }


def card_activity(chance: random.Random) -> dict[str, Any]:
    """Card activity: the 18 fields that are not derived from others."""
    return {
        "User_ID": chance.randint(1, 5000),
        "Transaction_Amount": round(math.exp(chance.uniform(1, 12)), 2),
        "Transaction_Location": chance.choice(PLACES),
        "Merchant_ID": chance.randint(1, 900),
        "Device_ID": chance.randint(1, 8000),
        "Card_Type": chance.choice(("UzCard", "Humo", "Visa")),
        "Transaction_Currency": chance.choice(("UZS", "USD", "RUB")),
        "Transaction_Status": "Completed",
        "Previous_Transaction_Count": chance.randint(0, 400),
        "Distance_Between_Transactions_km": round(chance.expovariate(0.05), 1),
        "Time_Since_Last_Transaction_min": chance.randint(1, 5000),
        "Authentication_Method": chance.choice(("OTP", "PIN", "3DS")),
        "Transaction_Velocity": chance.randint(1, 9),
        "Transaction_Category": chance.choice(("Groceries", "Travel", "Gaming")),
        "Transaction_Hour": chance.randint(0, 23),
        "Transaction_Day": chance.randint(1, 28),
        "Transaction_Month": chance.randint(1, 12),
        "Transaction_Weekday": chance.randint(0, 6),
    }


MAKERS: Mapping[str, Callable[[random.Random], dict[str, Any]]] = {
    "paysim": transaction,
    "ieee_cis": ieee_cis,
    "payments": payments,
    "card_activity": card_activity,
}


def question(chance: random.Random, schema: str = "paysim", model: str | None = None) -> dict[str, Any]:
    """The body of one POST /v1/decisions."""
    said: dict[str, Any] = {"schema": schema, "transaction": MAKERS[schema](chance)}
    return said if model is None else said | {"model": model}


def write_bodies(path: Path, number: int, schema: str = "paysim", model: str | None = None, seed: int = 7) -> Path:
    """Different bodies, one a line, for bench/load.lua."""
    chance = random.Random(seed)
    path.write_text("".join(f"{json.dumps(question(chance, schema, model))}\n" for _ in range(number)))
    return path
