"""What a stored decision is found and added up by, beside its id and time: its amount, its parties, the rules that were
hit; what kind of payment it was, and where. Pure.

Read from what the journal carries, by the recorder, so that the request that scores pays nothing for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from apps.countries import code_of, name_of
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
    parties: list[str]
    rules_hit: list[str]


class Traits(NamedTuple):
    """What it is added up by and not stored: one of few words each, "" where it was not told.

    `party_fields`: which field named each of the parties.
    """

    category: str
    country: str
    fraud_type: str
    party_fields: list[str]


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
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(
            msgspec.defstruct("Facts", [(name, Any, None) for name in fields])
        ).decode


_readers: Mapping[str, _Reader] = {name: _Reader(name) for name in SORTED_BY}
_answer = msgspec.json.Decoder(_Answer).decode


def read(schema_name: str, facts: bytes, answer: bytes, untold: Sequence[str] = ()) -> tuple[Sought, Traits]:
    """What the decision on these facts (JSON) is found and added up by, `answer` (JSON) being what was said, and
    `untold` the rules that hit beside."""
    reader, said = _readers[schema_name], _answer(answer)
    told = reader.decode(facts)
    named = [(field, value) for field in reader.parties if (value := getattr(told, field)) is not None]
    sought = Sought(
        amount=float(getattr(told, reader.amount) or 0),
        parties=[party_name(value) for _, value in named],
        rules_hit=[
            *(rule.id for rule in said.rules if rule.outcome == "hit"),
            *(f"{SHADOW}{rule}" for rule in untold),
        ],
    )
    traits = Traits(
        category=_known(getattr(told, reader.category), reader.categories),
        country=_country(getattr(told, reader.country)) if reader.country else "",
        fraud_type=said.fraud_type or "",
        party_fields=[field for field, _ in named],
    )
    return sought, traits


def category_of(schema_name: str, value: Any) -> str:
    """The word a decision's kind is counted under, of the field that says it."""
    return _known(value, _readers[schema_name].categories)


def country_of(value: Any) -> str:
    """The country a decision is counted under, of the field that says it."""
    return _country(value)


def sought_of(schema_name: str, facts: bytes, answer: bytes) -> Sought:
    """What the decision on these facts is found by."""
    return read(schema_name, facts, answer)[0]


def party_name(value: object) -> str:
    """A party's name as it is kept and looked for: numbers without a fraction, texts however they are spelled."""
    if type(value) is str:
        return recognised(value)
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return recognised(str(whole))


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
