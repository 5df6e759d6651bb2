"""What rules may ask for by name, of each kind of transaction. Pure.

Fields, features, and what is counted of its parties: `user.count_1h` is what the schema's history keeps of a party of
the transaction: payments, money, counterparties of an hour, a day and a week, the seconds since the last; of parties
whose habits are kept, those too. A party is asked for by what it is called (`user`) or by its role (`user_id`). What a
tenant has counted beside is `aggregates.NAME`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import inf, isfinite
from typing import Literal, NamedTuple

from msgspec import inspect

from apps.scoring.engine.aggregates import NEVER_BELOW_NOTHING as AGGREGATED_FROM_NOTHING
from apps.scoring.engine.aggregates import UP_TO_LOOKED_AT, Aggregate, counted_by
from apps.scoring.engine.habits import Habits
from apps.scoring.engine.parties import Role
from apps.scoring.engine.past_events import LOOKED_AT
from apps.scoring.engine.ranges import ANYTHING, Range
from apps.scoring.engine.transaction import HOME_COUNTRY, TransactionSchema
from apps.scoring.engine.windows import Activity

Kind = Literal["a number", "a whole number", "text", "true or false", "a time"]

#: How names begin of what is counted and is no money.
NEVER_BELOW_NOTHING = ("count_", "distinct_", "since_last", "failed_", "devices_", "places_", "known")


class Field(NamedTuple):
    """A field as rules know it. `always`: no transaction is without it."""

    kind: Kind
    range: Range = ANYTHING
    always: bool = False


class Counted(NamedTuple):
    """What a name like `user.count_1h` asks for: whose past, by its place among the roles, and what of it."""

    role: int
    what: str


@lru_cache(maxsize=64)
def fields_of(schema: TransactionSchema) -> Mapping[str, Field]:
    """Every field and feature of a schema, as rules know it. What is sent goes before a feature of its name."""
    features = {name: Field("a number", _reach(schema, name)) for name in schema.feature_names}
    sent = {name: _field(schema, name) for name in schema.fields}
    return {**features, **sent, HOME_COUNTRY: Field("text")}


@lru_cache(maxsize=64)
def names_of(schema: TransactionSchema, aggregates: tuple[Aggregate, ...] = ()) -> Mapping[str, Field]:
    """Every name an expression may ask for: `fields_of`, what is counted of each party, and the tenant's aggregates."""
    counts, others = Field("a number", Range.within(None, 0.0, None, None)), Field("a number")
    counted = {
        name: counts if asked.what.startswith(NEVER_BELOW_NOTHING) else others
        for name, asked in counted_of(schema).items()
    }
    named = {one.asked_as: Field("a number", _aggregated(one)) for one in counted_by(aggregates, schema.name)}
    return {**fields_of(schema), **counted, **named}


def _aggregated(one: Aggregate) -> Range:
    """How far an aggregate reaches."""
    least = 0.0 if one.function in AGGREGATED_FROM_NOTHING else None
    return Range.within(None, least, None, float(LOOKED_AT) if one.function in UP_TO_LOOKED_AT else None)


@lru_cache(maxsize=64)
def counted_of(schema: TransactionSchema) -> Mapping[str, Counted]:
    """`user.count_1h` and all its like."""
    return {
        f"{called}.{word}": Counted(place, what)
        for place, role in enumerate(schema.roles)
        for called in {role.called or role.name: None, role.name: None}
        for word, what in _counts(role)
    }


def _counts(role: Role) -> Iterator[tuple[str, str]]:
    """What is counted of a role, by the words for it; counterparties also by what they are: distinct_users_1h."""
    kept = Habits if role.habits else Activity
    for what in kept.__struct_fields__:
        yield what, what
        if role.meets and what.startswith("distinct_"):
            yield what.replace("distinct_", f"distinct_{role.meets}_"), what


def _reach(schema: TransactionSchema, feature: str) -> Range:
    """A feature's least and most, as far as its schema knows them."""
    least, most = schema.reach.get(feature, (-inf, inf))
    return Range.within(None, least if isfinite(least) else None, None, most if isfinite(most) else None)


def _field(schema: TransactionSchema, name: str) -> Field:
    always = name in schema.required
    match next(_plain(inspect.type_info(schema.types[name]))):
        case inspect.FloatType(gt=gt, ge=ge, lt=lt, le=le):
            return Field("a number", Range.within(gt, ge, lt, le), always)
        case inspect.IntType(gt=gt, ge=ge, lt=lt, le=le):
            return Field("a whole number", Range.within(gt, ge, lt, le, whole=True), always)
        case inspect.BoolType():
            return Field("true or false", Range(chosen=frozenset((False, True))), always)
        case inspect.DateTimeType():
            return Field("a time", ANYTHING, always)
        case inspect.LiteralType(values=values):
            return Field("text", Range(chosen=frozenset(values)), always)
    return Field("text", ANYTHING, always)


def _plain(found: inspect.Type) -> Iterator[inspect.Type]:
    """What a type comes to without its descriptions, and without None."""
    if isinstance(found, inspect.Metadata):
        yield from _plain(found.type)
    elif isinstance(found, inspect.UnionType):
        for type_ in found.types:
            yield from _plain(type_)
    elif not isinstance(found, inspect.NoneType):
        yield found
