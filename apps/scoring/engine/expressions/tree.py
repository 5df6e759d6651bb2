"""An expression as it was written: a tree whose nodes know their places. Pure."""

from typing import NamedTuple


class Literal(NamedTuple):
    """A number, a text, true or false, or null."""

    value: float | str | bool | None
    at: int


class Name(NamedTuple):
    """A field, a feature, or what is counted of a party: `user.count_1h`."""

    name: str
    at: int


class Many(NamedTuple):
    """Values between brackets."""

    items: tuple["Node", ...]
    at: int


class ListName(NamedTuple):
    """One of the tenant's lists: `lists.mules`."""

    name: str
    at: int


class Unary(NamedTuple):
    sign: str
    operand: "Node"
    at: int


class Binary(NamedTuple):
    sign: str
    left: "Node"
    right: "Node"
    at: int


class Choice(NamedTuple):
    """`condition ? yes : no`."""

    condition: "Node"
    yes: "Node"
    no: "Node"
    at: int


class Call(NamedTuple):
    """A function of its arguments; of a method the first is what stands before the dot."""

    function: str
    arguments: tuple["Node", ...]
    at: int
    is_method: bool


Node = Literal | Name | Many | ListName | Unary | Binary | Choice | Call


def nodes(root: Node) -> list[Node]:
    """A tree's nodes, the root first."""
    found = [root]
    for one in found:
        for part in one:
            if isinstance(part, Node):
                found.append(part)
            elif isinstance(part, tuple):
                found.extend(part)
    return found
