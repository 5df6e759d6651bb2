"""Could a rule ever hit, and not always? Asked of a tenant's rules before they are published, and of the built-in ones.

Every condition must be one its field can meet: values of the field's type, as the field holds them once they were sent,
within its bounds. All conditions of a rule together must leave something, and must not leave everything. What can't be
known from types and bounds is not asked. `InvalidRules` says where, what, and how to mend it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

import msgspec

from apps import text
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import tune
from apps.scoring.engine.ranges import Range
from apps.scoring.engine.rule_fields import Field, Kind, fields_of
from apps.scoring.engine.rules import SHADOW, Condition, InvalidRules, Rule, Tuning, asks_only_for, instants
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import HOME_COUNTRY, InvalidTransaction, TransactionSchema
from apps.scoring.engine.when_check import Problem, problem_of, unknown_list

EXAMPLE_COUNTRY = "Kenya"  # built-in rules may ask for a home country that is not set
LISTS = ("in", "not_in")
ORDERS = ("lt", "le", "gt", "ge")
#: How two values may stand to each other where an operation holds.
HOLDS: Mapping[str, frozenset[str]] = {
    "eq": frozenset("="), "ne": frozenset("<>"), "lt": frozenset("<"), "le": frozenset("<="), "gt": frozenset(">"),
    "ge": frozenset(">="),
}  # fmt: skip
TURNED = str.maketrans("<>", "><")
EXAMPLES: Mapping[Kind, str] = {
    "a number": "like 5000, without quotes", "a whole number": "like 17, without quotes", "text": 'like "M-17"',
    "true or false": "without quotes", "a time": 'like "2026-01-15T10:30:00Z"',
}  # fmt: skip


class Place(NamedTuple):
    """Where in a policy something is wrong."""

    rule: Rule
    number: int
    condition: int = 0

    def wrong(self, what: str, member: str = "") -> InvalidRules:
        """The refusal of a condition, or of one of its members."""
        at = f"rules[{self.number}].all[{self.condition}]{'.' if member else ''}{member}"
        field = self.rule.all[self.condition].field[:40]
        return InvalidRules(f"{at} (rule '{self.rule.id}', field '{field}'): {what}")

    def wrong_rule(self, what: str, member: str = "") -> InvalidRules:
        return InvalidRules(f"rules[{self.number}]{'.' if member else ''}{member} (rule '{self.rule.id}'): {what}")


def check_rules(rules: Sequence[Rule], home_country: str = "", aggregates: tuple[Aggregate, ...] = ()) -> None:
    """Refuse rules of a tenant, who has these aggregates, that err, never hit or always do. Raises `InvalidRules`
    naming the first."""
    for number, rule in enumerate(rules):
        place = Place(rule, number)
        if rule.id in built_in_ids():
            raise place.wrong_rule("this is the id of a built-in rule; choose another.", "id")
        if rule.id.startswith(SHADOW):
            raise place.wrong_rule(f"ids that begin with '{SHADOW}' are counts of shadows; choose another.", "id")
        for member, said in (("description", rule.description), ("reason_code", rule.reason_code)):
            if said and (why := text.refusal(said)):
                raise place.wrong_rule(f"it {why}.", member)
        if rule.when:
            _check_when(place, home_country, aggregates if rule.is_in_force else known_to_drafts(aggregates))
        else:
            _check_for_each(place, home_country)


def known_to_drafts(aggregates: tuple[Aggregate, ...]) -> tuple[Aggregate, ...]:
    """The aggregates a rule that is not asked may name: archived ones too."""
    return tuple(msgspec.structs.replace(one, archived=False) for one in aggregates)


def check_lists(rules: Sequence[Rule], before: Sequence[Rule], lists: Collection[str]) -> None:
    """Refuse rules that ask for lists there are not: `lists` are those there are. Those that stood there `before` are
    not asked again, nor are retired ones. Raises `InvalidRules` naming the first, with the nearest name."""
    known = {rule.id: rule for rule in before}
    for number, rule in enumerate(rules):
        if rule.when and rule.state != "retired" and rule != known.get(rule.id):
            _refuse(Place(rule, number), unknown_list(rule, lists))


def _check_when(place: Place, home_country: str, aggregates: tuple[Aggregate, ...]) -> None:
    _check_schema(place)
    _refuse(place, problem_of(place.rule, home_country, aggregates=aggregates))


def _refuse(place: Place, wrong: Problem | None) -> None:
    """Raises `InvalidRules` for what is wrong with a rule's `when`, if anything is."""
    if wrong:
        meant = f" Did you mean {' or '.join(wrong.meant)}?" if wrong.meant else ""
        at = f"line {wrong.place.line}, column {wrong.place.column}: "
        raise place.wrong_rule(f"{at}{wrong.said}{meant}", "when")


def check_tunings(tunings: Sequence[Tuning]) -> None:
    """Refuse tunings of rules that do not exist, or that would make one never hit or always. Raises `InvalidRules`."""
    for number, tuning in enumerate(tunings):
        meant = [schema for schema in SCHEMAS.values() if tuning.schema in ("", schema.name)]
        rules = {schema: rule for schema in meant for rule in schema.rules if rule.id == tuning.id}
        at = f"built_in[{number}] ('{tuning.id}')"
        if not rules:
            raise InvalidRules(f"{at}: there is no such built-in rule; there are {', '.join(sorted(built_in_ids()))}.")
        if any(_names(one) == _names(tuning) for one in tunings[:number]):
            raise InvalidRules(f"{at}: it is tuned before; say it all at once.")
        for schema, rule in rules.items():
            _check_tuning(at, number, schema, rule, tuning)


def _names(tuning: Tuning) -> tuple[str, str]:
    return tuning.id, tuning.schema


def _check_tuning(at: str, number: int, schema: TransactionSchema, rule: Rule, tuning: Tuning) -> None:
    limits = {condition.field for condition in rule.all if isinstance(condition.value, float)}
    for name, limit in tuning.limits.items():
        if name not in limits:
            known = ", ".join(sorted(limits)) or "none"
            raise InvalidRules(f"{at}: {schema.name}'s rule has no limit on '{name[:40]}'; it has: {known}.")
        if not (isfinite(limit) and limit >= 0):
            raise InvalidRules(f"{at}: the limit on '{name}' must be a number from 0 on.")
    for found in tune(schema, (tuning,)):
        if found.id == rule.id and tuning.limits:
            check_rule(Place(found, number), schema, EXAMPLE_COUNTRY)


def check_rule(place: Place, schema: TransactionSchema, home_country: str = "") -> None:
    """Refuse a rule that errs, never hits or always does with transactions of one kind."""
    rule, home = place.rule, Field("text", Range(chosen=frozenset((home_country,))))
    fields = {**fields_of(schema), **({HOME_COUNTRY: home} if home_country else {})}
    meant = [_values(place._replace(condition=number), schema, home_country) for number, _ in enumerate(rule.all)]
    _repeated(place)
    left: dict[str, Range] = {}
    relations: dict[tuple[str, str], frozenset[str]] = {}
    for number, (condition, values) in enumerate(zip(rule.all, meant, strict=True)):
        here = place._replace(condition=number)
        if condition.other is not None:
            _relate(here, fields, relations)
        else:
            _narrow(here, fields[condition.field], values, left)
    _hold_together(place, fields, left, relations)
    if _always(rule, fields, left, relations):
        raise place.wrong_rule(
            f"it hits every transaction of {schema.name}; ask for something not all of them have, or set 'review_at', "
            "'block_at' or 'default_action' instead.", "all"
        )  # fmt: skip


# --- which kinds of transaction ---------------------------------------------------------------------------------------


def _check_for_each(place: Place, home_country: str) -> None:
    """A rule for every kind of transaction must make sense for one of those that have its fields."""
    wrong = []
    for schema in _kinds(place):
        try:
            check_rule(place, schema, home_country)
        except InvalidRules as refusal:
            wrong.append(refusal)
        else:
            return
    raise wrong[0]


def _check_schema(place: Place) -> None:
    schema = place.rule.schema
    if schema and schema not in SCHEMAS:
        raise place.wrong_rule(f"there is no schema '{schema[:40]}'; there are {', '.join(SCHEMAS)}.", "schema")


def _kinds(place: Place) -> Sequence[TransactionSchema]:
    rule = place.rule
    _check_schema(place)
    asked = [SCHEMAS[rule.schema]] if rule.schema else list(SCHEMAS.values())
    for number, condition in enumerate(rule.all):
        for member, name in (("field", condition.field), ("other", condition.other)):
            if name is not None and not any(name in schema.known_to_rules for schema in asked):
                raise place._replace(condition=number).wrong(_unknown(name, asked, rule.schema), member)
    found = [schema for schema in asked if asks_only_for(rule, schema.known_to_rules)]
    if not found:
        raise place.wrong_rule("no kind of transaction has all these fields together; name one 'schema'.", "all")
    return found


def _unknown(name: str, asked: Iterable[TransactionSchema], schema: str) -> str:
    known = sorted(frozenset().union(*(schema.known_to_rules for schema in asked)))
    near = get_close_matches(name, known, 3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"'{name[:40]}' is no field{f' of {schema}' if schema else ' of any schema'}.{meant}"


@lru_cache(maxsize=1)
def built_in_ids() -> frozenset[str]:
    """The ids of all rules that every tenant has."""
    return frozenset(rule.id for schema in SCHEMAS.values() for rule in schema.rules)


# --- one condition ----------------------------------------------------------------------------------------------------


def _values(place: Place, schema: TransactionSchema, home_country: str) -> tuple[Any, ...]:
    """What a condition compares its field with, in the form in which it is compared; none for another field."""
    condition = place.rule.all[place.condition]
    fields = fields_of(schema)
    field = fields[condition.field]
    if HOME_COUNTRY in (condition.field, condition.other) and not home_country:
        raise place.wrong("the policy has no 'home_country'; set it as your transactions name it.")
    if field.kind == "true or false" and condition.op in ORDERS:
        raise place.wrong("true and false have no order; use 'eq'.", "op")
    if condition.other is not None:
        return _other(place, condition, fields)
    if condition.op not in LISTS:
        return (_value(place, schema, condition.value, "value"),)
    values = condition.value if isinstance(condition.value, tuple) else ()
    if not values:
        hit = "nothing" if condition.op == "in" else "everything"
        raise place.wrong(f"the list is empty, which {hit} meets; name a value or leave the condition out.", "value")
    found = tuple(_value(place, schema, value, f"value[{number}]") for number, value in enumerate(values))
    if len(set(found)) < len(found):
        twice = next(number for number, one in enumerate(found) if one in found[:number])
        raise place.wrong(f"{_shown(values[twice])} is in the list twice; leave one out.", f"value[{twice}]")
    return found


def _other(place: Place, condition: Condition, fields: Mapping[str, Field]) -> tuple[Any, ...]:
    other = str(condition.other)
    ours, theirs = (fields[name].kind.replace("whole ", "") for name in (condition.field, other))
    if condition.field == other:
        raise place.wrong("it is compared with itself; name another field.", "other")
    if ours != theirs:
        raise place.wrong(f"'{condition.field}' is {ours} and '{other}' is {theirs}: they never agree.", "other")
    return ()


def _value(place: Place, schema: TransactionSchema, value: Any, member: str) -> Any:
    condition = place.rule.all[place.condition]
    kind = fields_of(schema)[condition.field].kind
    if not _is_kind(kind, value):
        raise place.wrong(f"'{condition.field}' is {kind}, {EXAMPLES[kind]}; not {_shown(value)}.", member)
    if condition.field not in schema.fields or (condition.op in ORDERS and kind != "a time"):
        return value
    try:
        kept = schema.kept_as(condition.field, value)
    except InvalidTransaction as refusal:
        raise place.wrong(f"no transaction has {_shown(value)} there: {refusal.detail}", member) from refusal
    if kind == "a time":
        return instants(value)
    if kept is None:
        raise place.wrong(f"{_shown(value)} counts as not sent; write what the field holds when it is sent.", member)
    if kept != value:
        raise place.wrong(f"what is sent as {_shown(value)} is held as {_shown(kept)}; write that.", member)
    return value


def _is_kind(kind: Kind, value: Any) -> bool:
    if kind in ("text", "a time"):
        return isinstance(value, str)
    if kind == "true or false":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _shown(value: Any) -> str:
    """A value as the file writes it, cut short."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    try:
        text_of_value = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):
        text_of_value = ascii(value)
    return text_of_value if len(text_of_value) <= 60 else f"{text_of_value[:60]}…"


# --- conditions together ----------------------------------------------------------------------------------------------


def _repeated(place: Place) -> None:
    conditions = place.rule.all
    for number, condition in enumerate(conditions):
        if condition in conditions[:number]:
            first = conditions.index(condition)
            raise place._replace(condition=number).wrong(f"it says the same as all[{first}]; leave one out.")


def _narrow(place: Place, field: Field, values: tuple[Any, ...], left: dict[str, Range]) -> None:
    """What is left of a field's values after this condition too."""
    condition = place.rule.all[place.condition]
    alone = field.range.after(condition.op, values)
    if alone.is_empty():
        raise place.wrong(f"it never holds: {field.range.in_words() or 'no value is left'}.", "value")
    left[condition.field] = left.get(condition.field, field.range).after(condition.op, values)
    if left[condition.field].is_empty():
        raise place.wrong(f"together with the conditions on '{condition.field}' before it, it never holds.")


def _relate(place: Place, fields: Mapping[str, Field], relations: dict[tuple[str, str], frozenset[str]]) -> None:
    """What is left of how two fields can stand to each other after this condition too."""
    condition = place.rule.all[place.condition]
    one, other, holds = condition.field, str(condition.other), HOLDS[condition.op]
    if one > other:
        one, other, holds = other, one, frozenset(sign.translate(TURNED) for sign in holds)
    possible = fields[one].range.relations(fields[other].range)
    if not possible & holds:
        raise place.wrong("by the bounds of the two fields it never holds.", "other")
    relations[one, other] = relations.get((one, other), possible) & holds
    if not relations[one, other]:
        raise place.wrong("together with the conditions on these two fields before it, it never holds.")


def _hold_together(
    place: Place,
    fields: Mapping[str, Field],
    left: Mapping[str, Range],
    relations: Mapping[tuple[str, str], frozenset[str]],
) -> None:
    """Two fields compared, each within what other conditions leave of it."""
    for (one, other), signs in relations.items():
        ours, theirs = (left.get(name, fields[name].range) for name in (one, other))
        if not ours.relations(theirs) & signs:
            raise place.wrong_rule(f"by the other conditions '{one}' and '{other}' never stand so.", "all")


def _always(
    rule: Rule,
    fields: Mapping[str, Field],
    left: Mapping[str, Range],
    relations: Mapping[tuple[str, str], frozenset[str]],
) -> bool:
    """Whether the conditions leave out nothing. `home_country` is a tenant's own word: a switch it may set."""
    names = {name for condition in rule.all for name in (condition.field, condition.other) if name}
    if not all(fields[name].always for name in names):
        return False
    return all(fields[name].range.same_as(range_) for name, range_ in left.items()) and all(
        fields[one].range.relations(fields[other].range) == signs for (one, other), signs in relations.items()
    )
