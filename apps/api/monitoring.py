"""The doors of Gateway's monitoring: `/services/status`, `/services` and `/overview`."""

from collections import Counter
from collections.abc import Mapping, Sequence
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
from apps.sla import status
from apps.sla.status_shapes import PartCondition, PartStatus
from apps.times import rfc3339

State = Literal["ok", "degraded", "away", "maintenance", "unknown"]
#: More decisions on their way than the recorder stores in a second or two: it is behind.
BEHIND = 50_000


#: Part of the service → its name in the prober's table (apps/sla/parts.py). The first ones are also asked now.
PROBED: Mapping[str, str] = {
    "api": "api", "storage": "postgres", "history": "valkey", "recording": "recorder",
    "portal": "portal", "background_work": "worker", "schedule": "beat", "payments": "stripe",
}  # fmt: skip
_CONDITIONS: Mapping[PartCondition, tuple[State, str]] = {
    "ok": ("ok", "The last probe was answered."),
    "down": ("away", "Its probes fail."),
    "maintenance": ("maintenance", "In announced maintenance."),
    "unknown": ("unknown", "Not probed just now."),
}


class ServiceState(msgspec.Struct, frozen=True):
    """One part of the service, as it is now."""

    name: str
    status: Annotated[State, Meta(description="unknown: no probe can tell, or none runs.")]
    detail: str
    incident: Annotated[str | None, Meta(description="The id of the one that is open: see `GET /v1/incidents`.")] = None
    availability_percent: Annotated[
        str | None, Meta(description="Of 90 days, by probes every 30 seconds. null: it was not probed.")
    ] = None


class ServicesStatus(msgspec.Struct, frozen=True):
    """All parts; `status` is degraded when one of them is not well, and away when nothing can be scored."""

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
    """The parts of the service as a customer knows them: as they answer now, and as the prober finds them."""
    asked = {one.name: one for one in _asked(scoring)}
    found = status.published()
    probed = {part.name: part for part in found.parts} if found else {}
    open_ones = {one.part: one.id for one in found.incidents if one.status == "open"} if found else {}
    return [
        _state(name, asked.get(name), probed.get(part), open_ones.get(part))
        for name, part in {**dict.fromkeys(asked, ""), **PROBED}.items()
    ]


def _state(name: str, asked: ServiceState | None, probed: PartStatus | None, incident: str | None) -> ServiceState:
    """What was asked now goes first; of a part that answers here while an incident is open: degraded."""
    condition, says = _CONDITIONS[probed.status if probed else "unknown"]
    if asked is None:
        state = ServiceState(name, condition, says)
    elif asked.status == "ok" and incident:
        state = ServiceState(name, "degraded", f"{asked.detail} {says}")
    else:
        state = asked
    percent = probed.availability_percent if probed else None
    return msgspec.structs.replace(state, incident=incident, availability_percent=percent)


def _asked(scoring: Scoring) -> list[ServiceState]:
    """The parts that scoring needs, asked now."""
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
    """Scoring goes on with either store: away without both. What is not known is not held against it."""
    by_name = {one.name: one.status for one in services}
    if by_name["storage"] == by_name["history"] == "away":
        return "away"
    return "degraded" if {"away", "degraded"} & set(by_name.values()) else "ok"


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
        "Each part: those that scoring needs asked now, all of them as the prober finds them every 30 seconds. `away` "
        "is said when nothing can be scored.",
        Answer(ServicesStatus, "The parts and the verdict."), problem=DIALECT_PROBLEM,
    ),
    operation(
        TAG, "GET", "/services", "listServices", "Gateway: the parts of the service",
        "Each part, as in `GET /services/status`.", Answer(Services, "The parts."), problem=DIALECT_PROBLEM,
    ),
    operation(
        TAG, "GET", "/overview", "overview", "Gateway: the service and what was decided",
        "How each part is, and the decisions of the last 24 hours by action.",
        Answer(Overview, "The overview."), problem=DIALECT_PROBLEM,
    ),
)  # fmt: skip
