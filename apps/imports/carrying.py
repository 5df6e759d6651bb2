"""Carrying one source's rules and lists over: what both sources share. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from apps.imports.plan import (
    CarriedAggregate,
    CarriedField,
    CarriedItem,
    CarriedList,
    CarriedRule,
    Left,
    list_name,
    rule_id,
)
from apps.imports.translation import LeftOut, Translation
from apps.imports.tree import Node, Unreadable
from apps.imports.words import ITEM_TYPES, SCHEMA, Ours
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.rules import Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.when_check import problem_of

#: Rules of one import.
MOST_RULES = 500
DESCRIBED = 200
NOT_BROUGHT = "Its items were not brought along: it is empty."


class TheirList(NamedTuple):
    """A list as it was brought along: its type in our words, "" where that was not told."""

    name: str
    item_type: str
    items: tuple[CarriedItem, ...]


class Carrying:
    """What was carried over so far. `rows`: attribute → what tells it here; `why_not`: why one has no row."""

    def __init__(self, rows: Mapping[str, Ours], why_not: Callable[[str], str], theirs: Iterable[TheirList]) -> None:
        self._rows, self._why_not = rows, why_not
        self._theirs = {one.name: one for one in theirs}
        self._called = {one: list_name(one) for one in self._theirs}
        self._asked: dict[str, dict[str, None]] = {}
        self._used: dict[str, Ours] = {}
        self._counted: dict[Aggregate, None] = {}
        self.rules: list[CarriedRule] = []
        self.left: list[Left] = []

    def rule(self, name: str, theirs: str, outcome: str, read: Callable[[], Node], description: str = "") -> None:
        """Carry a rule over, or leave it out and say why."""
        if len(self.rules) >= MOST_RULES:
            self.left.append(Left("rule", name, theirs, f"At most {MOST_RULES} rules are read."))
            return
        translation = Translation(self._ours_of, self._list_name)
        try:
            when = translation.written(read())
        except Unreadable as wrong:
            self.leave(name, theirs, wrong)
            return
        except LeftOut as wrong:
            self.left.append(Left("rule", name, theirs, str(wrong)))
            return
        counted = tuple(translation.aggregates)
        if problem := problem_of(Rule(id="it", outcome="note", when=when, schema=SCHEMA), "", aggregates=counted):
            self.left.append(Left("rule", name, theirs, f"As {when} it can't be asked here: {problem.said}"))
            return
        for asked, ours in translation.lists:
            self._asked.setdefault(asked, {})[_item_type(ours)] = None
        self._counted |= dict.fromkeys(counted)
        taken = (rule.id for rule in self.rules)
        said = (description or theirs)[:DESCRIBED]
        self.rules.append(CarriedRule(rule_id(name, taken), outcome, when, said, theirs, translation.remarks))

    def leave(self, name: str, theirs: str, wrong: Unreadable) -> None:
        """Leave a rule out that can't be read."""
        self.left.append(Left("rule", name, theirs, wrong.why, wrong.at))

    def lists(self) -> list[CarriedList]:
        """The lists that were brought along, and those that rules ask for."""
        found = {name: one for one, name in self._called.items()}
        return [self._list(name, found.get(name, name)) for name in {**found, **self._asked}]

    def aggregates(self) -> list[CarriedAggregate]:
        """What is to be counted for the rules, beside what always is."""
        return [CarriedAggregate(one.name, list(one.by), one.function, one.window, one.of) for one in self._counted]

    def fields(self) -> list[CarriedField]:
        """What rules asked for, and what tells it here."""
        return [field_of(name, ours) for name, ours in self._used.items()]

    def _list(self, name: str, theirs: str) -> CarriedList:
        brought = self._theirs.get(theirs)
        asked = list(self._asked.get(name, {}))
        item_type = (brought.item_type if brought else "") or (asked[0] if len(asked) == 1 else "text")
        remarks = [] if brought and brought.items else [NOT_BROUGHT]
        if any(one != item_type for one in asked):
            remarks.append(f"Rules look it up as {' and '.join(asked)}; it holds {item_type}.")
        return CarriedList(name, item_type, theirs, list(brought.items) if brought else [], remarks)

    def _ours_of(self, name: str) -> Ours:
        ours = self._rows.get(name)
        if ours is None:
            raise LeftOut(f"It asks for '{name}'. {self._why_not(name)}")
        self._used[name] = ours
        return ours

    def _list_name(self, name: str) -> str:
        return self._called.get(name) or list_name(name)


def field_of(theirs: str, ours: Ours) -> CarriedField:
    """An attribute, and what tells it here."""
    return CarriedField(theirs, ours.name, [ours.remark] if ours.remark else [])


def rows_with(rows: Mapping[str, Ours], fields: Mapping[str, str]) -> dict[str, Ours]:
    """The table with what the customer says of attributes: theirs → a field of ours. Raises `LeftOut` for another."""
    return {**rows, **{theirs: _field(ours) for theirs, ours in fields.items()}}


def _field(name: str) -> Ours:
    schema = SCHEMAS[SCHEMA]
    if name not in schema.types:
        raise LeftOut(f"'{name[:40]}' is no field of {SCHEMA}.")
    kind = schema.types[name]
    return Ours(name, "flag" if is_kind(bool, kind) else "text" if is_kind(str, kind) else "number")


def _item_type(ours: Ours) -> str:
    return "domain" if ours.kind == "domain" else ITEM_TYPES.get(ours.name, "text")
