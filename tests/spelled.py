"""The same JSON written in other ways, each as some client writes it."""

import json
import random
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from tests.scoring.engine.conftest import EXAMPLES

LARGEST = 2**53 - 1
NOON = datetime(2026, 1, 5, 12, 30, 15, 250_000, tzinfo=UTC)
FULL: dict[str, dict[str, Any]] = {
    "paysim": EXAMPLES["paysim"]
    | {"newbalanceOrig": 0.0, "nameOrig": "Émile", "nameDest": "Ünal", "transaction_id": "é"},
    "payments": EXAMPLES["payments"]
    | {"timestamp": NOON, "user_id": "Zoë", "distance_from_home_km": 0.0, "card_present": True, "transaction_id": "ö1"},
    "ieee_cis": EXAMPLES["ieee_cis"] | {"TransactionID": LARGEST, "V1": 0.0, "dist1": -3.5, "DeviceInfo": "Ångström"},
    "card_activity": EXAMPLES["card_activity"]
    | {"Timestamp": NOON, "Transaction_Location": "Türkiye", "Hour_sin": 0.0, "transaction_id": "t"},
}


def times_of(moment: datetime, chance: random.Random) -> str:
    ahead = timezone(timedelta(minutes=chance.randint(-1439, 1439)))
    said = moment.astimezone(chance.choice([UTC, ahead])).isoformat(chance.choice(["T", " "]))
    said = said.replace("+00:00", chance.choice(["Z", "+00", "+0000", "-00:00", ""]))
    return chance.choice([said, said.replace(".", ","), said.lower(), said.replace(".250000", ".2500001")])


def number_of(value: float, chance: random.Random) -> str:
    if value == 0:
        return chance.choice(["0", "0.0", "-0.0", "0e5", "-0", "0.000"])
    if abs(value) > LARGEST:
        return repr(value)
    ways = [repr(value), f"{value!r}" + ("" if "." in repr(value) or "e" in repr(value) else ".0")]
    if value == int(value) and abs(value) < 10**15:
        ways += [str(int(value)), f"{int(value)}.00", f"{int(value)}0e-1", f"{int(value)}E0"]
    return chance.choice(ways) if value > 0 else repr(value)


def text_of(value: str, chance: random.Random) -> str:
    said = unicodedata.normalize(chance.choice(["NFC", "NFD"]), value)  # type: ignore[arg-type]
    return json.dumps(said, ensure_ascii=chance.random() < 0.5)


def written(value: Any, chance: random.Random) -> str:
    """A value as some client might write it."""
    space = lambda: chance.choice(["", " ", "\n\t"])  # noqa: E731
    match value:
        case dict():
            members = list(value.items())
            chance.shuffle(members)
            inner = ",".join(
                f"{space()}{json.dumps(name)}{space()}:{space()}{written(one, chance)}" for name, one in members
            )
            return f"{{{inner}{space()}}}"
        case list():
            return f"[{','.join(space() + written(one, chance) for one in value)}]"
        case bool() | None:
            return json.dumps(value)
        case datetime():
            return json.dumps(times_of(value, chance))
        case str():
            return text_of(value, chance)
        case _:
            return number_of(value, chance)
