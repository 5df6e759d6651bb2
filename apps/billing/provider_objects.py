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

    def __init__(self, said: Any, at: str = "") -> None:
        if not isinstance(said, Mapping):
            raise Unreadable(f"{at or 'it'} takes an object")
        self._said: Json = said
        self._at = f"{at}." if at else ""

    def __contains__(self, name: str) -> bool:
        return self._said.get(name) is not None

    def id(self, name: str) -> str:
        """An id, or the id of the object that was sent in its place."""
        said = self._said.get(name)
        if isinstance(said, Mapping):
            return Fields(said, f"{self._at}{name}").id("id")
        if not isinstance(said, str) or not _ID.fullmatch(said):
            raise self._wrong(name, f"an id of 1 to {LONGEST_ID} visible ASCII characters")
        return said

    def id_if_any(self, name: str) -> str:
        """The same, "" when there is none."""
        return "" if self._said.get(name) in (None, "") else self.id(name)

    def text(self, name: str, longest: int = LONGEST_CODE) -> str:
        """A text in one line, cut where it is longer; "" when there is none."""
        said = self._said.get(name)
        if said is None:
            return ""
        if not isinstance(said, str) or (said and text.refusal(said)):
            raise self._wrong(name, "text in one line")
        return said[:longest]

    def word(self, name: str) -> str:
        """A text that must be there."""
        said = self.text(name)
        if not said:
            raise self._wrong(name, "text in one line")
        return said

    def number(self, name: str, most: int = MOST_UNITS) -> int:
        """A whole number from 0 on."""
        said = self._said.get(name)
        if not isinstance(said, int) or isinstance(said, bool) or not 0 <= said <= most:
            raise self._wrong(name, f"a whole number from 0 to {most:,}")
        return said

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        said = self._said.get(name)
        if said is not None and not isinstance(said, bool):
            raise self._wrong(name, "true or false")
        return default if said is None else said

    def object(self, name: str) -> "Fields":
        """Another object, an empty one when there is none."""
        said = self._said.get(name)
        return Fields({} if said is None else said, f"{self._at}{name}")

    def _wrong(self, name: str, takes: str) -> Unreadable:
        there = "is missing" if self._said.get(name) is None else "is something else"
        return Unreadable(f"{self._at}{name} takes {takes}, and {there}")
