"""What is known of lists for a block of rows, as one moment knew it: bool arrays, asked of Postgres.

A chunk of a batch that is scored again, its worker having died, is told the same: its moment is fixed when it is first
taken.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from apps.scoring.engine.block import Block
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.transaction import HOME_COUNTRY
from apps.scoring.lists.membership import Wanted
from apps.scoring.lists.reads import members_at


def known_of_block(
    tenant_schema: str, livemode: bool, policy: Policy, block: Block, at: datetime
) -> Mapping[ListCheck, np.ndarray]:
    """For each check of the policy this kind of transaction has a field for, bool[n]. One whose list did not exist at
    that moment is not among them: it is unknown."""
    found: dict[ListCheck, np.ndarray] = {}
    for name, checks in Wanted.by(policy).of(block.schema).items():
        for check in checks:
            values = _values(block, check.field, policy.home_country)
            members = members_at(tenant_schema, livemode, name, values, at)
            if not values or members[0] is not None:
                found[check] = np.array(members, dtype=bool)
    return found


def _values(block: Block, name: str, home_country: str) -> list[Any]:
    """A field's values as they were sent, None where none was."""
    if name == HOME_COUNTRY:
        return [home_country or None] * len(block)
    return [None if value != value else value for value in getattr(block.columns, name).tolist()]
