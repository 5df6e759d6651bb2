"""What rules do: how often each is hit, what labels say of it, and which are hit together."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from apps.analytics import patterns
from apps.analytics.added_up import added_up
from apps.analytics.asked import Asked
from apps.analytics.intervals import Interval, wilson
from apps.analytics.replica import reading_in
from apps.analytics.trends import Rate, rate
from apps.scoring.folds import RULE_MONTHS

#: Labels that tell of rules: the last ones.
MOST_LABELS = 2_000
MOST_PAIRS = 20
#: (rule, "" or another hit with it) → decisions, of them risky, of them decided by it.
Hits = Mapping[tuple[str, str], tuple[int, ...]]
_LABELLED = """
SELECT rule, count(*) FILTER (WHERE label = 'fraud'), count(*)
FROM (SELECT label, rules_hit FROM review_label
      WHERE holds AND livemode = %s AND decided_at >= %s AND decided_at < %s AND (%s = '' OR schema = %s)
      ORDER BY decided_at DESC LIMIT %s) labels, unnest(rules_hit) rule
GROUP BY 1
"""


class RuleFigures(msgspec.Struct, frozen=True):
    """A rule. `fraud`: hits in decisions at level high or critical; precision is of labelled decisions."""

    rule: str
    decisions: Annotated[int, Meta(description="On which it was hit.")]
    hit_rate: Rate
    fraud: int
    decided: Annotated[int, Meta(description="Decisions it was decisive for.")]
    labelled: Annotated[int, Meta(description=f"Of the last {MOST_LABELS:,} labels of the span.")]
    precision: Annotated[float | None, Meta(description="Labelled frauds of its labelled hits; null without any.")]
    precision_95: Annotated[Interval | None, Meta(description="Wilson's interval.")]


class Pair(msgspec.Struct, frozen=True):
    """Two rules that were hit on the same decisions."""

    rules: tuple[str, str]
    decisions: int
    overlap: Annotated[float, Meta(description="Of the decisions on which either was hit (Jaccard).")]
    always: Annotated[bool, Meta(description="Neither was ever hit without the other: one of them is enough.")]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that were hit, the most frequent first."""

    object: Literal["rules"] = "rules"
    livemode: bool
    schema: str | None
    start: str
    end: str
    decisions: int
    data: list[RuleFigures]
    together: Annotated[list[Pair], Meta(description=f"Pairs, the most overlapping first; at most {MOST_PAIRS}.")]


def rules(asked: Asked) -> Rules:
    """Hits, precision and pairs over the days."""
    total = sum(count for _, _, count, *_ in patterns.words(asked, ("level",)))
    hits = _hits(asked)
    labelled = _labelled(asked)
    alone = {rule: counts for (rule, other), counts in hits.items() if not other}
    data = [
        _figures(rule, counts, total, *labelled.get(rule, (0, 0)))
        for rule, counts in sorted(alone.items(), key=lambda item: (-item[1][0], item[0]))
    ]
    return Rules(
        livemode=asked.livemode, schema=asked.schema or None, start=str(asked.start), end=str(asked.end),
        decisions=total, data=data, together=_pairs(hits),
    )  # fmt: skip


def _hits(asked: Asked) -> Hits:
    return {(rule, other): tuple(counts) for rule, other, *counts in added_up(asked, RULE_MONTHS, ("rule", "other"))}


def _labelled(asked: Asked) -> dict[str, tuple[int, int]]:
    """Rule → labelled frauds and labels among the decisions on which it was hit."""
    span: list[Any] = [asked.livemode, asked.begin, asked.until, asked.schema, asked.schema, MOST_LABELS]
    with reading_in(asked.tenant_schema) as connection, connection.cursor() as cursor:
        cursor.execute(_LABELLED, span)
        return {rule: (frauds, labels) for rule, frauds, labels in cursor.fetchall()}


def _figures(rule: str, counts: tuple[int, ...], total: int, frauds: int, labels: int) -> RuleFigures:
    decisions, fraud, decided = counts
    return RuleFigures(
        rule, decisions, rate(decisions, total), fraud, decided, labels, rate(frauds, labels), wilson(frauds, labels)
    )


def _pairs(hits: Hits) -> list[Pair]:
    """Pairs by how much of what either is hit on is hit by both."""
    found = []
    for (one, other), (both, *_) in hits.items():
        if other:
            either = hits.get((one, ""), (both,))[0] + hits.get((other, ""), (both,))[0] - both
            found.append(Pair((one, other), both, round(both / either, 6) if either else 1.0, both == either))
    return sorted(found, key=lambda pair: (-pair.overlap, -pair.decisions, pair.rules))[:MOST_PAIRS]
