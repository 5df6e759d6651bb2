"""Snoozes: one entity that a rule leaves alone until a time. Pure.

A rule that hits a transaction of a snoozed entity is counted as a shadow, not told, and decides nothing. Time is when
the request came, so a decision that is made again comes out the same.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.scoring.engine.operations import instant
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.rules import RuleId
from apps.text import recognised

MOST_SNOOZES = 200


class Snooze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `rule` leaves alone: transactions with `value` in `field`, as one recognises it, until a time."""

    rule: RuleId
    field: Annotated[str, Meta(min_length=1, max_length=64)]
    value: Annotated[str, Meta(min_length=1, max_length=256)]
    until: datetime

    def holds(self, values: Mapping[str, Any], came_ms: int) -> bool:
        """Whether it is in force for a transaction with these values that came then (ms since 1970)."""
        return came_ms < instant(self.until) and name_of(values[self.field]) == recognised(self.value)


def name_of(value: Any) -> str:
    """What an entity is recognised by; "" for what was not sent."""
    return "" if value is None else party_name(value)


def by_rule(snoozes: Iterable[Snooze], known: Mapping[str, Any]) -> dict[str, tuple[Snooze, ...]]:
    """Rule → its snoozes, of those whose field is `known`."""
    found: dict[str, tuple[Snooze, ...]] = {}
    for one in snoozes:
        if one.field in known:
            found[one.rule] = (*found.get(one.rule, ()), one)
    return found
