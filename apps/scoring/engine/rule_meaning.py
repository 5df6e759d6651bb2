"""What a tenant's rule means to one kind of transaction: its `when`, or its list of conditions written as one. Pure."""

import json
from functools import lru_cache

from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.expressions import tree
from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.lowering import Meant, lower
from apps.scoring.engine.rule_fields import Field, names_of
from apps.scoring.engine.rules import Condition, Rule, Scalar
from apps.scoring.engine.schemas import SCHEMAS

NO_FIELD = Field("text")
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@lru_cache(maxsize=4_096)
def meaning_of(rule: Rule, schema_name: str, aggregates: tuple[Aggregate, ...] = ()) -> Meant:
    """When a rule surely holds for this kind of transaction, and when it surely does not.

    Raises `InvalidExpression` for one that asks for what the kind has not, or compares what can't be.
    """
    fields = names_of(SCHEMAS[schema_name], aggregates)
    root = rule.root
    if root is None:
        root = _conditions(rule, {name for name, field in fields.items() if field.kind == "a time"})
    return lower(root, fields)


def text_of(rule: Rule) -> str:
    """A rule's condition as text, also of one that is a list of conditions."""
    return rule.when or " && ".join(map(_written, rule.all))


def _written(condition: Condition) -> str:
    """A condition of a list as text; times stand in it as they are named in lists."""
    if condition.other is not None:
        return f"{condition.field} {SIGNS.get(condition.op, condition.op)} {condition.other}"
    if condition.op in SIGNS:
        return f"{condition.field} {SIGNS[condition.op]} {_constant(condition.value, condition.field)}"
    values = condition.value if isinstance(condition.value, tuple) else ()
    among = f"{condition.field} in [{', '.join(_constant(one, condition.field) for one in values)}]"
    return among if condition.op == "in" else f"!({among})"


def _constant(value: Scalar | tuple[Scalar, ...] | None, field: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        quoted = json.dumps(value, ensure_ascii=False)
        is_time = any(names_of(one).get(field, NO_FIELD).kind == "a time" for one in SCHEMAS.values())
        return f"timestamp({quoted})" if is_time else quoted
    return f"{value:.15g}" if isinstance(value, float | int) else "null"


def _conditions(rule: Rule, times: set[str]) -> tree.Node:
    """All conditions of a list, as one expression."""
    found = [_condition(condition, condition.field in times) for condition in rule.all]
    joined = found[0] if found else tree.Literal(False, 0)
    for one in found[1:]:
        joined = tree.Binary("&&", joined, one, 0)
    return joined


def _condition(condition: Condition, is_time: bool) -> tree.Node:
    field = tree.Name(condition.field, 0)
    if condition.other is not None:
        if condition.op not in SIGNS:
            raise InvalidExpression("A field is compared with another, not looked for in it.")
        return tree.Binary(SIGNS[condition.op], field, tree.Name(condition.other, 0), 0)
    if condition.op in SIGNS:
        if isinstance(condition.value, tuple):
            raise InvalidExpression("One value is compared, not a list of them.")
        return tree.Binary(SIGNS[condition.op], field, _literal(condition.value, is_time), 0)
    values = condition.value if isinstance(condition.value, tuple) else ()
    among = tree.Binary("in", field, tree.Many(tuple(_literal(one, is_time) for one in values), 0), 0)
    return among if condition.op == "in" else tree.Unary("!", among, 0)


def _literal(value: Scalar | None, is_time: bool) -> tree.Node:
    if is_time and isinstance(value, str):
        return tree.Call("timestamp", (tree.Literal(value, 0),), 0, is_method=False)
    return tree.Literal(value if value is None or isinstance(value, bool | str) else float(value), 0)
