"""What the verdicts on a case amount to. Pure.

one is enough ─────────────────────────────────► resolved
two are needed:  the first ─► second_review ─► the second agrees ─► resolved
                                            └► it does not ─► disputed ─► a third, an admin's ─► resolved
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, get_args

Resolution = Literal["fraud", "legitimate", "unsure"]
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
State = Literal["open", "second_review", "disputed", "resolved"]


class Given(Protocol):
    """A verdict, in the order in which they were given."""

    reviewer: str
    resolution: str


class Outcome(NamedTuple):
    """Where a case stands; `resolution` is "" until it is resolved."""

    state: State
    resolution: str = ""


def outcome(verdicts: Sequence[Given], needed: int) -> Outcome:
    """What these verdicts, each of another person, make of a case that needs one or two."""
    if not verdicts:
        return Outcome("open")
    first, *others = verdicts
    if needed == 1:
        return Outcome("resolved", verdicts[-1].resolution)
    if others and others[0].resolution == first.resolution:
        return Outcome("resolved", first.resolution)
    if not others:
        return Outcome("second_review")
    if len(others) == 1:
        return Outcome("disputed")
    return Outcome("resolved", others[1].resolution)


def refusal(state: str, verdicts: Sequence[Given], reviewer: str, may_settle: bool) -> str:
    """Why a reviewer can't give the next verdict, "" when they can."""
    if any(one.reviewer == reviewer for one in verdicts):
        return "It takes another person: you have said already what you make of it."
    if state == "disputed" and not may_settle:
        return "Two reviewers do not agree: an admin settles it."
    return ""
