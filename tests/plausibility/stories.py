"""Reads the transactions and stories of `<schema>.yaml`. One file a schema; the words of the files:

`sets` are fields that are sent together, by name. `send` lists sets by name and fields of its own, the later winning;
a null takes a field out. `{n}` in a text is the number of the payment. `pasts` are months before, `past` names one.
`at` moves to the next such time of day, `after` (40s, 5m, 2h, 3d) waits. A case is a story of one step. `band` names
the answer that is due (`BANDS`), `why` says why; `riskier_than` names a case of the file that must not come out
higher; `rises` says that the probability never falls from step to step; `hits` and `misses` are rules, `warns` and
`says` words in a warning or a reason.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

FOLDER = Path(__file__).parent
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Band(NamedTuple):
    """Where the probability must lie, both ends included, and which actions are due."""

    least: float
    most: float
    actions: frozenset[str]


ANYTHING = frozenset({"approve", "review", "challenge", "block"})
#: From what everybody does every day to what nobody does but a thief.
BANDS = {
    "honest": Band(0.0, 0.05, frozenset({"approve"})),
    "base": Band(0.0, 0.10, frozenset({"approve"})),  # where 3.5 % are frauds and nothing is known
    "fine": Band(0.0, 0.15, frozenset({"approve"})),
    "watched": Band(0.0, 0.30, frozenset({"approve", "review"})),
    "unusual_or_fine": Band(0.0, 0.70, frozenset({"approve", "review", "challenge"})),
    "unusual": Band(0.05, 0.70, frozenset({"approve", "review", "challenge"})),
    "suspicious": Band(0.30, 1.0, frozenset({"review", "challenge", "block"})),
    "alarming": Band(0.50, 1.0, frozenset({"review", "challenge", "block"})),
    "theft": Band(0.70, 1.0, frozenset({"challenge", "block"})),
    "blocked": Band(0.0, 1.0, frozenset({"block"})),  # by a rule, whatever the model says
}


class Past(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`each_week` payments a week over the last `days`, of amounts and at hours drawn between two."""

    days: float
    each_week: float
    amounts: tuple[float, float]
    hours: tuple[float, float]
    send: tuple[str | dict[str, Any], ...]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One payment, or `times` alike, `after` the one before."""

    send: tuple[str | dict[str, Any], ...]
    band: str | None = None
    at: str | None = None
    after: str = "0s"
    times: int = 1
    hits: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    warns: str = ""
    says: str = ""


class Case(Step, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A story of one payment."""

    id: str
    why: str
    past: str | None = None
    riskier_than: str | None = None


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    why: str
    steps: tuple[Step, ...]
    past: str | None = None
    rises: bool = False
    riskier_than: str | None = None


class Suite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All there is of a schema."""

    schema: str
    begins: datetime
    cases: tuple[Case, ...]
    stories: tuple[Story, ...]
    sets: dict[str, dict[str, Any]] = {}
    pasts: dict[str, tuple[Past, ...]] = {}
    policy: dict[str, Any] = {}

    @property
    def begins_ms(self) -> int:
        return int(self.begins.astimezone(UTC).timestamp() * 1000)

    def all(self) -> tuple[Story, ...]:
        """The cases as stories of one step, and the stories."""
        return (*(as_story(case) for case in self.cases), *self.stories)

    def sent(self, what: tuple[str | dict[str, Any], ...]) -> dict[str, Any]:
        """The fields that are sent: of the sets named and of those told, the later winning."""
        fields: dict[str, Any] = {}
        for part in what:
            fields |= self.sets[part] if isinstance(part, str) else part
        return fields


@cache
def suite(schema: str) -> Suite:
    return msgspec.yaml.decode((FOLDER / f"{schema}.yaml").read_bytes(), type=Suite)


def as_story(case: Case) -> Story:
    step = Step(**{name: getattr(case, name) for name in Step.__struct_fields__})
    return Story(case.id, case.why, (step,), case.past, riskier_than=case.riskier_than)


def seconds(said: str) -> int:
    """40s, 5m, 2h or 3d in seconds."""
    return int(said[:-1]) * UNITS[said[-1]]
