"""What each view of Analytics is as a file: every row behind what is drawn, a struct of the analytics a row. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from apps.analytics.distribution import RiskDistribution
from apps.analytics.drift import Drift
from apps.analytics.parties import Entities
from apps.analytics.patterns import Patterns
from apps.analytics.performance import Performance
from apps.analytics.rules import Rules
from apps.analytics.trends import Trends

Row = dict[str, Any]
BANDS = 100
#: The groups of patterns, each a list of it called `by_` and its name.
GROUPS = ("category", "country", "hour", "amount", "fraud_type", "model")


def flat(told: Mapping[str, Any], begins: str = "") -> Row:
    """A row of plain values: what lies inside another value is called by both names, the ends of an interval by low
    and high."""
    row: Row = {}
    for name, value in told.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{begins}{name}_")
        elif name.endswith("_95"):
            row |= dict(zip((f"{begins}{name}_low", f"{begins}{name}_high"), value or (None, None), strict=True))
        else:
            row[f"{begins}{name}"] = value
    return row


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The names of all rows, in the order they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _each(structs: Sequence[msgspec.Struct], **beside: Any) -> Iterator[Row]:
    for one in structs:
        yield beside | flat(msgspec.to_builtins(one))


def _trends(found: Trends) -> Iterator[Row]:
    return _each(found.data)


def _patterns(found: Patterns) -> Iterator[Row]:
    for name in GROUPS:
        yield from _each(getattr(found, f"by_{name}"), by=name)


def _levels(found: RiskDistribution) -> Iterator[Row]:
    return _each(found.levels)


def _scores(found: RiskDistribution) -> Iterator[Row]:
    for band, decisions in enumerate(found.scores.histogram):
        yield {"from": band / BANDS, "to": (band + 1) / BANDS, "decisions": decisions}


def _models(found: Performance) -> Iterator[Row]:
    if found.overall is not None:
        yield {"schema": None, "model": "all", "decisions": found.decisions} | flat(
            {"by_labels": msgspec.to_builtins(found.overall)}
        )
    yield from _each(found.models)


def _rules(found: Rules) -> Iterator[Row]:
    return _each(found.data)


def _together(found: Rules) -> Iterator[Row]:
    return _each(found.together)


def _parties(found: Entities) -> Iterator[Row]:
    for one in found.fields:
        yield from _each(one.data, missed=one.missed)


def _features(found: Drift) -> Iterator[Row]:
    for one in found.data:
        for row in _each([one.score, *one.features], schema=one.schema, model=one.model):
            row.pop("bins")
            yield row


#: View → its files by name, and the rows of each.
FILES: Mapping[str, Mapping[str, Callable[[Any], Iterator[Row]]]] = {
    "trends": {"trends": _trends},
    "patterns": {"patterns": _patterns},
    "scores": {"levels": _levels, "scores": _scores},
    "models": {"models": _models},
    "rules": {"rules": _rules, "together": _together},
    "entities": {"parties": _parties},
    "drift": {"features": _features},
}
