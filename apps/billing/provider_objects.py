"""The provider's objects, read member by member: what isn't as documented is never taken for a fact. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from apps import text

Json = Mapping[str, Any]
#: Stripe's own bound of an id.
LONGEST_ID = 255
#: Codes and brands are cut to what their columns hold.
LONGEST_CODE = 80
#: An amount in the currency's smallest unit: Stripe takes twelve digits at most.
MOST_UNITS = 10**15
_ID = re.compile(f"[!-~]{{1,{LONGEST_ID}}}")


class Unreadable(ValueError):
    """An object is not what the provider documents; the message names the member and what it takes."""


class Fields:
    """One JSON object. What is null is as good as missing; every reader raises `Unreadable`."""

    def __init__(self, value: Any, at: str = "") -> None:
        if not isinstance(value, Mapping):
            raise Unreadable(f"{at or 'it'} takes an object")
        self._said: Json = value
        self._at = f"{at}." if at else ""

    def __contains__(self, name: str) -> bool:
        return self._said.get(name) is not None

    def id(self, name: str) -> str:
        """An id, or the id of the object that was sent in its place."""
        value = self._said.get(name)
        if isinstance(value, Mapping):
            return Fields(value, f"{self._at}{name}").id("id")
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self._wrong(name, f"an id of 1 to {LONGEST_ID} visible ASCII characters")
        return value

    def id_if_any(self, name: str) -> str:
        """The same, "" when there is none."""
        return "" if self._said.get(name) in (None, "") else self.id(name)

    def text(self, name: str, longest: int = LONGEST_CODE) -> str:
        """A text in one line, cut where it is longer; "" when there is none."""
        value = self._said.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or (value and text.refusal(value)):
            raise self._wrong(name, "text in one line")
        return value[:longest]

    def word(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if not value:
            raise self._wrong(name, "text in one line")
        return value

    def number(self, name: str, most: int = MOST_UNITS) -> int:
        """A whole number from 0 on."""
        value = self._said.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(name, f"a whole number from 0 to {most:,}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._said.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return default if value is None else value

    def object(self, name: str) -> "Fields":
        """Another object, an empty one when there is none."""
        value = self._said.get(name)
        return Fields({} if value is None else value, f"{self._at}{name}")

    def _wrong(self, name: str, takes: str) -> Unreadable:
        there = "is missing" if self._said.get(name) is None else "is something else"
        return Unreadable(f"{self._at}{name} takes {takes}, and {there}")
