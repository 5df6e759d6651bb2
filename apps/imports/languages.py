"""The two languages that are read: Stripe Radar's and Amazon Fraud Detector's (DETECTORPL). Pure.

They differ in how something is asked for (`:card_country:`, `$card_country`) and in what is written around a condition;
the rest is one grammar, which takes what either of them takes.

https://docs.stripe.com/radar/rules/reference
https://docs.aws.amazon.com/frauddetector/latest/ug/rule-language-reference.html
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal, NamedTuple

from lark import Lark

from apps.imports.tree import Node, Unreadable, node_of, parsed

_GRAMMAR = r"""
?start: either
?either: both (_OR both)*
?both: refused (_AND refused)*
?refused: relation
    | NOT refused -> not_
?relation: sum
    | sum COMPARE sum -> operation
    | sum IN listing -> operation
    | sum NOT IN listing -> not_in
    | sum TEXT_TEST TEXT -> operation
    | sum _IS NULL -> missing
    | sum _IS NOT NULL -> present
?sum: product
    | sum SUM_SIGN product -> operation
?product: signed
    | product PRODUCT_SIGN signed -> operation
?signed: value
    | "-" signed -> minus
?value: "(" either ")"
    | NUMBER | TEXT | TRUE | FALSE | NULL | LIST | ATTRIBUTE
    | NAME "(" [either ("," either)*] ")" -> call
?listing: LIST
    | "(" value ("," value)* ")" -> values
    | "[" value ("," value)* "]" -> values

_OR.3: /or\b|\|\|/i
_AND.3: /and\b|&&/i
NOT.3: /not\b|!(?!=)/i
IN.3: /in\b/i
_IS.3: /is\b/i
TEXT_TEST.3: /(like|includes)\b/i
TRUE.3: /true\b/i
FALSE.3: /false\b/i
NULL.3: /null\b|missing\b/i
COMPARE: /==|=|!=|<>|<=|>=|<|>/
SUM_SIGN: /[+-]/
PRODUCT_SIGN: /[*\/%]/
NUMBER: /[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{{1,2}})?/
TEXT: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
LIST: /@[A-Za-z0-9_-]+/
NAME: /[A-Za-z_][A-Za-z0-9_]*/
ATTRIBUTE: {attribute}
%ignore /\s+/
"""
#: How something is asked for: `:card_country:`, `::metadata::`; `$card_country`.
_RADAR = r"/::[^:\n]{1,100}(:[^:\n]{1,100})?::|:[A-Za-z_][A-Za-z0-9_]*:/"
_DETECTOR = r"/\$[A-Za-z_][A-Za-z0-9_.]*/"

RadarAction = Literal["allow", "block", "review", "request_3ds"]
_ACTIONS: tuple[tuple[str, RadarAction], ...] = (
    (r"allow", "allow"),
    (r"block", "block"),
    (r"(?:place\s+in\s+)?review", "review"),
    (r"request\s+(?:3d\s*secure|3ds)", "request_3ds"),
)
_ACTION = re.compile("|".join(f"({words})" for words, _ in _ACTIONS), re.IGNORECASE)
_IF = re.compile(r"\s+(?:payment\s+)?if\b", re.IGNORECASE)


class RadarRule(NamedTuple):
    """A rule of Radar's: what is done, and when."""

    action: RadarAction
    condition: Node


def radar_rule(text: str) -> RadarRule:
    """`Block if :card_country: != 'US'`. Raises `Unreadable`."""
    begin = len(text) - len(text.lstrip())
    action = _ACTION.match(text, begin)
    if action is None or action.lastindex is None:
        raise Unreadable("It begins with none of Allow, Block, Review and Request 3D Secure.", begin)
    word = _IF.match(text, action.end())
    if word is None:
        raise Unreadable("There is no 'if' behind what is to be done.", action.end())
    return RadarRule(_ACTIONS[action.lastindex - 1][1], _condition(_RADAR, text, word.end()))


def radar_rules(text: str) -> Iterator[str]:
    """The rules of a text: each begins on a line of its own with what is to be done; # and // begin a remark."""
    rule = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(("#", "//")):
            continue
        if rule and (not line or _ACTION.match(line)):
            yield rule
            rule = ""
        rule = f"{rule} {line}".strip()
    if rule:
        yield rule


def detector_condition(text: str) -> Node:
    """`$model_score > 900 and $ip_country == "US"`. Raises `Unreadable`."""
    return _condition(_DETECTOR, text, 0)


@cache
def _grammar(attribute: str) -> Lark:
    """Made when a text is first read."""
    return Lark(_GRAMMAR.format(attribute=attribute), parser="lalr")


def _condition(attribute: str, text: str, begin: int) -> Node:
    try:
        return node_of(parsed(_grammar(attribute), text[begin:]))
    except Unreadable as wrong:
        raise Unreadable(wrong.why, begin + wrong.at) from wrong
