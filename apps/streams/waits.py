"""Which refusals a message waits out, and how long; all others are its last word. Pure.

The gate's rules hold for streams as for calls; what a caller is told to try again, a stream tries again by itself.
"""

from collections.abc import Mapping
from typing import NamedTuple

from apps.errors import Problem


class Wait(NamedTuple):
    """Seconds until the next try where the refusal does not say, and what to tell the person at the log."""

    seconds: float
    said: str


WAITS: Mapping[str, Wait] = {
    "rate_limited": Wait(0.5, "the tenant's rate limit is reached; its messages wait"),
    "quota_exceeded": Wait(5.0, "the volume of the month is used up; messages wait until there is more"),
    "journal_full": Wait(2.0, "the journal is full; messages wait until the recorder has caught up"),
    "stores_away": Wait(2.0, "a store is away; messages wait"),
    "server_busy": Wait(1.0, "the server is busy; messages wait"),
}
#: A gate that says "in 4 ms" is not asked sooner than this, one that says "in an hour" not later.
SHORTEST, LONGEST = 0.02, 30.0


def wait_of(problem: Problem) -> float | None:
    """Seconds to wait until the message is tried again; None when it is refused for good."""
    wait = WAITS.get(problem.code)
    if wait is None:
        return None
    return min(max(problem.retry_after or wait.seconds, SHORTEST), LONGEST)


def room_left(problem: Problem) -> int:
    """Units that a lot refused for its size may still have; 0 when there are none, or it was refused for another cause.

    Quota and spend cap are all or nothing: of a lot that reaches beyond, the first messages still fit.
    """
    if problem.code != "quota_exceeded":
        return 0
    most = problem.extra.get("included", problem.extra.get("allowed", 0))
    used = problem.extra.get("used", 0)
    return max(most - used, 0) if isinstance(most, int) and isinstance(used, int) else 0
