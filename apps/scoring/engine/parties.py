"""Parties of a transaction: who has a history, in which role, and by what they are recognised."""

from collections.abc import Callable, Sequence
from functools import wraps
from math import nan
from typing import Any

import msgspec

from apps import text


class Role(msgspec.Struct, frozen=True):
    """A part somebody with a history plays in a transaction. `habits`: the long view is wanted beside the week.
    `speeds`: the measures of its events are speeds in km/h, not distances in km. Rules ask for it by what it is
    `called` ("" for its name), and for whom it `meets` by the plural of those."""

    name: str
    habits: bool = False
    speeds: bool = False
    called: str = ""
    meets: str = ""


class Party(msgspec.Struct, frozen=True):
    """Somebody with a history: in which role, under which name, dealing with whom ("" when unknown).

    `kind` (a merchant's category), `place` (a country), `device` ("" when unknown), `measure` (a distance or a speed;
    nan when unknown) and `failed` (refused by whoever was asked to pay) are kept with the event, so that the present
    can be held against the usual.
    """

    role: str
    name: str
    counterparty: str
    kind: str = ""
    measure: float = nan
    place: str = ""
    device: str = ""
    failed: bool = False

    def renamed(self, rename: Callable[[str], str]) -> "Party":
        """The same with each of its names rewritten; a name that is not known stays unknown."""
        names = (self.name, self.counterparty, self.kind, self.place, self.device)
        name, counterparty, kind, place, device = (one and rename(one) for one in names)
        return Party(self.role, name, counterparty, kind, self.measure, place, device, self.failed)


def party_name(value: object) -> str:
    """A party's name as it is kept and looked for: numbers without a fraction, texts however they are spelled."""
    if type(value) is str:
        return text.recognised(value)
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return text.recognised(str(whole))


def party_names(values: Sequence[Any]) -> Sequence[str | None]:
    """The same of many values; of one that is not there, None."""
    if set(map(type, values)) == {str}:
        return text.all_recognised(values)
    return [None if value is None else party_name(value) for value in values]


def recognised_parties(parties: Callable[[Any], tuple[Party, ...]]) -> Callable[[Any], tuple[Party, ...]]:
    """The parties by what they are recognised by, however they were written: one user has one past.

    Here, so that it holds for every schema, role and reader of parties, the live request and a replayed file alike.
    """

    @wraps(parties)
    def recognise(transaction: Any) -> tuple[Party, ...]:
        return tuple([party.renamed(text.recognised) for party in parties(transaction)])

    return recognise
