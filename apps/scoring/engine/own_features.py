"""The features a tenant's own models have beside the schema's: of each party its doings and its known frauds over 1, 7
and 30 days (`own_past.py`). Pure.

A schema `widened` has them behind its own features, so that a row of it begins with the schema's row: models, reasons
and explanations read both alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import log1p, nan

import numpy as np

from apps.scoring.engine.features import Feature, stated, weighed
from apps.scoring.engine.own_past import DAY_SECONDS, WIDTH, WINDOWS
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.windows import FROM_NOTHING

#: Schema → who its parties are to a tenant's own model, and the field that names each.
PARTIES: Mapping[str, Mapping[str, str]] = {
    "payments": {"user": "user_id", "merchant": "merchant_id", "device": "device_id", "email": "email"},
    "card_activity": {"user": "User_ID", "merchant": "Merchant_ID", "device": "Device_ID"},
    "paysim": {"origin": "nameOrig", "destination": "nameDest"},
    "ieee_cis": {"card": "card1", "email": "P_emaildomain"},
}
#: A party's share of known frauds is smoothed by as many decisions at the tenant's base rate.
SMOOTHED_BY = 5.0
#: What is read of a party over each window, in the order of the features.
KINDS = ("count", "sum", "mean", "against_mean", "frauds", "fraud_share")
CALLED: Mapping[str, str] = {"email": "e-mail address"}


def parties_of(schema_name: str) -> tuple[str, ...]:
    """The fields that name the parties, in the order of the features."""
    return tuple(PARTIES[schema_name].values())


@cache
def widened(schema_name: str) -> TransactionSchema:
    """The schema with the own features behind its own. Those are under no law: thieves leave a merchant after a while,
    so that many known frauds may as well mean that it is over."""
    schema = SCHEMAS[schema_name]
    added = features_of(schema_name)
    reach = {feature.name: FROM_NOTHING for feature in added if "_against_mean_" not in feature.name}
    return replace(schema, features=(*schema.features, *added), reach={**schema.reach, **reach})


def features_of(schema_name: str) -> tuple[Feature, ...]:
    """The own features of a schema: those of its first party over the shortest window first, then for how long frauds
    have been known of it."""
    return tuple(
        feature
        for party, field in PARTIES[schema_name].items()
        for feature in (
            *(_feature(kind, party, field, days) for days in WINDOWS for kind in KINDS),
            *(_age(which, party, field) for which in ("first", "last")),
        )
    )


def _age(which: str, party: str, field: str) -> Feature:
    who = CALLED.get(party, party)
    return stated(f"{party}_{which}_fraud_days", f"{party.upper()}_{which.upper()}_FRAUD", field,
                  f"days since the {which} known fraud of the {who}",
                  f"The {which} known fraud of the last 30 days on the {who} became known {{value}} day{{s}} ago.",
                  unit="days", unknown=f"No fraud of the last 30 days is known of the {who}.")  # fmt: skip


def _feature(kind: str, party: str, field: str, days: int) -> Feature:
    who, span = CALLED.get(party, party), "day" if days == 1 else f"{days} days"
    name, code, past = f"{party}_{kind}_{days}d", f"{party.upper()}_{kind.upper()}", f"of the {who} in {days} d"
    nothing = f"Nothing is known of the {who}."
    if kind == "count":
        return weighed(name, code, field, f"decisions {past}", f"{{value}} decisions on the {who} in the {span} before",
                       many=True, unknown=nothing)  # fmt: skip
    if kind == "sum":
        return weighed(name, code, field, f"amounts {past}", f"{{whole}} in all on the {who} in the {span} before",
                       unknown=nothing)  # fmt: skip
    if kind == "mean":
        return weighed(name, code, field, f"mean amount {past}", f"A mean of {{whole}} on the {who} in {span} before",
                       unknown=nothing)  # fmt: skip
    if kind == "against_mean":
        return stated(name, code, field, f"amount against the mean {past}",
                      f"The amount is {{factor}} the mean on the {who} in {span}.",
                      shown_as="exp", up_above=1.0, down_below=2.0, unit="times", unknown=nothing)  # fmt: skip
    if kind == "frauds":
        return stated(name, code, field, f"known frauds {past}",
                      f"{{value}} fraud{{s}} on the {who} became known in the {span} before.",
                      up_above=0.0, unknown=nothing)  # fmt: skip
    return stated(name, code, field, f"share of known frauds {past}",
                  f"Of the {who}'s decisions of {span}, {{percent}} are known frauds, smoothed by your own rate.",
                  unknown=nothing)  # fmt: skip


def row_of(numbers: Sequence[float], base_rate: float) -> tuple[float, ...]:
    """The own features of one transaction, of its hundredths and of its parties' `own_past.counted` behind them."""
    found: list[float] = []
    windows, money = len(WINDOWS), log1p(numbers[0] / 100.0)
    for start in range(1, len(numbers), WIDTH):
        for place in range(start, start + windows):
            count, hundredths, frauds = numbers[place], numbers[place + windows], numbers[place + 2 * windows]
            total = hundredths / 100.0
            mean = total / count if count else nan
            share = (frauds + SMOOTHED_BY * base_rate) / (count + SMOOTHED_BY)
            found += (count, total, mean, money - log1p(mean), frauds, share)
        found += (age / DAY_SECONDS for age in numbers[start + 3 * windows : start + WIDTH])
    return tuple(found)


def block_of(numbers: np.ndarray, base_rate: float) -> np.ndarray:
    """The same of float64[n, 1 + parties x WIDTH]: float64[n, own features]."""
    windows, money = len(WINDOWS), np.log1p(numbers[:, 0] / 100.0)
    columns: list[np.ndarray] = []
    for start in range(1, numbers.shape[1], WIDTH):
        for place in range(start, start + windows):
            count, total = numbers[:, place], numbers[:, place + windows] / 100.0
            frauds = numbers[:, place + 2 * windows]
            mean = np.divide(total, count, out=np.full(len(count), nan), where=count > 0.0)
            share = (frauds + SMOOTHED_BY * base_rate) / (count + SMOOTHED_BY)
            columns += (count, total, mean, money - np.log1p(mean), frauds, share)
        columns += (age / DAY_SECONDS for age in numbers[:, start + 3 * windows : start + WIDTH].T)
    return np.column_stack(columns) if columns else np.empty((len(numbers), 0))


def kind_of(schema: str, features: bytes) -> TransactionSchema:
    """The schema of a stored decision's float32 vector: the widened one, where an own model decided."""
    wide = widened(schema)
    return wide if len(features) == 4 * len(wide.features) else SCHEMAS[schema]
