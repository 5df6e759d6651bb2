"""Can an aggregate be counted? Asked before a policy that has it is published. Pure.

Said is the first thing that is wrong, by its member, and in a condition by its place in the text.
"""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from apps import text
from apps.scoring.engine.aggregates import (
    MOST_COUNTED,
    MOST_KEPT,
    NAMING_NUMBERS,
    OF_ITSELF,
    WANTS,
    Aggregate,
    counted_by,
)
from apps.scoring.engine.expressions import tree
from apps.scoring.engine.expressions.errors import InvalidExpression, Place
from apps.scoring.engine.expressions.grammar import parse
from apps.scoring.engine.rule_fields import fields_of
from apps.scoring.engine.rules import InvalidRules, Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.when_check import check_when

NUMBERS = ("a number", "a whole number")


class AggregateProblem(NamedTuple):
    """What is wrong with an aggregate: in which member, in words, where in its text, and what may have been meant."""

    member: str
    said: str
    place: Place | None = None
    meant: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """What is wrong, and what may have been meant."""
        return f"{self.said} Did you mean {' or '.join(self.meant)}?" if self.meant else self.said


def naming_fields(schema: TransactionSchema) -> tuple[str, ...]:
    """The fields of a kind of transaction that name something: by which may be counted, and which may be told apart."""
    numbers, kinds = NAMING_NUMBERS.get(schema.name, ()), fields_of(schema)
    texts = (name for name in schema.fields if kinds[name].kind == "text" and name != OF_ITSELF)
    return (*texts, *numbers)


def number_fields(schema: TransactionSchema) -> tuple[str, ...]:
    """The fields of a kind of transaction that can be summed."""
    kinds, naming = fields_of(schema), naming_fields(schema)
    return tuple(name for name in schema.fields if kinds[name].kind in NUMBERS and name not in naming)


def check_aggregates(aggregates: Sequence[Aggregate]) -> None:
    """Refuse aggregates that can't be counted, or too many. Raises `InvalidRules` naming the first."""
    check_number(aggregates)
    for number, one in enumerate(aggregates):
        at = f"aggregates[{number}]"
        if any(one.name == other.name for other in aggregates[:number]):
            raise InvalidRules(f"{at}.name ('{one.name}'): it is there before; a name is given once.")
        if not one.archived and (wrong := problem_of_aggregate(one)):
            where = f"line {wrong.place.line}, column {wrong.place.column}: " if wrong.place else ""
            raise InvalidRules(f"{at}.{wrong.member} ('{one.name}'): {where}{wrong.in_words}")


def check_number(aggregates: Sequence[Aggregate]) -> None:
    """Refuse more aggregates than there may be. Raises `InvalidRules`."""
    if len(aggregates) > MOST_KEPT:
        raise InvalidRules(f"aggregates: at most {MOST_KEPT} are kept, archived ones included.")
    for schema in SCHEMAS:
        if len(counted_by(aggregates, schema)) > MOST_COUNTED:
            raise InvalidRules(f"aggregates: at most {MOST_COUNTED} are counted of {schema}; archive one first.")


def problem_of_aggregate(one: Aggregate) -> AggregateProblem | None:
    """The first thing that is wrong with an aggregate by itself; None when it can be counted."""
    schema = SCHEMAS.get(one.schema)
    if schema is None:
        return _no_such("schema", one.schema, "kind of transaction", SCHEMAS)
    if one.description and (why := text.refusal(one.description)):
        return AggregateProblem("description", f"It {why}.")
    return _wrong_by(one, schema) or _wrong_of(one, schema) or _wrong_where(one, schema)


def _no_such(member: str, said: str, what: str, known: Collection[str]) -> AggregateProblem:
    near = tuple(get_close_matches(said, list(known), 2))
    return AggregateProblem(member, f"'{said[:60]}' is no {what}; there are {', '.join(known)}.", meant=near)


def _wrong_by(one: Aggregate, schema: TransactionSchema) -> AggregateProblem | None:
    known = naming_fields(schema)
    for name in one.by:
        if name not in known:
            return _no_such("by", name, f"field of {schema.name} that names something", known)
    if len(set(one.by)) < len(one.by):
        return AggregateProblem("by", "A field stands there twice.")
    return None


def _wrong_of(one: Aggregate, schema: TransactionSchema) -> AggregateProblem | None:
    wanted: Mapping[str, tuple[str, tuple[str, ...]]] = {
        "number": (f"number of {schema.name} that can be summed", number_fields(schema)),
        "name": (f"field of {schema.name} that names something", naming_fields(schema)),
    }
    wants = WANTS[one.function]
    if not wants:
        return AggregateProblem("of", f"'{one.function}' is of no field; leave 'of' out.") if one.of else None
    what, known = wanted[wants]
    if not one.of:
        return AggregateProblem("of", f"'{one.function}' is of a field; name one of {', '.join(known)}.")
    if one.of in one.by:
        return AggregateProblem("of", f"By '{one.of}' is counted: there is never another.")
    return None if one.of in known else _no_such("of", one.of, what, known)


def _wrong_where(one: Aggregate, schema: TransactionSchema) -> AggregateProblem | None:
    """What is wrong with the condition: it asks for the transaction's own fields alone, holds for some, not for all."""
    if not one.where:
        return None
    try:
        _check_names(parse(one.where), schema)
        check_when(Rule("where", "note", when=one.where, schema=schema.name), "")
    except InvalidExpression as wrong:
        return AggregateProblem("where", wrong.said, wrong.place(one.where), wrong.meant)
    return None


def _check_names(root: tree.Node, schema: TransactionSchema) -> None:
    """Raises `InvalidExpression` for what is no field: what is counted later must not hang on what is known then."""
    for node in tree.nodes(root):
        if isinstance(node, tree.ListName):
            raise InvalidExpression("A list is not asked here: its items come and go. Ask it in the rule.", node.at)
        if isinstance(node, tree.Name) and node.name not in schema.fields:
            near = tuple(get_close_matches(node.name, schema.fields, 3))
            said = f"'{node.name[:60]}' is no field that is sent; only those are asked here."
            raise InvalidExpression(said, node.at, near)
