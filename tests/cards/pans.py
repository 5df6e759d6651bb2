"""Card numbers to send, each sent once, and how they are written."""

import re
from collections.abc import Iterator
from urllib.parse import quote

#: Every one of them begins so, and no other number of the suite.
BEGIN = "457293"


def with_check_digit(digits: str) -> str:
    """The digits with the one that makes them pass Luhn's check."""
    total = 0
    for place, one in enumerate(reversed(digits.lstrip("+"))):
        doubled = int(one) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{digits}{-total % 10}"


def pan(number: int) -> str:
    """The card number of a number below 1,000,000: the hidden digits are its own."""
    return with_check_digit(f"{BEGIN}{number:06d}777")


def masked(card: str) -> str:
    return f"{card[:6]}{'*' * (len(card) - 10)}{card[-4:]}"


def in_groups(card: str, between: str) -> str:
    return between.join(card[start : start + 4] for start in range(0, len(card), 4))


def forms(card: str) -> Iterator[str]:
    """As people and programs write it."""
    yield card
    yield in_groups(card, " ")
    yield in_groups(card, "-")
    yield in_groups(card, "\N{NO-BREAK SPACE}")
    yield in_groups(card, "\N{EN DASH}")
    yield f"card {card}, expires 12/27"
    yield card.translate({ord("0") + digit: ord("\N{FULLWIDTH DIGIT ZERO}") + digit for digit in range(10)})


_BETWEEN = r"(?:[\s\-\u2013\u00a0+]|%20|%2D|%C2%A0|%E2%80%93|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}){0,2}"
#: A card number of ours whose hidden digits can be read, in any of those forms.
_READABLE = re.compile(_BETWEEN.join([*BEGIN, *[r"(\d)"] * 6, *"777", r"\d"]))
_HEXADECIMAL = re.compile(f"{BEGIN.encode().hex()}((?:3[0-9]){{6}})373737")
#: Where one may begin, of all the bytes of a data folder: as text, in full width, in the hexadecimal of a bytea.
_MAY_BEGIN = re.compile(rb"4\D{0,6}5\D{0,6}7\D{0,6}2\D{0,6}9\D{0,6}3|\xef\xbc\x94|%s" % BEGIN.encode().hex().encode())
_WINDOW = 240
_NARROW = {ord("\N{FULLWIDTH DIGIT ZERO}") + digit: ord("0") + digit for digit in range(10)}


def readable(haystack: bytes) -> set[int]:
    """The numbers of the card numbers that can be read in these bytes."""
    found: set[int] = set()
    for begin in _MAY_BEGIN.finditer(haystack):
        text = haystack[begin.start() : begin.start() + _WINDOW].decode("utf-8", "replace").translate(_NARROW)
        if one := _READABLE.match(text):
            found.add(int("".join(one.groups())))
        if one := _HEXADECIMAL.match(text):
            found.add(int(bytes.fromhex(one.group(1))))
    return found


def in_a_path(text: str) -> str:
    return quote(text, safe="")
