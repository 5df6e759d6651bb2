"""When probes that fail become an incident, and when it is over. Pure.

3 probes in a row fail       an incident opens; it began with the first of them
2 probes in a row are well   it closes; it ended with the first of them
a probe that can't tell      changes nothing
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

#: Seconds between two rounds of probes.
EVERY = 30
#: A longer pause between two rounds is no data.
LONGEST_PAUSE = 3 * EVERY
OPENS_AFTER = 3
CLOSES_AFTER = 2


@dataclass(frozen=True)
class Look:
    """What a probe found of a part. `up` is None when it could not tell; `ms`: how long it took."""

    part: str
    second: int
    up: bool | None
    ms: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Watched:
    """What is remembered of a part: how many probes in a row said the same, and since when."""

    up: bool | None = None
    in_a_row: int = 0
    since: int = 0
    incident: bool = False


class Change(NamedTuple):
    """An incident that opens or closes; `second` is when it began or ended."""

    kind: Literal["opened", "closed"]
    second: int


def watched(before: Watched, look: Look) -> tuple[Watched, Change | None]:
    """What is known after a probe, and the incident that opens or closes by it."""
    if look.up is None:
        return before, None
    same = look.up == before.up
    now = Watched(look.up, before.in_a_row + 1 if same else 1, before.since if same else look.second, before.incident)
    if not now.incident and not look.up and now.in_a_row >= OPENS_AFTER:
        return replace(now, incident=True), Change("opened", now.since)
    if now.incident and look.up and now.in_a_row >= CLOSES_AFTER:
        return replace(now, incident=False), Change("closed", now.since)
    return now, None
