"""Analytics: what decisions say together, a view each, drawn; with ways down to the decisions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse

from apps.analytics.asked import Asked, last_days
from apps.analytics.distribution import distribution
from apps.analytics.drift import drift
from apps.analytics.parties import MOST_DAYS, entities
from apps.analytics.patterns import Pattern, patterns
from apps.analytics.performance import ByLabels, performance
from apps.analytics.rules import rules
from apps.analytics.trends import ACTIONS, trends
from apps.billing.subscriptions.services import plan_for
from apps.portal.analytics_files import FILES, columns_of
from apps.portal.export import KINDS as FILE_KINDS
from apps.portal.histogram import histogram
from apps.portal.kinds import KINDS
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.scoring.engine.schemas import SCHEMAS

#: Spans that can be chosen, in days.
SPANS = (1, 7, 30, 90, 365)
USUAL = 30
DAY_S, HOUR_S = 86_400, 3_600
#: Up to so many days are drawn by the hour.
BY_HOUR = 7
#: Features of a model that are shown at first sight, and rows of a list.
FEATURES, ROWS = 12, 12
#: Risky parties of each field at first sight: the file has all.
PARTIES = 8


class View(NamedTuple):
    """A view of the page: its name in the menu, what it says it is, and what its template gets."""

    name: str
    lead: str
    context: Callable[["AnalyticsPage", Asked], dict[str, Any]]


class AnalyticsPage(Page):
    """One view over a span, of one kind of transaction or all."""

    title, template = "Analytics", "portal/pages/analytics.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        kind, name = request.GET.get("export", ""), request.GET.get("file", "")
        if kind in FILE_KINDS and name in FILES[self._view()]:
            return self._exported(kind, name)
        return super().get(request, *args, **kwargs)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        view, span = self._view(), self._span()
        return {
            "views": [(name, one.name) for name, one in VIEWS.items()],
            "view": view,
            "lead": VIEWS[view].lead,
            "part": f"portal/parts/analytics_{view}.html",
            "spans": SPANS,
            "days": self._days(),
            "schema": span.schema,
            "kinds": KINDS,
            "files": FILES[view],
            "file_kinds": FILE_KINDS,
            **VIEWS[view].context(self, span),
        }

    def _view(self) -> str:
        asked = self.request.GET.get("view", "")
        return asked if asked in VIEWS else next(iter(VIEWS))

    def _days(self) -> int:
        return next((one for one in SPANS if str(one) == self.request.GET.get("days")), USUAL)

    def _span(self) -> Asked:
        """Of which days and kind of transaction the page is asked."""
        said = self.request.GET.get("schema", "")
        schema = said if said in SCHEMAS else ""
        return last_days(self.tenant.schema_name, self.livemode, self._days(), self.now, schema)

    def _exported(self, kind: str, name: str) -> StreamingHttpResponse:
        """A view's file. Raises `PermissionDenied` for who may take none along."""
        if not self.may(Permission.EXPORT):
            raise PermissionDenied("Your role can't export.")
        found = VIEWS[self._view()].context(self, self._span()).get("found")
        rows = list(FILES[self._view()][name](found)) if found is not None else []
        names = columns_of(rows)
        media_type, written = FILE_KINDS[kind]
        lines = written(names, ({one: row.get(one) for one in names} for row in rows))
        headers = {"Content-Disposition": f'attachment; filename="analytics-{name}.{kind}"'}
        return StreamingHttpResponse(lines, content_type=media_type, headers=headers)


def decisions_of(asked: Asked, **filters: str) -> str:
    """The list of the decisions behind a figure."""
    said = {"from": str(asked.start), "to": str(asked.days[-1]), "schema": asked.schema, **filters}
    return f"{reverse('decisions')}?{urlencode({name: value for name, value in said.items() if value})}"


def _trends(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    interval = "hour" if len(asked.days) <= BY_HOUR else "day"
    found = trends(asked, "hour" if interval == "hour" else "day", page.now)
    rate = [None if one.fraud_rate is None else round(100 * one.fraud_rate, 3) for one in found.data]
    lines: list[tuple[str, list[tuple[str, Sequence[Any], str]]]] = [
        ("Decisions", [("decisions", [one.decisions for one in found.data], "")]),
        ("Fraud rate, %", [("at level high or critical", rate, "block")]),
        ("Actions", [(name, [getattr(one.actions, name) for one in found.data], name) for name in ACTIONS[1:]]),
    ]
    begin = int(datetime.combine(asked.start, time.min, UTC).timestamp())
    charts = [
        (
            title,
            {"start": begin, "step": HOUR_S if interval == "hour" else DAY_S, "lines": [_line(*one) for one in drawn]},
        )
        for title, drawn in lines
    ]
    counts = [(name, getattr(found.actions, name), decisions_of(asked, recommended_action=name)) for name in ACTIONS]
    return {"found": found, "charts": charts, "shares": [one for one in counts if one[1]]}


def _line(label: str, values: Sequence[Any], look: str) -> dict[str, Any]:
    return {"label": label, "values": values, "look": look}


class Bar(NamedTuple):
    """A row of a list of words, with its share of the largest as a bar."""

    word: str
    pattern: Pattern
    percent: float
    address: str


def _patterns(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    found = patterns(asked)
    groups = (
        ("Kind of payment", found.by_category, lambda _: ""),
        ("Country", found.by_country, lambda _: ""),
        ("Hour of the day, UTC", found.by_hour, lambda _: ""),
        ("Amount from", found.by_amount, lambda one: decisions_of(asked, amount_from=one.value)),
        ("Kind of fraud", found.by_fraud_type, lambda _: ""),
        ("Model", found.by_model, lambda _: ""),
    )
    return {"found": found, "groups": [(title, _bars(rows, address)) for title, rows, address in groups if rows]}


def _bars(rows: Sequence[Pattern], address: Callable[[Pattern], str]) -> list[Bar]:
    most = max(one.decisions for one in rows)
    shown = rows if len(rows) <= 24 else rows[:ROWS]
    return [Bar(one.value, one, round(100 * one.decisions / most, 1), address(one)) for one in shown]


def _scores(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    found = distribution(asked)
    levels = [(one, 100 * (one.share or 0), decisions_of(asked, risk_level=one.level)) for one in found.levels]
    return {"found": found, "levels": levels, "histogram": histogram(found.scores.histogram, {})}


def _models(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    found = performance(asked)
    models = ((one.model, one.decisions, one.by_labels) for one in found.models)
    rows = [("All", found.decisions, found.overall), *models]
    return {"found": found, "measured": [(name, count, by, _measures(by)) for name, count, by in rows]}


def _measures(by: ByLabels | None) -> list[Any]:
    return [] if by is None else [by.precision, by.recall, by.false_positive_rate, by.average_precision]


def _rules(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    found = rules(asked)
    return {"found": found, "rows": [(one, decisions_of(asked, rule=one.rule)) for one in found.data]}


def _entities(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    asked = asked._replace(start=max(asked.start, asked.end - timedelta(days=MOST_DAYS)))
    found = entities(asked)
    every = decisions_of(asked)
    fields = [
        (one, [(party, f"{every}&{urlencode({'party': party.value})}") for party in one.data[:PARTIES]])
        for one in found.fields
        if one.data
    ]
    return {"found": found, "fields": fields}


def _drift(page: AnalyticsPage, asked: Asked) -> dict[str, Any]:
    if "drift" not in plan_for(page.tenant.pk)[0].features:
        return {"included": False}
    return {"included": True, "found": drift(asked), "shown": FEATURES}


#: Address → view, the first one being opened at first.
VIEWS: Mapping[str, View] = {
    "trends": View("Trends", "Decisions, fraud found and actions over time.", _trends),
    "patterns": View("Patterns", "Where fraud is found: at level high or critical.", _patterns),
    "scores": View("Scores", "How fraud probabilities are spread.", _scores),
    "models": View("Models", "What models are worth, by labels where there are any.", _models),
    "rules": View("Rules", "How often rules are hit, what labels say of them, and which are hit together.", _rules),
    "entities": View(
        "Risky parties",
        f"Parties with the most decisions at level high or critical, of at most {MOST_DAYS} days.",
        _entities,
    ),
    "drift": View("Drift", "How far features and scores are from the data each model was made from.", _drift),
}
