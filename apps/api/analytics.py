"""The doors of `/v1/analytics`, and of the Gateway interface's names for them."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Annotated, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.analytics import asked as spans
from apps.analytics.asked import MOST_DAYS, MOST_DAYS_BY_HOUR, USUAL_DAYS, Asked
from apps.analytics.distribution import Level, RiskDistribution, distribution
from apps.analytics.drift import Drift, drift
from apps.analytics.parties import MOST as USUAL_PARTIES
from apps.analytics.parties import MOST_DAYS as MOST_DAYS_OF_PARTIES
from apps.analytics.parties import Entities, entities
from apps.analytics.patterns import Pattern, Patterns, patterns
from apps.analytics.performance import ModelPerformance, Performance, performance
from apps.analytics.rules import Rules, rules
from apps.analytics.trends import Trends, trends
from apps.api.dialects import DialectView
from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import DIALECT_PROBLEM, Answer, Json, Operation, operation, parameter
from apps.api.parameters import Query, count_in, day_in, one_of, query_of, quoted
from apps.billing.subscriptions.services import plan_for
from apps.errors import Problem, read_all
from apps.scoring.engine.schemas import SCHEMAS
from apps.usage.admission.admission import Admission

USUAL_DAYS_OF_DRIFT = 7
MOST_PARTIES = 100
LONGEST_MODEL = 90
INTERVALS = ("hour", "day")
GATEWAY = "paysim"


class Span(msgspec.Struct, frozen=True):
    """What a query string asks for."""

    start: date
    end: date
    schema: str
    model: str


class AnalyticsView(ApiView):
    """GET: one answer over a span of days. `takes`: parameters beside the span's."""

    takes: ClassVar[tuple[str, ...]] = ()
    usual_days: ClassVar[int] = USUAL_DAYS

    def get(self, request: HttpRequest) -> HttpResponse:
        query, span = self.understood(request, self._read)
        admission = self.admit_only(request)
        self.require_plan(admission)
        asked = Asked(admission.tenant_schema, self.key.livemode, span.start, span.end, span.schema, span.model)
        return json_answer(self.answer(asked, query))

    def answer(self, asked: Asked, query: Query) -> msgspec.Struct:
        raise NotImplementedError

    def require_plan(self, admission: Admission) -> None:
        """Raises `Problem` where the plan does not include it; most are in every plan."""

    def check(self, query: Query) -> None:
        """Raises `Problem` for a parameter of its own."""

    def _read(self, request: HttpRequest) -> tuple[Query, Span]:
        query = query_of(request.META)
        known = ("start", "end", "days", "schema", *self.takes)
        *_, schema, span, model = read_all(
            lambda: _require_known(query, known),
            lambda: self.check(query),
            lambda: one_of(query, "schema", tuple(SCHEMAS)),
            lambda: self._days(query),
            lambda: _model(query) if "model" in known else "",
        )
        return query, Span(span[0], span[1], schema or "", model)

    def _days(self, query: Query) -> tuple[date, date]:
        """From `start` to before `end`; `days` before it without a start. Raises `Problem`."""
        tomorrow = self.now.date() + timedelta(days=1)
        end = day_in(query, "end", tomorrow)
        days = count_in(query, "days", default=self.usual_days, most=MOST_DAYS)
        start = day_in(query, "start", max(end, date.min + timedelta(days=days)) - timedelta(days=days))
        if not start < end or (end - start).days > self._most_days(query):
            raise Problem(
                "field_invalid", f"'start' must be before 'end', by at most {self._most_days(query)} days.", "start"
            )
        return start, end

    def _most_days(self, query: Query) -> int:
        return MOST_DAYS_BY_HOUR if query.get("interval") == "hour" else MOST_DAYS


def _require_known(query: Query, known: Sequence[str]) -> None:
    """A parameter that was misspelt would be one that was left out. Raises `Problem`."""
    for name in query:
        if name not in known:
            there_are = ", ".join(known)
            raise Problem("field_invalid", f"There is no parameter {quoted(name)}; there are {there_are}.", name)


def _model(query: Query) -> str:
    model = query.get("model", "")
    if len(model) > LONGEST_MODEL or not model.isprintable():
        raise Problem("field_invalid", f"'model' takes a name or name@version, not {quoted(model)}.", "model")
    return model


class TrendsView(AnalyticsView):
    """GET: fraud and actions by hour or day."""

    endpoint = "analytics_trends"
    takes = ("interval",)

    def check(self, query: Query) -> None:
        one_of(query, "interval", INTERVALS)

    def answer(self, asked: Asked, query: Query) -> Trends:
        return trends(asked, "hour" if query.get("interval") == "hour" else "day", self.now)


class PatternsView(AnalyticsView):
    """GET: where fraud is found."""

    endpoint = "analytics_patterns"

    def answer(self, asked: Asked, query: Query) -> Patterns:
        return patterns(asked)


class RiskDistributionView(AnalyticsView):
    """GET: how scores are spread."""

    endpoint = "analytics_risk_distribution"

    def answer(self, asked: Asked, query: Query) -> RiskDistribution:
        return distribution(asked)


class ModelPerformanceView(AnalyticsView):
    """GET: what models are worth."""

    endpoint = "analytics_model_performance"
    takes = ("model",)

    def answer(self, asked: Asked, query: Query) -> Performance:
        return performance(asked)


class RulesView(AnalyticsView):
    """GET: what rules do."""

    endpoint = "analytics_rules"

    def answer(self, asked: Asked, query: Query) -> Rules:
        return rules(asked)


class EntitiesView(AnalyticsView):
    """GET: the riskiest parties."""

    endpoint = "analytics_entities"
    takes = ("field", "limit")

    def check(self, query: Query) -> None:
        read_all(
            lambda: one_of(query, "field", FIELDS),
            lambda: count_in(query, "limit", default=USUAL_PARTIES, most=MOST_PARTIES),
        )

    def _most_days(self, query: Query) -> int:
        return MOST_DAYS_OF_PARTIES

    def answer(self, asked: Asked, query: Query) -> Entities:
        most = count_in(query, "limit", default=USUAL_PARTIES, most=MOST_PARTIES)
        return entities(asked, most, query.get("field", ""))


FIELDS = tuple(sorted({field for schema in SCHEMAS.values() for field in schema.searched}))
NAMED = ", ".join(f"`{field}`" for field in FIELDS)


class DriftView(AnalyticsView):
    """GET: how far features and scores are from the data models were made from."""

    endpoint = "analytics_drift"
    takes = ("model",)
    usual_days = USUAL_DAYS_OF_DRIFT

    def require_plan(self, admission: Admission) -> None:
        if "drift" not in plan_for(admission.tenant_id)[0].features:
            raise Problem("plan_lacks_feature", "Drift is told from the Professional plan up.")

    def answer(self, asked: Asked, query: Query) -> Drift:
        return drift(asked)


class FraudTrend(msgspec.Struct, frozen=True):
    """A day's transactions, UTC."""

    date: str
    transactions: int
    fraud: Annotated[int, Meta(description="At level high or critical.")]
    fraud_rate: float | None
    blocked: int


class FraudTrends(msgspec.Struct, frozen=True):
    """Fraud by day, the oldest first."""

    days: int
    trends: list[FraudTrend]


class TransactionPatterns(msgspec.Struct, frozen=True):
    """Where fraud is found, over the days."""

    days: int
    by_type: list[Pattern]
    by_hour: list[Pattern]
    by_amount: list[Pattern]


class GatewayDistribution(msgspec.Struct, frozen=True):
    """Transactions by level of risk, and by whole percent of fraud probability."""

    days: int
    total: int
    distribution: list[Level]
    histogram: list[int]


class GatewayPerformance(msgspec.Struct, frozen=True):
    """Each model, by labels where there are any; `basis` says so."""

    days: int
    basis: Literal["labels", "scores"]
    note: str
    models: list[ModelPerformance]


class GatewayAnalyticsView(DialectView):
    """GET: over the last `days` days (30), of mobile money."""

    scopes: ClassVar = {"GET": "read"}

    def get(self, request: HttpRequest) -> HttpResponse:
        days = self.understood(
            request, lambda request: count_in(query_of(request.META), "days", default=USUAL_DAYS, most=MOST_DAYS)
        )
        admission = self.admit_only(request)
        asked = spans.last_days(admission.tenant_schema, self.key.livemode, days, self.now, GATEWAY)
        return json_answer(self.answer(asked, days))

    def answer(self, asked: Asked, days: int) -> msgspec.Struct:
        raise NotImplementedError


class FraudTrendsView(GatewayAnalyticsView):
    """GET /fraud-trends."""

    endpoint = "fraud_trends"

    def answer(self, asked: Asked, days: int) -> FraudTrends:
        points = trends(asked, "day", self.now).data
        return FraudTrends(
            days,
            [FraudTrend(one.start[:10], one.decisions, one.fraud, one.fraud_rate, one.actions.block) for one in points],
        )


class TransactionPatternsView(GatewayAnalyticsView):
    """GET /transaction-patterns."""

    endpoint = "transaction_patterns"

    def answer(self, asked: Asked, days: int) -> TransactionPatterns:
        found = patterns(asked)
        return TransactionPatterns(days, found.by_category, found.by_hour, found.by_amount)


class GatewayDistributionView(GatewayAnalyticsView):
    """GET /risk-distribution."""

    endpoint = "risk_distribution"

    def answer(self, asked: Asked, days: int) -> GatewayDistribution:
        found = distribution(asked)
        return GatewayDistribution(days, found.decisions, found.levels, found.scores.histogram)


class GatewayPerformanceView(GatewayAnalyticsView):
    """GET /model-performance."""

    endpoint = "model_performance"

    def answer(self, asked: Asked, days: int) -> GatewayPerformance:
        found = performance(asked)
        return GatewayPerformance(days, found.basis, found.note, found.models)


TAG = "Analytics"
_DAY = {"type": "string", "format": "date"}


def _span(usual: int = USUAL_DAYS) -> tuple[Json, ...]:
    days = {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": usual}
    return (
        parameter("days", "query", "Days before `end`, where no `start` is given.", days),
        parameter("start", "query", "First day, UTC.", _DAY),
        parameter("end", "query", "The day after the last (default: tomorrow).", _DAY),
        parameter("schema", "query", "Only this kind of transaction.", {"enum": list(SCHEMAS)}),
    )


_MODEL = parameter("model", "query", "Only this model: name, or name@version.", {"type": "string", "maxLength": 90})
_row = partial(operation, TAG, "GET")
_PROBLEMS = ("field_invalid", "query_invalid")
_GATEWAY_DAYS = parameter(
    "days", "query", "The last days, UTC.",
    {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": USUAL_DAYS},
)  # fmt: skip

OPERATIONS: Sequence[Operation] = (
    _row(
        "/v1/analytics/trends",
        "getTrends",
        "Fraud and actions over time",
        "Decisions, those at level high or critical, and what was recommended, by day or (at most "
        f"{MOST_DAYS_BY_HOUR} days) by hour. From roll-ups kept with each decision, in the key's mode.",
        Answer(Trends, "Points without a gap, the oldest first."),
        parameters=(
            *_span(),
            parameter("interval", "query", "Length of a point.", {"enum": list(INTERVALS), "default": "day"}),
        ),
        problems=_PROBLEMS,
    ),
    _row(
        "/v1/analytics/patterns",
        "getPatterns",
        "Where fraud is found",
        "Decisions by kind of payment, country, hour of the day, band of amounts, kind of fraud and model.",
        Answer(Patterns, "A list a dimension."),
        parameters=_span(),
        problems=_PROBLEMS,
    ),
    _row(
        "/v1/analytics/risk-distribution",
        "getRiskDistribution",
        "How scores are spread",
        "Decisions by level of risk and by whole percent of fraud probability.",
        Answer(RiskDistribution, "Levels and a histogram."),
        parameters=_span(),
        problems=_PROBLEMS,
    ),
    _row(
        "/v1/analytics/model-performance",
        "getModelPerformance",
        "What models are worth",
        "By labels where the span has any: precision, recall, average precision, saved and lost money, with 95 % "
        "intervals, and the share of labels still to come. Else statistics of scores; `basis` says which.",
        Answer(Performance, "All decisions together, and each model."),
        parameters=(*_span(), _MODEL),
        problems=_PROBLEMS,
    ),
    _row(
        "/v1/analytics/rules",
        "getRuleFigures",
        "What rules do",
        "How often each rule is hit and decides, its precision by labels, and which are hit together: two that always "
        "are can be one.",
        Answer(Rules, "Rules that were hit, the most frequent first."),
        parameters=_span(),
        problems=_PROBLEMS,
    ),
    _row(
        "/v1/analytics/entities",
        "getRiskyEntities",
        "The riskiest parties",
        f"Parties with the most decisions at level high or critical in at most {MOST_DAYS_OF_PARTIES} days, by the "
        "field that named them. Counted in a "
        "summary of bounded size: `missed` says how far a count may be off, 0 where it is exact.",
        Answer(Entities, "Parties by field."),
        parameters=(
            *_span(),
            parameter("field", "query", f"Only parties this field named: {NAMED}.", {"type": "string"}),
            parameter(
                "limit",
                "query",
                "Parties a field.",
                {"type": "integer", "minimum": 1, "maximum": MOST_PARTIES, "default": USUAL_PARTIES},
            ),
        ),
        problems=_PROBLEMS,
    ),
    _row(
        "/v1/analytics/drift",
        "getDrift",
        "Drift of features and scores",
        "How far each feature and the score are from the data a model was made from: population stability index and "
        "shares, by kind and model, and since when. From the Professional plan up.",
        Answer(Drift, "Models that decided in these days, the farthest features first."),
        parameters=(*_span(USUAL_DAYS_OF_DRIFT), _MODEL),
        problems=(*_PROBLEMS, "plan_lacks_feature"),
    ),
    *(
        operation(
            "Older interfaces",
            "GET",
            path,
            name,
            f"Gateway: {what}",
            f"{what.capitalize()} of mobile money.",
            Answer(kind, "Over the days."),
            parameters=(_GATEWAY_DAYS,),
            problems=_PROBLEMS,
            problem=DIALECT_PROBLEM,
        )
        for path, name, what, kind in (
            ("/fraud-trends", "listFraudTrends", "fraud by day", FraudTrends),
            ("/transaction-patterns", "listTransactionPatterns", "where fraud is found", TransactionPatterns),
            ("/risk-distribution", "getGatewayDistribution", "how scores are spread", GatewayDistribution),
            ("/model-performance", "getGatewayPerformance", "what models are worth", GatewayPerformance),
        )
    ),
)
