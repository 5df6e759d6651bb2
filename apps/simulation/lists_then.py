"""What lists said when decisions were made: as it was told then, where it was asked; else as their history has it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.made_on import UNKNOWN, YES
from apps.scoring.lists.membership import Wanted
from apps.scoring.lists.reads import members_at
from apps.scoring.lists.tokens import HiddenValue
from apps.scoring.policies import Policies
from apps.simulation.reading import Read, Span


def known_lists(span: Span, part: Read, policy: Policy, policies: Policies) -> Mapping[ListCheck, np.ndarray]:
    """For each check of a policy bool[n]: whether each decision's value was in the list at its own moment. A list that
    was not there yet held nothing; one that never was is not among them: it is unknown."""
    found: dict[ListCheck, np.ndarray] = {}
    times = [row.created_at for row in part.rows]
    for name, checks in Wanted.by(policy).of(part.stored.block.schema).items():
        for check in checks:
            members = members_at(span.tenant_schema, span.livemode, name, _values(part, check.field), times)
            if any(one is not None for one in members):
                found[check] = _as_told(np.array([bool(one) for one in members]), span, part, check, policies)
    return found


def _values(part: Read, field: str) -> list[Any]:
    """A field's values, None where none was sent; of a masked one the hash that was kept."""
    column = getattr(part.stored.block.columns, field).tolist()
    values = [None if value != value else value for value in column]
    for place in part.stored.block.masked:
        if hidden := (part.rows[place].hidden or {}).get(field):
            values[place] = HiddenValue(hidden)
    return values


def _as_told(members: np.ndarray, span: Span, part: Read, check: ListCheck, policies: Policies) -> np.ndarray:
    """The history's answers, and in their place those the decisions were made on."""
    for place, (row, lists) in enumerate(zip(part.rows, part.stored.made.lists, strict=True)):
        if not lists or row.policy_version is None:
            continue
        asked = policies.get(span.tenant_schema, row.policy_version).list_checks
        said = lists[asked.index(check)] if check in asked else UNKNOWN
        if said != UNKNOWN:
            members[place] = said == YES
    return members
