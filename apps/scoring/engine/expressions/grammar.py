"""From text to tree: the grammar of CEL without maps, messages, bytes and macros, which rules have no use for. Pure.

Bounded: so many characters (`tokens.py`), `MOST_NODES`, `DEEPEST`. Precedence as CEL has it: `? :`, `||`, `&&`,
comparisons and `in`, `+ -`, `* / %`, `! -`, members.
"""

from collections.abc import Callable
from typing import NoReturn

from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.tokens import ELSEWHERE, Token, tokens
from apps.scoring.engine.expressions.tree import (
    Binary,
    Call,
    Choice,
    ListName,
    Literal,
    Many,
    Name,
    Node,
    Unary,
)

MOST_NODES = 500
DEEPEST = 32
LISTS = "lists"
CONSTANTS = {"true": True, "false": False, "null": None}
RELATIONS = frozenset(("<", "<=", ">", ">=", "==", "!=", "in"))
#: Words of CEL that name nothing.
RESERVED = frozenset((
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
))  # fmt: skip


def parse(text: str) -> Node:
    """The tree of an expression. Raises `InvalidExpression`."""
    return _Reader(text).whole()


class _Reader:
    """One pass over the words; each method reads one level of precedence."""

    def __init__(self, text: str) -> None:
        self._words = list(tokens(text))
        self._next = self._depth = self._nodes = 0

    def whole(self) -> Node:
        if self._here.kind == "end":
            raise InvalidExpression("There is nothing in it: write a condition, like amount > 5000.")
        found = self._choice()
        if self._here.kind != "end":
            self._unexpected("an operator or the end")
        return found

    @property
    def _here(self) -> Token:
        return self._words[self._next]

    def _is(self, *signs: str) -> bool:
        return self._here.kind in ("sign", "name") and self._here.value in signs

    def _taken(self) -> Token:
        self._next += 1
        return self._words[self._next - 1]

    def _counted(self, node: Node) -> Node:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise InvalidExpression(f"It has more than {MOST_NODES} parts; split it into rules.", node.at)
        return node

    def _unexpected(self, wanted: str) -> NoReturn:
        here = self._here
        if here.kind == "end":
            raise InvalidExpression(f"It ends where {wanted} was to come.", here.at)
        shown = f"'{str(here.value)[:40]}'" if here.kind != "text" else "A text"
        meant = (ELSEWHERE[str(here.value)],) if here.value in ELSEWHERE else ()
        raise InvalidExpression(f"{shown} stands where {wanted} was to come.", here.at, meant)

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            self._unexpected(f"'{sign}'")
        self._taken()

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise InvalidExpression(f"It is nested more than {DEEPEST} deep.", self._here.at)
        found = read()
        self._depth -= 1
        return found

    def _choice(self) -> Node:
        return self._deeper(self._unbounded_choice)

    def _unbounded_choice(self) -> Node:
        condition = self._either()
        if not self._is("?"):
            return condition
        at = self._taken().at
        yes = self._choice()
        self._expect(":")
        return self._counted(Choice(condition, yes, self._choice(), at))

    def _chain(self, signs: frozenset[str], below: Callable[[], Node]) -> Node:
        found = below()
        while self._here.kind in ("sign", "name") and self._here.value in signs:
            sign = self._taken()
            found = self._counted(Binary(str(sign.value), found, below(), sign.at))
        return found

    def _either(self) -> Node:
        return self._chain(frozenset(("||",)), self._both)

    def _both(self) -> Node:
        return self._chain(frozenset(("&&",)), self._relation)

    def _relation(self) -> Node:
        return self._chain(RELATIONS, self._sum)

    def _sum(self) -> Node:
        return self._chain(frozenset("+-"), self._product)

    def _product(self) -> Node:
        return self._chain(frozenset("*/%"), self._signed)

    def _signed(self) -> Node:
        if not self._is("!", "-"):
            return self._member()
        sign = self._taken()
        operand = self._deeper(self._signed)
        if sign.value == "-" and isinstance(operand, Literal) and type(operand.value) is float:
            return Literal(-operand.value, sign.at)
        return self._counted(Unary(str(sign.value), operand, sign.at))

    def _member(self) -> Node:
        found = self._primary()
        while self._is("."):
            self._taken()
            word = self._named()
            if self._is("("):
                found = self._counted(Call(str(word.value), (found, *self._arguments()), word.at, is_method=True))
            else:
                found = self._joined(found, word)
        if self._is("["):
            raise InvalidExpression("Nothing is asked for by brackets: write user.count_1h.", self._here.at)
        return found

    def _named(self) -> Token:
        if self._here.kind != "name":
            self._unexpected("a name")
        return self._taken()

    def _joined(self, before: Node, word: Token) -> Node:
        """`user.count_1h` is one name; `lists.mules` is a list."""
        if not isinstance(before, Name):
            raise InvalidExpression("Only a name has something behind a dot.", word.at)
        if before.name == LISTS:
            return ListName(str(word.value), before.at)
        return Name(f"{before.name}.{word.value}", before.at)

    def _primary(self) -> Node:
        here = self._here
        if here.kind == "number" or here.kind == "text":
            return self._counted(Literal(self._taken().value, here.at))
        if here.kind == "name":
            return self._counted(self._word())
        if self._is("("):
            self._taken()
            found = self._choice()
            self._expect(")")
            return found
        if not self._is("["):
            self._unexpected("a value")
        self._taken()
        return self._counted(Many(self._until("]"), here.at))

    def _word(self) -> Node:
        word = self._taken()
        name = str(word.value)
        if name in CONSTANTS:
            return Literal(CONSTANTS[name], word.at)
        if name in RESERVED or name == "in" or name in ELSEWHERE:
            self._next -= 1
            self._unexpected("a value")
        if self._is("("):
            return Call(name, self._arguments(), word.at, is_method=False)
        return Name(name, word.at)

    def _arguments(self) -> tuple[Node, ...]:
        self._expect("(")
        return self._until(")")

    def _until(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._is(end):
            found.append(self._choice())
            if not self._is(end):
                self._expect(",")
        self._taken()
        return tuple(found)
