"""Pasts recalled from what was stored: what a decision's features say of the past they were made from. Pure.

A decision keeps its features, not the past. As far as a feature's number is made from the past *and* from a field that
may be changed (`levers.py`), it is solved for the past here; so nothing that happened later can come in. Whatever is
not needed is unknown (nan).
"""

from collections.abc import Callable, Mapping, Sequence
from math import expm1, nan
from typing import Any

from apps.scoring.engine.operations import SCALAR
from apps.scoring.engine.schemas import card_activity, payments
from apps.scoring.engine.transaction import TransactionSchema

MOST_LOGARITHM = 700.0  # more is beyond a double
COUNTED = ("count_1h", "count_24h", "count_7d", "sum_24h", "distinct_24h", "since_last")
#: What a role's past says of itself and a feature repeats: past's attribute → feature.
REPEATED: Mapping[str, Sequence[Mapping[str, str]]] = {
    "paysim": (
        {name: f"orig_{name}" for name in COUNTED},
        {name: f"dest_{name}" for name in COUNTED},
        {name: f"same_amount_{name}" for name in ("count_1h", "since_last")},
    ),
    "payments": (
        {"count_1h": "count_1h", "count_24h": "count_24h", "distinct_1h": "merchants_1h", "known": "known_events"},
        {}, {}, {},
    ),
    "card_activity": (
        {"count_1h": "user_count_1h", "count_24h": "user_count_24h", "distinct_1h": "merchants_1h",
         "known": "known_events"},
        {},
    ),
    "ieee_cis": (),
}  # fmt: skip


class RecalledPast:
    """A role's past as far as it is known: an attribute that is not is nan."""

    def __init__(self, known: Mapping[str, float]) -> None:
        self._known = known

    def knows(self, name: str) -> bool:
        """Whether it is known."""
        return name in self._known

    def __getattr__(self, name: str) -> float:
        return self._known.get(name, nan)


NOTHING_RECALLED = RecalledPast({})


def recalled_pasts(schema: TransactionSchema, transaction: Any, row: Sequence[float]) -> list[RecalledPast]:
    """The past of each of the schema's roles, from the features (float[F]) of a transaction."""
    features = dict(zip(schema.feature_names, row, strict=True))
    repeated = [{name: features[feature] for name, feature in role.items()} for role in REPEATED[schema.name]]
    solve = _SOLVED.get(schema.name)
    if solve is not None:
        repeated[0] |= solve(transaction, features)
    return [RecalledPast(known) for known in repeated]


def _of_payments(transaction: Any, features: Mapping[str, float]) -> dict[str, float]:
    spent = _expm1(features["log_spent_24h"]) - payments.dollars_of(transaction, SCALAR)
    return _of_amounts(features, features["log_amount"], spent)


def _of_card_activity(transaction: Any, features: Mapping[str, float]) -> dict[str, float]:
    dollars = card_activity.dollars_of(transaction, SCALAR)
    return _of_amounts(features, SCALAR.log1p(dollars), features["spent_24h_usd"] - dollars)


def _of_amounts(features: Mapping[str, float], money: float, spent: float) -> dict[str, float]:
    """What was usual, from how far this amount is beyond it; `money` is its logarithm, `spent` the day's other sum."""
    beyond = features["against_usual"]
    return {
        "usual_amount": _expm1(money - beyond),
        "kind_amount": _expm1(money - features["against_kind"]),
        "sum_24h": max(0.0, spent) if spent == spent else nan,
        "excess_24h": max(0.0, features["spree"] - max(0.0, beyond)) if beyond == beyond else nan,
    }


def _expm1(logarithm: float) -> float:
    return expm1(min(logarithm, MOST_LOGARITHM))


_SOLVED: Mapping[str, Callable[[Any, Mapping[str, float]], dict[str, float]]] = {
    "payments": _of_payments,
    "card_activity": _of_card_activity,
}
