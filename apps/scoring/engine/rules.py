"""Rules as data: what they say, how they are read from outside, and how they are evaluated."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache, partial
from operator import eq, ge, gt, le, lt, ne
from typing import Annotated, Any, Literal

import msgspec

from apps import times
from apps.scoring.engine.expressions import tree
from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.grammar import parse
from apps.scoring.engine.expressions.tokens import LONGEST
from apps.scoring.engine.limits import with_limits
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.operations import instant

Outcome = Literal["fatal_block", "allow", "block", "challenge", "review", "note"]
State = Literal["draft", "shadow", "live", "retired"]
Comparison = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "not_in"]
Scalar = str | float | bool

#: Which rule decides when several hit. A "note" is reported like any other and decides nothing.
PRECEDENCE: tuple[Outcome, ...] = ("fatal_block", "allow", "block", "challenge", "review")
MOST_RULES = 100  # live
MOST_SHADOW = 50
MOST_KEPT = 500  # in any state
MOST_CONDITIONS = 20
MOST_VALUES = 10_000  # entries of one list
MOST_NAMED = 5  # rules a warning names
SHADOW = "shadow:"  # before the id of a rule that hit and was not told, where hits are counted
OTHER_FRAUD = "other"  # a fraud of no kind that is told apart

RuleId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+\Z")]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`field` compared by `op` with a `value`, or with what another field holds (`other`). Times are texts."""

    field: str
    op: Comparison
    value: Scalar | Annotated[tuple[Scalar, ...], msgspec.Meta(max_length=MOST_VALUES)] | None = None
    other: str | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A rule hits when its condition holds: `when`, an expression, or all of a list of comparisons.

    A condition on a field that was not sent does not hold (`expressions/meaning.py`). A draft is kept and not asked. A
    shadow is asked, counted, and never told; so is a live rule for transactions outside its share.
    """

    id: RuleId
    outcome: Outcome
    all: Annotated[tuple[Condition, ...], msgspec.Meta(max_length=MOST_CONDITIONS)] = ()
    description: Short = ""
    reason_code: Short = ""
    schema: Short = ""  # the kind of transaction it is for; "" for every kind
    when: Annotated[str, msgspec.Meta(max_length=LONGEST)] = ""
    state: State = "live"
    share: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100  # percent of the parties it decides for

    @property
    def is_in_force(self) -> bool:
        """Whether it is asked: it is live, or a shadow."""
        return self.state in ("live", "shadow")

    @cached_property
    def root(self) -> tree.Node | None:
        """Its `when` as a tree; None without one. Raises `InvalidExpression`."""
        return parse(self.when) if self.when else None

    @cached_property
    def names(self) -> frozenset[str]:
        """What it asks for by name; of a `when` that can't be read, nothing."""
        asked = (name for condition in self.all for name in (condition.field, condition.other) if name)
        return frozenset(asked) | frozenset(one.name for one in self._nodes if isinstance(one, tree.Name))

    @cached_property
    def first_name(self) -> str:
        """The first name it asks for: what its reason points at."""
        if self.all:
            return self.all[0].field
        return min(((one.at, one.name) for one in self._nodes if isinstance(one, tree.Name)), default=(0, ""))[1]

    @cached_property
    def list_checks(self) -> tuple[ListCheck, ...]:
        """What it asks of the tenant's lists."""
        found = [
            ListCheck(one.right.name, one.left.name)
            for one in self._nodes
            if isinstance(one, tree.Binary) and isinstance(one.right, tree.ListName) and isinstance(one.left, tree.Name)
        ]
        return tuple(dict.fromkeys(found))

    @property
    def _nodes(self) -> list[tree.Node]:
        try:
            return tree.nodes(self.root) if self.root else []
        except InvalidExpression:
            return []


class BuiltIn(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule every tenant has, until its policy tunes it. Its reason code is its id.

    `says` is the sentence it gives when it decides, with what it saw in it (`explain.PLACES`); `fraud_type` is what it
    takes the transaction for; `source` is where its limits come from. Limits on `logarithms` are tuned as what the
    logarithm was taken of. One that asks for less than the model does gives way to it; a tenant's own never does.
    `worded` are description and sentence with places for the limits (`limits.py`): both name those in force.
    """

    says: str = ""
    worded: tuple[str, str] = ("", "")
    fraud_type: str = OTHER_FRAUD
    source: str = ""


def built_in(
    outcome: Outcome, rule_id: str, description: str, *conditions: Condition, says: str = "",
    fraud_type: str = OTHER_FRAUD, source: str = "",
) -> BuiltIn:  # fmt: skip
    """A built-in rule; its reason code is its id. Both texts may have places for its limits (`limits.py`)."""
    rule = BuiltIn(
        id=rule_id, outcome=outcome, all=conditions, reason_code=rule_id.upper(), fraud_type=fraud_type, source=source,
        worded=(description, says),
    )  # fmt: skip
    return _told(rule)


def _told(rule: BuiltIn) -> BuiltIn:
    """The rule with its limits in its texts."""
    limits = {one.field: one.value for one in rule.all if isinstance(one.value, float)}
    description, says = (with_limits(text, limits) for text in rule.worded)
    return msgspec.structs.replace(rule, description=description, says=says)


block = partial(built_in, "block")
challenge = partial(built_in, "challenge")
review = partial(built_in, "review")
note = partial(built_in, "note")  # a signal: reported, never deciding


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tenant changes of a built-in rule: its outcome, or "off", and limits by the field they are set on."""

    id: RuleId
    schema: Short = ""  # of the schema alone; "" for every one that has the rule
    outcome: Literal["block", "challenge", "review", "note", "off"] | None = None
    limits: dict[str, float] = {}


def tuned(rule: BuiltIn, tuning: Tuning, logarithms: Mapping[str, Callable[[float], float]]) -> BuiltIn:
    """The rule with a tenant's outcome and limits, also in its texts. A limit on a logarithm is given as what that was
    taken of."""
    conditions = tuple(
        msgspec.structs.replace(condition, value=logarithms.get(condition.field, float)(tuning.limits[condition.field]))
        if condition.field in tuning.limits
        else condition
        for condition in rule.all
    )
    outcome = rule.outcome if tuning.outcome in (None, "off") else tuning.outcome
    return _told(msgspec.structs.replace(rule, all=conditions, outcome=outcome))


def asks_only_for(rule: Rule, known: frozenset[str]) -> bool:
    """Whether these are all the fields a rule asks for, or more."""
    return rule.names <= known


class Typology(msgspec.Struct, frozen=True):
    """A kind of fraud and what it looks like: all conditions on fields and features. Without conditions: any."""

    fraud_type: str
    all: tuple[Condition, ...] = ()


class RuleResult(msgspec.Struct, frozen=True):
    id: str
    outcome: Literal["hit", "no_hit", "error"]


class InvalidRules(ValueError):
    """Rules that were refused; the message says which one and why."""


def _in(value: Any, values: Any) -> bool:
    return value in values


def _not_in(value: Any, values: Any) -> bool:
    return value not in values


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge, "in": _in, "not_in": _not_in,
}  # fmt: skip


def decode_rules(raw: bytes | Sequence[Any], known_fields: Iterable[str]) -> tuple[Rule, ...]:
    """A tenant's rules from JSON (or from decoded JSON), checked against the fields of a schema.

    At most 100 rules with distinct ids. Raises `InvalidRules` naming the rule and what to change.
    """
    rules = _read(raw)
    _check_numbers(rules)
    known = frozenset(known_fields)
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise InvalidRules(f"Rule '{rule.id}' is there twice; give each rule its own id.")
        seen.add(rule.id)
        if bool(rule.all) == bool(rule.when):
            raise InvalidRules(f"Rule '{rule.id}': give it either a 'when' or an 'all' with a length of 1 or more.")
        for number, condition in enumerate(rule.all):
            _check(rule, number, condition, known)
    return rules


def _check_numbers(rules: Sequence[Rule]) -> None:
    states = [rule.state for rule in rules]
    limits = ((states.count("live"), MOST_RULES, "live "), (states.count("shadow"), MOST_SHADOW, "shadow "),
              (len(states), MOST_KEPT, ""))  # fmt: skip
    for count, most, which in limits:
        if count > most:
            raise InvalidRules(f"At most {most} {which}rules are allowed; {count} were sent.")


def _read(raw: bytes | Sequence[Any]) -> tuple[Rule, ...]:
    try:
        if isinstance(raw, bytes | bytearray | str):
            return msgspec.json.decode(raw, type=tuple[Rule, ...])
        return msgspec.convert(raw, tuple[Rule, ...])
    except (msgspec.DecodeError, RecursionError, OverflowError, UnicodeError) as refusal:
        raise InvalidRules(f"The rules could not be read: {refusal}") from refusal


def _check(rule: Rule, number: int, condition: Condition, known: frozenset[str]) -> None:
    at = f"Rule '{rule.id}', all[{number}]"
    for field in (condition.field, condition.other):
        if field is not None and field not in known:
            raise InvalidRules(f"{at} asks for the unknown field '{field[:40]}'.")
    if (condition.value is None) == (condition.other is None):
        raise InvalidRules(f"{at}: give '{condition.field}' either a 'value' or an 'other' field.")
    if (condition.op in ("in", "not_in")) != isinstance(condition.value, tuple):
        raise InvalidRules(f"{at}: 'in' and 'not_in' take a list as 'value', the other operations don't.")


def not_evaluated(results: Iterable[RuleResult]) -> tuple[str, ...]:
    """The warning that rules could not be evaluated, or none; the first few are named."""
    names = [result.id for result in results if result.outcome == "error"]
    if not names:
        return ()
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return (
        f"Rules that could not be evaluated decided nothing: {', '.join(names[:MOST_NAMED])}{more}. "
        "Publish the policy again: what is wrong with them is told then.",
    )


def evaluate(rules: Iterable[Rule], values: Mapping[str, Any]) -> tuple[RuleResult, ...]:
    """Every rule's result. A rule that can't be evaluated says "error" and the rest go on."""
    return tuple([told(rule.id, _result(rule, values)) for rule in rules])


@lru_cache(maxsize=4096)
def told(rule_id: str, outcome: Literal["hit", "no_hit", "error"]) -> RuleResult:
    return RuleResult(rule_id, outcome)


def typical(typologies: Iterable[Typology], values: Mapping[str, Any]) -> str | None:
    """The first kind of fraud whose picture the values fit, None when none does."""
    for typology in typologies:
        if all(holds(condition, values) for condition in typology.all):
            return typology.fraud_type
    return None


def _result(rule: Rule, values: Mapping[str, Any]) -> Literal["hit", "no_hit", "error"]:
    try:
        for condition in rule.all:
            if not holds(condition, values):
                return "no_hit"
    except (KeyError, TypeError, ValueError):  # a field that is gone, text beside a number, no time
        return "error"
    return "hit"


def holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds; never of what is not known. Raises what `_result` tells as an error."""
    left = values[condition.field]
    right = condition.value if condition.other is None else values[condition.other]
    if left is None or right is None or left != left:
        return False
    if type(left) is datetime:
        left, right = instant(left), instants(right)
    return COMPARE[condition.op](left, right)


@lru_cache(maxsize=4096)
def instants(value: Any) -> Any:
    """A rule's times, one or a list, as ms since 1970. Raises `ValueError` for what is none."""
    if isinstance(value, tuple):
        return tuple(instants(one) for one in value)
    return instant(value if isinstance(value, datetime) else times.read(value))
