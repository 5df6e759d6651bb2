"""What rules ask of the tenant's lists: found when they are compiled, answered before they are evaluated.

The engine reads no list. Whoever decides asks for the checks of the policy (`apps/scoring/lists`) and hands the answers
on; a check without an answer is unknown, and a rule that needs it says "error" and decides nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple


class ListCheck(NamedTuple):
    """Whether what a transaction holds in `field` is in the tenant's list of the name `list`."""

    list: str
    field: str


#: The answers for one transaction. A check that is not in it is unknown; a value that was not sent is in no list.
KnownLists = Mapping[ListCheck, bool]
