"""Stripe Radar's counts of charges, cards and addresses as what is counted here: tables. Pure.

Where the schema's own history counts by the same party, rules ask that; elsewhere an aggregate is proposed along with
the rule. By a card, or a postal address, is counted once the customer says which field tells it (`fields`): none does
by itself. What became of charges, and what lies further back than a week, is counted nowhere here.

https://docs.stripe.com/radar/rules/supported-attributes
"""

import re
from collections.abc import Iterator, Mapping

from apps.imports import words
from apps.imports.words import SCHEMA, Ours
from apps.scoring.engine.aggregate_check import naming_fields
from apps.scoring.engine.aggregates import Aggregate, Function, Window
from apps.scoring.engine.schemas import SCHEMAS

BEFORE = "Counted before the payment itself."
#: How they call a span → the window that is as long.
SPANS: Mapping[str, Window] = {"hourly": "1h", "daily": "24h", "weekly": "7d"}
#: How they call a party → the attribute that tells it, and the field that does here ("": none, until it is said).
PARTIES: Mapping[str, tuple[str, str]] = {
    "customer": ("customer", "user_id"),
    "email": ("email", "email"),
    "ip_address": ("ip_address", "ip_address"),
    "card_number": ("card_fingerprint", ""),
    "card": ("card_fingerprint", ""),
    "billing_address": ("billing_address", ""),
    "shipping_address": ("shipping_address", ""),
}
#: How many of theirs, whatever became of them.
COUNTED = ("total_charges", "total_transactions")
#: What is told apart → by whom: how many cards an e-mail address had.
TOLD_APART: Mapping[str, tuple[str, ...]] = {
    "card": ("customer", "email", "ip_address"),
    "email": ("card", "customer", "ip_address"),
}
_BY = "|".join(sorted(PARTIES, key=len, reverse=True))
_COUNT = re.compile(rf"[a-z]+(?:_charges|_transactions)_per_({_BY})_([a-z]+(?:_time)?)")
_APART = re.compile(r"(card|email|name)_count_for_([a-z_]+?)_((?:all_time)|hourly|daily|weekly)")
_BECAME = ("authorized", "blocked", "declined")


def velocities(fields: Mapping[str, str]) -> dict[str, Ours]:
    """Their attribute → what tells it here. `fields`: attribute → the field that the customer says tells it."""
    told = {party: _field(party, fields) for party in PARTIES}
    return dict((*_counts(told), *_apart(told)))


def why_not(attribute: str) -> str:
    """Why an attribute has no row: of counts, what is missing."""
    counted, apart = _COUNT.fullmatch(attribute), _APART.fullmatch(attribute)
    if (counted or apart) and attribute.endswith("_all_time"):
        return "Nothing is counted over all time here: 30 days are the longest window."
    if counted and not attribute.startswith(_BECAME):
        return _not_told(counted[1])
    if apart and apart[1] != "name":
        return _not_told(*(one for one in (apart[1], apart[2]) if one in PARTIES and not PARTIES[one][1]))
    if apart:
        return "Whose name stands on a card is not sent here."
    return words.why_not(attribute)


def _not_told(*parties: str) -> str:
    attributes = " and ".join(dict.fromkeys(PARTIES[one][0] for one in parties))
    return f"Which of your fields tells {attributes} is not known: say so (`fields`), one that holds a text."


def _field(party: str, fields: Mapping[str, str]) -> str:
    attribute, usual = PARTIES[party]
    said = fields.get(attribute, usual)
    return said if said in naming_fields(SCHEMAS[SCHEMA]) else ""


def _counts(told: Mapping[str, str]) -> Iterator[tuple[str, Ours]]:
    history = {role.name for role in SCHEMAS[SCHEMA].roles}
    for party, field in told.items():
        for span, window in SPANS.items() if field else ():
            name = f"{field}.count_{window}"
            ours = Ours(name, "number", BEFORE) if field in history else _aggregate(field, "count", "", window)
            yield from ((f"{which}_per_{party}_{span}", ours) for which in COUNTED)


def _apart(told: Mapping[str, str]) -> Iterator[tuple[str, Ours]]:
    for what, parties in TOLD_APART.items():
        for party in parties:
            if told[what] and told[party] and told[what] != told[party]:
                for span, window in SPANS.items():
                    yield f"{what}_count_for_{party}_{span}", _aggregate(told[party], "distinct", told[what], window)


def _aggregate(by: str, function: Function, of: str, window: Window) -> Ours:
    name = f"{by}_{function}_{window}" if not of else f"{by}_{of}_{window}"
    made = Aggregate(name[:40], SCHEMA, (by,), function, window, of=of)
    return Ours(made.asked_as, "number", BEFORE, aggregate=made)
