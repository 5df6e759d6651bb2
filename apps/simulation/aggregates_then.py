"""What aggregates came to when decisions were made: as it was kept with each, under whatever name it had then.

An aggregate is the same when it counts the same (`Aggregate.counts`). One that was not counted when a decision
was made is counted anew from the stored decisions, as of that moment (`recounting.py`); what can't be is unknown.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import NamedTuple

import numpy as np

from apps.scoring.engine import made_on
from apps.scoring.engine.aggregates import Aggregate, counted_by
from apps.scoring.engine.decide import Policy
from apps.scoring.policies import Policies
from apps.simulation.reading import Read, Span
from apps.simulation.recounting import Counted, same_as


class Then(NamedTuple):
    """float64[n] by the names rules ask for, and of how many of the n decisions each was counted anew."""

    known: Mapping[str, np.ndarray]
    recounted: Mapping[str, int]


def known_then(span: Span, part: Read, policy: Policy, policies: Policies, anew: Mapping[str, Counted]) -> Then:
    """What the aggregates of a policy came to for each decision of a part; `anew` are those counted anew."""
    asked = counted_by(policy.aggregates, part.schema)
    known = {one.asked_as: np.full(len(part.rows), nan) for one in asked}
    uncounted = {one.name: np.zeros(len(part.rows), dtype=bool) for one in asked}
    versions = [row.policy_version for row in part.rows] if asked else []
    for version in dict.fromkeys(versions):
        places = [place for place, one in enumerate(versions) if one == version]
        then = Policy() if version is None else policies.get(span.tenant_schema, version)
        told = counted_by(then.aggregates, part.schema)
        same = {one: other for one in asked if (other := same_as(one, told))}
        for one in asked:
            uncounted[one.name][places] = one not in same
        if same:
            _take(part, places, then, told, same, known)
    counted = anew[part.schema].of([row.id for row in part.rows]) if part.schema in anew else {}
    for one in asked:
        if one.asked_as in counted:
            known[one.asked_as] = np.where(uncounted[one.name], counted[one.asked_as], known[one.asked_as])
    return Then(known, {name: int(rows.sum()) for name, rows in uncounted.items()})


def _take(
    part: Read, places: Sequence[int], then: Policy, told: Sequence[Aggregate], same: Mapping[Aggregate, Aggregate],
    known: Mapping[str, np.ndarray],
) -> None:  # fmt: skip
    """Take what was kept with decisions made under one policy."""
    lists = [part.stored.made.lists[place] for place in places]
    kept = made_on.aggregates_of_block(told, len(then.list_checks), lists)
    for one, other in same.items():
        known[one.asked_as][places] = kept[:, told.index(other)]
