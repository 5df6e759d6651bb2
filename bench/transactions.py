"""PaySim transactions that differ and name their parties, for measurements and for the survival tests."""

import random
from typing import Any


def transaction(chance: random.Random, origins: int = 1_000_000, destinations: int = 20_000) -> dict[str, Any]:
    """One TRANSFER or CASH_OUT between so many parties; every other one empties the account."""
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


def question(chance: random.Random) -> dict[str, Any]:
    """The body of one POST /v1/decisions."""
    return {"schema": "paysim", "transaction": transaction(chance)}
