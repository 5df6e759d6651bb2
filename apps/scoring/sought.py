"""What a stored decision is found and added up by, beside its id and time: its amount, its parties, the rules that were
hit; what kind of payment it was, and where. Pure.

Read from what the journal carries, by the recorder, so that the request that scores pays nothing for it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from apps.countries import code_of, name_of
from apps.scoring.engine.parties import party_names
from apps.scoring.engine.rules import SHADOW, RuleResult
from apps.scoring.engine.schemas import SCHEMAS
from apps.text import recognised

#: What is not one of a field's known values is counted together.
OTHER = "other"
#: Kind → the field that says what sort of payment it is, and the one that says in which country; "" where none does.
SORTED_BY: Mapping[str, tuple[str, str]] = {
    "paysim": ("type", ""),
    "payments": ("merchant_category", "country"),
    "card_activity": ("Transaction_Category", "Transaction_Location"),
    "ieee_cis": ("ProductCD", "addr2"),
}
#: Of `addr2`, a country's number: those there are in the public data set have two or three digits.
_MOST_NUMBER = 999


class Sought(NamedTuple):
    """What is stored of it: `amount` in the transaction's own currency; `parties` as they are recognised. Of
    `rules_hit` those that were not told begin with `rules.SHADOW`."""

    amount: float
    parties: Sequence[str]
    rules_hit: Sequence[str]


class Found(NamedTuple):
    """Of n decisions what is stored (`Sought`), and what they are added up by and is not stored: one of few words each,
    "" where it was not told. Lists of n values each.

    `party_fields`: which field named each of the parties.
    """

    amount: Sequence[float]
    parties: Sequence[Sequence[str]]
    rules_hit: Sequence[Sequence[str]]
    category: Sequence[str]
    country: Sequence[str]
    fraud_type: Sequence[str]
    party_fields: Sequence[Sequence[str]]


class _OfFacts(NamedTuple):
    """Of `Found` what facts say."""

    amount: Sequence[float]
    parties: Sequence[Sequence[str]]
    category: Sequence[str]
    country: Sequence[str]
    party_fields: Sequence[Sequence[str]]


class _Answer(msgspec.Struct):
    """Of an answer what was said by rules, and the kind of fraud."""

    rules: Sequence[RuleResult] = ()
    fraud_type: str | None = None


class _Reader:
    """Reads one kind's facts: of all fields only those that are asked for are decoded."""

    def __init__(self, schema_name: str) -> None:
        schema = SCHEMAS[schema_name]
        self.parties, self.amount = schema.searched, schema.amount_field
        self.category, self.country = SORTED_BY[schema_name]
        known = schema.known_values[self.category]
        self.categories = {spelling: value for value in known.values for spelling in (value, recognised(value))} | {
            recognised(other): value for other, value in known.synonyms.items()
        }
        fields = dict.fromkeys(name for name in (*self.parties, self.amount, self.category, self.country) if name)
        self.fields = tuple(fields)
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(
            msgspec.defstruct("Facts", [(name, Any, None) for name in fields])
        ).decode

    def read(self, facts: Sequence[bytes]) -> _OfFacts:
        """What facts (JSON) say, by column."""
        told = zip(*map(msgspec.structs.astuple, map(self.decode, facts)), strict=True)
        values = dict(zip(self.fields, told, strict=True))
        names = [party_names(values[field]) for field in self.parties]
        parties, fields = told_parties(self.parties, names, len(facts))
        return _OfFacts(
            amount=[float(amount or 0) for amount in values[self.amount]],
            parties=parties,
            category=_looked_up(partial(_known, names=self.categories), values[self.category]),
            country=_looked_up(_country, values[self.country]) if self.country else [""] * len(facts),
            party_fields=fields,
        )


def told_parties(
    fields: Sequence[str], names: Sequence[Sequence[str | None]], count: int
) -> tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]]:
    """Of each of `count` decisions the parties that were named, and by which fields; `names` has a column a field.

    Where all were named, which is usual, no row is looked at.
    """
    rows: list[Sequence[Any]] = list(zip(*names, strict=True)) if names else [()] * count
    if not any(None in column for column in names):
        return rows, [fields] * count
    pairs = [[pair for pair in zip(row, fields, strict=True) if pair[0] is not None] for row in rows]
    return [tuple(name for name, _ in one) for one in pairs], [tuple(field for _, field in one) for one in pairs]


_readers: Mapping[str, _Reader] = {name: _Reader(name) for name in SORTED_BY}
_answer = msgspec.json.Decoder(_Answer).decode


def told_by(answers: Sequence[bytes]) -> tuple[Sequence[Sequence[str]], Sequence[str]]:
    """Of answers (JSON) the rules that hit, and the kind of fraud, "" of none."""
    said = list(map(_answer, answers))
    hits = [tuple([rule.id for rule in one.rules if rule.outcome == "hit"]) for one in said]
    return hits, [one.fraud_type or "" for one in said]


def read(
    schemas: Sequence[str],
    facts: Sequence[bytes],
    hits: Sequence[Sequence[str]],
    fraud_types: Sequence[str],
    untold: Sequence[Sequence[str]],
) -> Found:
    """What decisions on these facts (JSON) are found and added up by: `hits` are the rules that hit and were told,
    `untold` those that hit beside."""
    told = _facts_read(schemas, facts)
    return Found(
        amount=told.amount,
        parties=told.parties,
        rules_hit=[
            (*one, *(f"{SHADOW}{rule}" for rule in beside)) if beside else one
            for one, beside in zip(hits, untold, strict=True)
        ],
        category=told.category,
        country=told.country,
        fraud_type=fraud_types,
        party_fields=told.party_fields,
    )


def _facts_read(schemas: Sequence[str], facts: Sequence[bytes]) -> _OfFacts:
    """What facts of several kinds say: each kind's are read together."""
    kinds = set(schemas)
    if len(kinds) == 1:
        return _readers[schemas[0]].read(facts)
    rows: dict[int, tuple[Any, ...]] = {}
    for kind in kinds:
        mine = [row for row, one in enumerate(schemas) if one == kind]
        rows |= zip(mine, zip(*_readers[kind].read([facts[row] for row in mine]), strict=True), strict=True)
    return _OfFacts(*zip(*(rows[row] for row in range(len(facts))), strict=True))


def _looked_up(word: Callable[[Any], str], values: Sequence[Any]) -> Sequence[str]:
    """The word of each value; of texts each different one is looked up once."""
    if set(map(type, values)) != {str}:
        return list(map(word, values))
    return list(map({value: word(value) for value in set(values)}.__getitem__, values))


def category_of(schema_name: str, value: Any) -> str:
    """The word a decision's kind is counted under, of the field that says it."""
    return _known(value, _readers[schema_name].categories)


def country_of(value: Any) -> str:
    """The country a decision is counted under, of the field that says it."""
    return _country(value)


def sought_of(schema_name: str, facts: bytes, answer: bytes, untold: Sequence[str] = ()) -> Sought:
    """What the decision on these facts is found by, `answer` (JSON) being what was said."""
    found = read([schema_name], [facts], *told_by([answer]), [untold])
    return Sought(found.amount[0], list(found.parties[0]), list(found.rules_hit[0]))


def _known(value: object, names: Mapping[str, str]) -> str:
    if value is None:
        return ""
    return names.get(str(value)) or names.get(recognised(str(value)), OTHER)


def _country(value: object) -> str:
    """A country by its English name, or by the number a kind has for it."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(int(value)) if 0 <= value <= _MOST_NUMBER else OTHER
    code = code_of(str(value))
    return name_of(code) if code else OTHER
