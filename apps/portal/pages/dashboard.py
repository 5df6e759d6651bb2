"""The overview: what was decided, how fast, what failed, what it costs, what is open."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from apps.portal.open_points import open_points
from apps.portal.page import Page
from apps.portal.spans import SPANS, USUAL, Points, change
from apps.scoring import tallies
from apps.scoring.serving import decisions
from apps.scoring.serving.decision_formats import answer_of
from apps.scoring.tallies import Outcomes
from apps.usage.admission import refused_calls
from apps.usage.statements import activity, reports
from apps.usage.statements.activity import Steps, percentile_ms

#: What was not waved through, in the order of severity.
FLAGGED = ("challenge", "review", "block")
NEWEST = 8


class Figure(NamedTuple):
    """A card: its value in words, how it compares with the span before, and whether that is bad news."""

    label: str
    value: str
    note: str = ""
    change: str = ""
    worse: bool = False


class DashboardPage(Page):
    """The chosen span beside the one before it."""

    title, template = "Overview", "portal/pages/dashboard.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        asked = self.request.GET.get("span", "")
        name = asked if asked in SPANS else USUAL
        points = Points(SPANS[name], self.now)
        within = (points.before, points.end, points.span.by)
        outcomes = tallies.outcomes(self.tenant.schema_name, self.livemode, *within)
        times = activity.answer_times(
            self.tenant.pk, self.livemode, points.before, points.start, points.end, points.span.step
        )
        refused = refused_calls.by_hour(self.tenant.handle, self.livemode, points.before, points.end)
        month = reports.brief(self.tenant.pk, self.now)
        decided, decided_before = points.of((one.moment, one.decisions) for one in outcomes)
        worst = decisions.page(
            self.tenant.schema_name, self.livemode, {"recommended_action__in": FLAGGED}, None, NEWEST
        )
        return {
            "name": name,
            "spans": SPANS,
            "span": points.span,
            "total": int(sum(decided)),
            "figures": [
                _decisions(decided, decided_before),
                *_shares(points, outcomes),
                _answer_time(points, times),
                _refused(points, refused, sum(decided), sum(decided_before)),
            ],
            "month": month,
            "open_points": open_points(self.tenant, month, self.now),
            "flagged": [msgspec.json.decode(answer_of(row)) for row in worst.rows],
            "charts": _charts(points, outcomes, times, decided, decided_before),
        }


def _decisions(now: Sequence[float], before: Sequence[float]) -> Figure:
    more = change(sum(now), sum(before))
    note = "nothing in the span before" if more is None else "than in the span before"
    return Figure("Decisions", f"{int(sum(now)):,}", note, "" if more is None else f"{more:+.0f} %")


def _shares(points: Points, outcomes: Sequence[Outcomes]) -> list[Figure]:
    """Shares of decisions: fraud, and what was not approved."""
    parts: dict[str, Counter[bool]] = {"all": Counter(), "fraud": Counter(), "flagged": Counter()}
    for one in outcomes:
        now = one.moment >= points.start
        parts["all"][now] += one.decisions
        parts["fraud"][now] += one.fraud
        parts["flagged"][now] += one.decisions if one.action in FLAGGED else 0
    return [
        _share("Fraud rate", "at level high or critical", parts["fraud"], parts["all"]),
        _share("Not approved", "challenged, reviewed or blocked", parts["flagged"], parts["all"]),
    ]


def _share(label: str, note: str, part: Counter[bool], whole: Counter[bool]) -> Figure:
    now, before = (100 * part[one] / whole[one] if whole[one] else None for one in (True, False))
    if now is None:
        return Figure(label, "–", note)
    more = "" if before is None else f"{now - before:+.2f} points"
    return Figure(label, f"{now:.2f} %", note, more, worse=before is not None and now > before)


def _answer_time(points: Points, times: dict[datetime, Steps]) -> Figure:
    spans: dict[bool, Steps] = {True: Counter(), False: Counter()}
    for moment, steps in times.items():
        spans[moment >= points.start].update(steps)
    half, most, before = (
        percentile_ms(spans[True], 0.5),
        percentile_ms(spans[True], 0.95),
        percentile_ms(spans[False], 0.95),
    )
    if half is None or most is None:
        return Figure("Answer time", "–", "95 of 100 within")
    more = change(most, before) if before else None
    said = "" if more is None else f"{more:+.0f} %"
    return Figure(
        "Answer time", f"{most:.2g} ms", f"95 of 100 within; half within {half:.2g} ms", said, bool(more and more > 0)
    )


def _refused(points: Points, refused: dict[datetime, int] | None, decided: float, decided_before: float) -> Figure:
    if refused is None:
        return Figure("Errors", "–", "not known just now")
    now, before = (sum(side) for side in points.of(refused.items()))
    share = 100 * now / (now + decided) if now + decided else 0.0
    share_before = 100 * before / (before + decided_before) if before + decided_before else None
    more = "" if share_before is None else f"{share - share_before:+.2f} points"
    return Figure("Errors", f"{int(now):,}", f"{share:.2f} % of calls for scoring", more, share > (share_before or 0.0))


def _charts(
    points: Points, outcomes: Sequence[Outcomes], times: dict[datetime, Steps], now: list[float], before: list[float]
) -> list[dict[str, Any]]:
    """What is drawn: a title, what it says in words, and the lines. See static/charts.js."""
    actions = {
        action: points.of((one.moment, one.decisions) for one in outcomes if one.action == action)[0]
        for action in FLAGGED
    }
    fraud = points.of((one.moment, one.fraud) for one in outcomes)[0]
    rate = [round(100 * part / whole, 3) if whole else None for part, whole in zip(fraud, now, strict=True)]
    at: list[Steps] = [Counter() for _ in range(points.span.points)]
    for moment, steps in times.items():
        if 0 <= (place := points.place(moment)) < len(at):
            at[place].update(steps)
    half, most = ([_rounded(percentile_ms(steps, share)) for steps in at] for share in (0.5, 0.95))
    return [
        _chart(points, "Decisions", [("this span", now), ("the span before", before, "before")]),
        _chart(points, "Not approved", [(action, values, action) for action, values in actions.items()]),
        _chart(points, "Fraud rate, %", [("of decisions", rate, "block")]),
        _chart(
            points,
            "Answer time, ms",
            [("half within", half), ("95 of 100 within", most, "review")],
        ),
    ]


def _chart(points: Points, title: str, lines: Sequence[Sequence[Any]]) -> dict[str, Any]:
    drawn = {
        "start": int(points.start.timestamp()),
        "step": int(points.span.step.total_seconds()),
        "lines": [
            {"label": label, "values": values, "look": look[0] if look else ""} for label, values, *look in lines
        ],
    }
    return {"title": title, "drawn": drawn}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
