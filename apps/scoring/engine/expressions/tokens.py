"""The words of an expression: numbers, texts, names and signs, each with its place. Pure."""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Literal, NamedTuple

from apps.scoring.engine.expressions.errors import InvalidExpression

LONGEST = 4_000  # characters of an expression
LARGEST = 2**53  # whole numbers beyond are not exact
Kind = Literal["number", "text", "name", "sign", "end"]

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n\f]|//[^\n]*)+)
    |(?P<number>(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)(?:[eE][+-]?[0-9]+)?)[uU]?)
    |(?P<text>[rR]?(?:"(?:\\.|[^"\\\r\n])*"|'(?:\\.|[^'\\\r\n])*'))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([abfnrtv\\?\"'`])|(.)?)", re.DOTALL
)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
#: What people of other languages write, and what it is here.
ELSEWHERE = {
    "=": "==", "&": "&&", "|": "||", "<>": "!=", "and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||",
    "NOT": "!", "IN": "in", "True": "true", "False": "false", "None": "null", "NULL": "null",
}  # fmt: skip


class Token(NamedTuple):
    """A word, and the characters before it; `value` is a float, a text, a name or a sign."""

    kind: Kind
    value: float | str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """The words of an expression, and its end. Raises `InvalidExpression`."""
    if len(text) > LONGEST:
        raise InvalidExpression(f"It has {len(text):,} characters; at most {LONGEST:,} are taken.", LONGEST)
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _unreadable(text, at)
        if found.lastgroup == "number":
            yield Token("number", _number(found.group(), at), at)
        elif found.lastgroup == "text":
            yield Token("text", _text(found.group(), at), at)
        elif found.lastgroup == "name":
            yield Token("name", found.group(), at)
        elif found.lastgroup == "sign":
            yield Token("sign", found.group(), at)
        at = found.end()
    yield Token("end", "", len(text))


def _unreadable(text: str, at: int) -> InvalidExpression:
    sign = text[at]
    if sign in "\"'":
        return InvalidExpression("The text that begins here has no end: close its quotes.", at)
    shown = sign if sign.isprintable() and sign.isascii() else f"U+{ord(sign):04X}"
    meant = (ELSEWHERE[sign],) if sign in ELSEWHERE else ()
    return InvalidExpression(f"'{shown}' means nothing here.", at, meant)


def _number(digits: str, at: int) -> float:
    """Every number is a double, whole ones too."""
    plain = digits.rstrip("uU")
    value = float(int(plain, 16)) if plain[:2] in ("0x", "0X") and len(plain) <= 18 else _decimal(plain, at)
    if not isfinite(value):
        raise InvalidExpression("The number is beyond a double.", at)
    if "." not in plain and "e" not in plain.lower() and value >= LARGEST:
        raise InvalidExpression(f"Whole numbers beyond {LARGEST:,} are not exact.", at)
    return value


def _decimal(digits: str, at: int) -> float:
    try:
        return float(digits)
    except ValueError as wrong:  # more hexadecimal digits than a whole number has
        raise InvalidExpression(f"Whole numbers beyond {LARGEST:,} are not exact.", at) from wrong


def _text(quoted: str, at: int) -> str:
    if quoted[0] in "rR":
        return _storable(quoted[2:-1], at)
    return _storable(_ESCAPE.sub(lambda found: _escaped(found, at), quoted[1:-1]), at)


def _escaped(found: re.Match[str], at: int) -> str:
    x, u, long, octal, short, other = found.groups()
    if short:
        return _SHORT.get(short, short)
    if other is not None or not any((x, u, long, octal)):
        raise InvalidExpression(f"'\\{other or ''}' is no escape: write \\\\ for a backslash.", at + 1 + found.start())
    number = int(octal, 8) if octal else int(x or u or long, 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000 or not number:
        raise InvalidExpression("This escape is no character.", at + 1 + found.start())
    return chr(number)


def _storable(text: str, at: int) -> str:
    if any(0xD800 <= ord(sign) < 0xE000 for sign in text):
        raise InvalidExpression("The text holds half a character.", at)
    return text
