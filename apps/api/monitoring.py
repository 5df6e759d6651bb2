"""The doors of Gateway's monitoring: `/services/status`, `/services` and `/overview`."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api import dependencies
from apps.api.dialects import DialectView
from apps.api.endpoint import json_answer
from apps.api.fields import Moment
from apps.api.operation import DIALECT_PROBLEM, Answer, Operation, operation
from apps.scoring import tallies
from apps.scoring.serving.service import Scoring
from apps.times import rfc3339

State = Literal["ok", "degraded", "away"]
#: More decisions on their way than the recorder stores in a second or two: it is behind.
BEHIND = 50_000


class ServiceState(msgspec.Struct, frozen=True):
    """One part of the service, as it is now."""

    name: str
    status: State
    detail: str


class ServicesStatus(msgspec.Struct, frozen=True):
    """All parts; `status` is the worst of them that scoring can go on with, away when it can't."""

    status: State
    services: list[ServiceState]
    checked_at: Moment


class Services(msgspec.Struct, frozen=True):
    """The parts of the service."""

    services: list[ServiceState]
    count: int


class OverviewDay(msgspec.Struct, frozen=True):
    """The last 24 hours."""

    decisions: int
    fraud: Annotated[int, Meta(description="At level high or critical.")]
    fraud_rate: Annotated[float | None, Meta(description="null without decisions.")]
    by_action: dict[str, int]


class Overview(msgspec.Struct, frozen=True):
    """How the service is, and what was decided."""

    status: State
    services: list[ServiceState]
    last_24_hours: OverviewDay
    checked_at: Moment


class ServicesStatusView(DialectView):
    """GET: each part of the service, and how it is."""

    endpoint = "services_status"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        services = states(self.scoring)
        return json_answer(ServicesStatus(_worst(services), services, rfc3339(self.now)))


class ServicesView(DialectView):
    """GET: the same without a verdict."""

    endpoint = "services"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        services = states(self.scoring)
        return json_answer(Services(services, len(services)))


class OverviewView(DialectView):
    """GET: how the service is, and what was decided in the last 24 hours, to the hour."""

    endpoint = "overview"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        services = states(self.scoring)
        end = self.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        rows = tallies.outcomes(admission.tenant_schema, self.key.livemode, end - timedelta(hours=24), end)
        return json_answer(Overview(_worst(services), services, _day(rows), rfc3339(self.now)))


def states(scoring: Scoring) -> list[ServiceState]:
    """The parts of the service as a customer knows them."""
    up = dependencies.stores(scoring)
    refused = [name for name, state in dependencies.models(scoring).items() if state != "ok"]
    return [
        ServiceState("api", "ok", "It answers."),
        ServiceState("models", "degraded" if refused else "ok", _models(refused)),
        _store("storage", up["postgres"], "Decisions are stored.", "Decisions wait in the journal until it is back."),
        _store("history", up["valkey"], "Limits and recent activity are exact.", "Scored without recent activity."),
        _recording(dependencies.waiting(scoring.journal)),
    ]


def _models(refused: Sequence[str]) -> str:
    return f"Not loaded: {', '.join(refused)}." if refused else "All are loaded."


def _store(name: str, up: bool, well: str, away: str) -> ServiceState:
    return ServiceState(name, "ok" if up else "away", well if up else away)


def _recording(waiting: int | None) -> ServiceState:
    if waiting is None:
        return ServiceState("recording", "away", "The journal can't be reached; decisions are stored directly.")
    detail = f"{waiting} decisions are on their way into storage."
    return ServiceState("recording", "degraded" if waiting > BEHIND else "ok", detail)


def _worst(services: Sequence[ServiceState]) -> State:
    """Scoring goes on with either store: away without both."""
    by_name = {one.name: one.status for one in services}
    if by_name["storage"] == by_name["history"] == "away":
        return "away"
    return "ok" if set(by_name.values()) == {"ok"} else "degraded"


def _day(rows: Sequence[tallies.Outcomes]) -> OverviewDay:
    actions: Counter[str] = Counter()
    for row in rows:
        actions[row.action] += row.decisions
    decisions, fraud = actions.total(), sum(row.fraud for row in rows)
    return OverviewDay(decisions, fraud, fraud / decisions if decisions else None, dict(actions))


TAG = "Older interfaces"
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG, "GET", "/services/status", "servicesStatus", "Gateway: how the service is",
        "Each part, asked now. `away` is said when nothing can be scored.",
        Answer(ServicesStatus, "The parts and the verdict."), problem=DIALECT_PROBLEM,
    ),
    operation(
        TAG, "GET", "/services", "listServices", "Gateway: the parts of the service",
        "Each part, asked now.", Answer(Services, "The parts."), problem=DIALECT_PROBLEM,
    ),
    operation(
        TAG, "GET", "/overview", "overview", "Gateway: the service and what was decided",
        "How each part is, and the decisions of the last 24 hours by action.",
        Answer(Overview, "The overview."), problem=DIALECT_PROBLEM,
    ),
)  # fmt: skip
