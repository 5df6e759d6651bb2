"""What lists said when decisions were made: as it was told then, where it was asked; else as their history has it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.made_on import UNKNOWN, YES
from apps.scoring.engine.transaction import HOME_COUNTRY
from apps.scoring.lists.membership import Wanted
from apps.scoring.lists.reads import members_at
from apps.scoring.lists.tokens import HiddenValue
from apps.scoring.policies import Policies
from apps.simulation.reading import Read, Span


class ListsThen(NamedTuple):
    """By check bool[n]: whether each decision's value was in the list, and where that was asked and nobody could tell:
    the list was away, or not there. A check that is in neither is unknown everywhere."""

    members: Mapping[ListCheck, np.ndarray]
    unknown: Mapping[ListCheck, np.ndarray]


def lists_then(span: Span, part: Read, policy: Policy, policies: Policies) -> ListsThen:
    """What a policy's checks come to, each decision at its own moment. A list that was not there yet held nothing; one
    that never was is unknown."""
    members: dict[ListCheck, np.ndarray] = {}
    unknown: dict[ListCheck, np.ndarray] = {}
    for name, checks in Wanted.by(policy).of(part.stored.block.schema).items():
        for check in checks:
            told = _told(span, part, check, policy.home_country, policies)
            found = _by_history(span, part, name, _values(part, check.field, policy.home_country))
            if found is not None or (told >= 0).any():
                known = np.zeros(len(told), dtype=bool) if found is None else found
                members[check] = np.where(told >= 0, told == YES, known)
                unknown[check] = told == UNKNOWN
                if found is None:
                    unknown[check] |= told < 0
    return ListsThen(members, unknown)


#: The decision's policy did not ask.
_NOT_ASKED = -1


def _by_history(span: Span, part: Read, name: str, values: Sequence[Any]) -> np.ndarray | None:
    """bool[n]; None where there never was such a list."""
    times = [row.created_at for row in part.rows]
    found = members_at(span.tenant_schema, span.livemode, name, values, times)
    return np.array([bool(one) for one in found]) if any(one is not None for one in found) else None


def _values(part: Read, field: str, home_country: str) -> list[Any]:
    """A field's values, None where none was sent; of a masked one the hash that was kept."""
    if field == HOME_COUNTRY:
        return [home_country or None] * len(part.rows)
    column = getattr(part.stored.block.columns, field).tolist()
    values = [None if value != value else value for value in column]
    for place in part.stored.block.masked:
        if hidden := (part.rows[place].hidden or {}).get(field):
            values[place] = HiddenValue(hidden, values[place])
    return values


def _told(span: Span, part: Read, check: ListCheck, home_country: str, policies: Policies) -> np.ndarray:
    """int8[n]: what each decision was told of a check, `_NOT_ASKED` where its policy did not ask that."""
    found = np.full(len(part.rows), _NOT_ASKED, dtype=np.int8)
    for place, (row, lists) in enumerate(zip(part.rows, part.stored.made.lists, strict=True)):
        if lists and row.policy_version is not None:
            policy = policies.get(span.tenant_schema, row.policy_version)
            asked = policy.list_checks
            is_same = check.field != HOME_COUNTRY or policy.home_country == home_country
            if check in asked and is_same:
                found[place] = lists[asked.index(check)]
    return found
