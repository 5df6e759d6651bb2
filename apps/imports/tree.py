"""Conditions of other services as one tree, whichever language they were written in. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken

#: Characters of one condition: Amazon Fraud Detector takes as many.
LONGEST = 4_000
#: Conditions within conditions: more is nobody's rule.
DEEPEST = 40


class Attribute(NamedTuple):
    """Something asked for by name, as their language names it."""

    name: str


class Constant(NamedTuple):
    """A number, a text, true or false, or nothing."""

    value: float | str | bool | None


class ListName(NamedTuple):
    """A list by its name."""

    name: str


class Values(NamedTuple):
    """Some values."""

    items: tuple["Node", ...]


class Operation(NamedTuple):
    """Two things compared or reckoned with: == != < <= > >= in like includes + - * / %."""

    sign: str
    left: "Node"
    right: "Node"


class Together(NamedTuple):
    """Conditions that all hold (&&), or of which one does (||)."""

    sign: str
    items: tuple["Node", ...]


class Negation(NamedTuple):
    """What does not hold."""

    inner: "Node"


class Call(NamedTuple):
    """A function of theirs."""

    function: str
    arguments: tuple["Node", ...]


Node = Attribute | Constant | ListName | Values | Operation | Together | Negation | Call


class Unreadable(ValueError):
    """A condition that can't be read: the message says why, `at` from which character on."""

    def __init__(self, why: str, at: int = 0) -> None:
        super().__init__(why)
        self.why, self.at = why, at


def parsed(grammar: Lark, text: str) -> Tree[Token] | Token:
    """Their tree of a text, of bounded depth. Raises `Unreadable`."""
    if len(text) > LONGEST:
        raise Unreadable(f"It has {len(text):,} characters; at most {LONGEST:,} are read.", LONGEST)
    try:
        found = grammar.parse(text)
    except UnexpectedInput as wrong:
        ended = isinstance(wrong, UnexpectedToken) and wrong.token.type == "$END"
        at = len(text) if ended or wrong.pos_in_stream is None else wrong.pos_in_stream
        why = f"It can't be read from '{text[at : at + 20]}' on." if text[at:].strip() else "It ends too early."
        raise Unreadable(why, at) from wrong
    if max(_depths(found), default=0) > DEEPEST:
        raise Unreadable(f"It is nested more than {DEEPEST} deep.")
    return found


def node_of(found: Tree[Token] | Token) -> Node:
    """Their tree as ours; both grammars call their parts alike."""
    if isinstance(found, Token):
        return _leaf(found)
    children, part = found.children, str(found.data)
    if part in ("both", "either"):
        return Together("&&" if part == "both" else "||", tuple(map(node_of, children)))
    if part == "not_":
        return Negation(node_of(children[-1]))
    if part == "minus":
        return Operation("-", Constant(0.0), node_of(children[-1]))
    if part == "values":
        return Values(tuple(map(node_of, children)))
    if part == "call":
        return Call(str(children[0]).lower(), tuple(node_of(child) for child in children[1:] if child is not None))
    if part == "not_in":
        return Negation(Operation("in", node_of(children[0]), node_of(children[-1])))
    if part in ("missing", "present"):
        return Operation("==" if part == "missing" else "!=", node_of(children[0]), Constant(None))
    left, sign, right = children
    return Operation(SIGNS.get(str(sign).lower(), str(sign).lower()), node_of(left), node_of(right))


#: Their signs, where ours are others.
SIGNS = {"=": "==", "<>": "!="}


def _leaf(token: Token) -> Node:
    match token.type:
        case "NUMBER":
            return Constant(float(token))
        case "TEXT":
            return Constant(_unquoted(str(token)))
        case "TRUE" | "FALSE":
            return Constant(token.type == "TRUE")
        case "NULL":
            return Constant(None)
        case "LIST":
            return ListName(str(token)[1:])
    name = str(token)
    return Attribute(f"metadata:{name.strip(':')}" if name.startswith("::") else name.strip(":$"))


def _unquoted(text: str) -> str:
    return text[1:-1].replace(f"\\{text[0]}", text[0]).replace("\\\\", "\\")


def _depths(found: Tree[Token] | Token) -> Iterator[int]:
    """How deep each part stands; without recursion, for a text may be nested as deep as it is long."""
    left = [(found, 0)]
    while left:
        part, depth = left.pop()
        yield depth
        if isinstance(part, Tree):
            left += [(child, depth + 1) for child in part.children if child is not None]
