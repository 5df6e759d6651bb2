"""Can a rule's `when` be asked, could it ever hit, and not always? Before it is saved or published. Pure.

Said is the first thing that is wrong, with its place in the text: it can't be read, asks for what there is not,
compares what can't be compared, or with what no transaction holds, costs too much, never hits, or always does. What
can't be known from types and bounds is not asked.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice, product
from typing import Any, NamedTuple

from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.expressions import meaning, tree
from apps.scoring.engine.expressions.errors import InvalidExpression, Place
from apps.scoring.engine.expressions.lowering import Meant
from apps.scoring.engine.expressions.meaning import Condition
from apps.scoring.engine.ranges import Range
from apps.scoring.engine.rule_fields import Field, names_of
from apps.scoring.engine.rule_meaning import meaning_of
from apps.scoring.engine.rules import Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import HOME_COUNTRY, InvalidTransaction, TransactionSchema

#: Ways for an expression to hold that are looked at; one with more is taken to be able to.
MOST_WAYS = 256
EQUALS = ("==", "!=", "in")
OPERATIONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Problem(NamedTuple):
    """What is wrong with a rule's `when`, and where."""

    said: str
    place: Place
    meant: tuple[str, ...]


def problem_of(
    rule: Rule, home_country: str, lists: Collection[str] | None = None, aggregates: tuple[Aggregate, ...] = ()
) -> Problem | None:
    """The first thing that is wrong with a rule's `when`; None when it may be published. `lists` are the names of those
    there are; None: nobody asked. `aggregates` are the tenant's."""
    try:
        check_when(rule, home_country, aggregates)
    except InvalidExpression as wrong:
        return Problem(wrong.said, wrong.place(rule.when), wrong.meant)
    return None if lists is None else unknown_list(rule, lists)


def unknown_list(rule: Rule, lists: Collection[str]) -> Problem | None:
    """The first list a rule's `when` asks for that is not among `lists`."""
    for node in tree.nodes(rule.root) if rule.root else ():
        if isinstance(node, tree.ListName) and node.name not in lists:
            near = tuple(f"lists.{one}" for one in get_close_matches(node.name, lists, 2))
            wrong = InvalidExpression(f"You have no list '{node.name[:60]}'.", node.at, near)
            return Problem(wrong.said, wrong.place(rule.when), wrong.meant)
    return None


def check_when(rule: Rule, home_country: str, aggregates: tuple[Aggregate, ...] = ()) -> None:
    """Refuse what can't be asked, never hits or always does. Raises `InvalidExpression`.

    One for every kind of transaction must make sense for one of those that have its names.
    """
    root = rule.root
    assert root is not None  # noqa: S101  # asked of rules with a `when`
    read_by_cel(rule.when)
    wrong = []
    for schema in _kinds(rule, root, aggregates):
        try:
            _check_for(rule, root, schema, home_country, aggregates)
        except InvalidExpression as refusal:
            wrong.append(refusal)
        else:
            return
    raise wrong[0]


def read_by_cel(text: str) -> None:
    """Refuse what is no CEL to those who made it one: a rule means the same wherever it is read.

    Raises `InvalidExpression`. Asked only of what was read here, which is bounded in length and depth.
    """
    import cel  # it brings a console with it, which no request needs

    try:
        cel.compile(text)
    except ValueError as wrong:
        raise InvalidExpression(f"This is no CEL: {str(wrong).splitlines()[0][:200]}") from wrong


def _kinds(rule: Rule, root: tree.Node, aggregates: tuple[Aggregate, ...]) -> Sequence[TransactionSchema]:
    asked = [SCHEMAS[rule.schema]] if rule.schema else list(SCHEMAS.values())
    names = {schema.name: names_of(schema, aggregates).keys() for schema in asked}
    able = [schema for schema in asked if rule.names <= names[schema.name]]
    if able or rule.schema:
        return able or asked
    known = frozenset[str]().union(*names.values())
    for node in tree.nodes(root):
        if isinstance(node, tree.Name) and node.name not in known:
            return sorted(asked, key=lambda schema: -len(rule.names & names[schema.name]))
    raise InvalidExpression("No kind of transaction has all these fields together; name one 'schema'.")


def _check_for(
    rule: Rule, root: tree.Node, schema: TransactionSchema, home_country: str, aggregates: tuple[Aggregate, ...]
) -> None:
    meant = meaning_of(rule, schema.name, aggregates)
    for node in tree.nodes(root):
        if isinstance(node, tree.Name) and node.name == HOME_COUNTRY and not home_country:
            raise InvalidExpression("The policy has no 'home_country'; set it as your transactions name it.", node.at)
        if isinstance(node, tree.Binary) and node.sign in EQUALS:
            _check_constants(node, schema)
    _check_reach(meant, schema, names_of(schema, aggregates))


# --- what a field can hold --------------------------------------------------------------------------------------------


def _check_constants(node: tree.Binary, schema: TransactionSchema) -> None:
    """Refuse to look for what a field never holds once it was sent."""
    for name, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(name, tree.Name) and name.name in schema.fields:
            for constant in other.items if isinstance(other, tree.Many) else (other,):
                if isinstance(constant, tree.Literal) and constant.value is not None:
                    _check_constant(name.name, constant, schema)


def _check_constant(name: str, constant: tree.Literal, schema: TransactionSchema) -> None:
    value = constant.value
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        kept = schema.kept_as(name, whole)
    except InvalidTransaction as refusal:
        raise InvalidExpression(
            f"No transaction has {_shown(whole)} there: {refusal.detail}", constant.at, _near(name, value, schema)
        ) from refusal
    if kept is None:
        raise InvalidExpression(f"{_shown(whole)} counts as not sent; ask == null.", constant.at)
    if kept != value:
        said = f"What is sent as {_shown(whole)} is held as {_shown(kept)}; write that."
        raise InvalidExpression(said, constant.at, (_shown(kept),))


def _near(name: str, value: Any, schema: TransactionSchema) -> tuple[str, ...]:
    chosen = names_of(schema)[name].range.chosen or ()
    return tuple(map(_shown, get_close_matches(str(value), [one for one in chosen if isinstance(one, str)], 2)))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value[:60]}"' if isinstance(value, str) else f"{value:.15g}"


# --- could it ever hit, and not always --------------------------------------------------------------------------------


def _check_reach(meant: Meant, schema: TransactionSchema, fields: Mapping[str, Field]) -> None:
    if not _possible(meant.true, fields):
        raise InvalidExpression(f"It never holds for {schema.name}: {_bounds(meant.true, fields)}.")
    certain = all(fields[name].always for name in meaning.variables(meant.true))
    if certain and not _possible(meant.false, fields):
        raise InvalidExpression(
            f"It hits every transaction of {schema.name}; ask for something not all of them have, or set 'review_at', "
            "'block_at' or 'default_action' instead."
        )


def _bounds(condition: Condition, fields: Mapping[str, Field]) -> str:
    names = sorted(meaning.variables(condition))
    known = [f"of '{name}' {words}" for name in names if (words := fields[name].range.in_words())]
    return "; ".join(known) or "its conditions contradict one another"


def _possible(condition: Condition, fields: Mapping[str, Field]) -> bool:
    """Whether a condition could hold, as far as bounds tell."""
    ways = list(islice(_ways(condition), MOST_WAYS + 1))
    return len(ways) > MOST_WAYS or any(_is_open(way, fields) for way in ways)


def _ways(condition: Condition) -> Iterator[tuple[Condition, ...]]:
    """The ways in which a condition can hold: what must hold together. No more than are looked at of each part."""
    match condition:
        case meaning.Any(parts):
            for part in parts:
                yield from _ways(part)
        case meaning.All(parts):
            for chosen in product(*(list(islice(_ways(part), MOST_WAYS + 1)) for part in parts)):
                yield tuple(one for way in chosen for one in way)
        case _:
            yield (condition,)


def _is_open(way: Sequence[Condition], fields: Mapping[str, Field]) -> bool:
    """Whether conditions leave something together."""
    left: dict[str, Range] = {}
    unknown = set[str]()
    for one in way:
        match one:
            case meaning.Always(holds) if not holds:
                return False
            case meaning.Known(meaning.Variable(name), False, _):
                if fields[name].always:
                    return False
                unknown.add(name)
            case meaning.Compare(sign, meaning.Variable(name), meaning.Constant(value), _):
                left[name] = left.get(name, fields[name].range).after(OPERATIONS[sign], (value,))
            case meaning.Compare(sign, meaning.Constant(value), meaning.Variable(name), _):
                left[name] = left.get(name, fields[name].range).after(OPERATIONS[TURNED[sign]], (value,))
            case meaning.Among(meaning.Variable(name), members, inside, _):
                left[name] = left.get(name, fields[name].range).after("in" if inside else "not_in", members)
    if any(range_.is_empty() for range_ in left.values()):
        return False
    return not any(unknown & meaning.variables(one) for one in way if not isinstance(one, meaning.Known))
