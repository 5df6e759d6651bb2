"""The doors of simulations: `/v1/policies/simulate` begins one, `/v1/simulations…` tells of it and what came out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.analytics.asked import MOST_DAYS, USUAL_DAYS
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.list_filters import Filters, asked_for, described, words
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, id_in_path, operation, page_of
from apps.api.parameters import page_in, query_of
from apps.api.policies import TAG, read_policy
from apps.api_keys.gate import Admission
from apps.errors import Problem
from apps.scoring import policies
from apps.scoring.engine.block import ACTIONS
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.lists.reads import types_of
from apps.simulation import services
from apps.simulation.curves import Costs
from apps.simulation.models import Flip, Simulation
from apps.simulation.tally import Outcome
from apps.simulation.tasks import simulate
from apps.times import rfc3339, rfc3339_or_none

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where levels and actions would begin; what is left out stays."""

    medium: Share | None = None
    high: Share | None = None
    critical: Share | None = None
    review_at: Share | None = None
    block_at: Share | None = None


class NewSimulation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What is to be held against which decisions. What is left out of the policy stays as it is in force."""

    version: Annotated[int, Meta(ge=0, description="Begin with this version, not the one in force.")] | None = None
    policy: Annotated[
        dict[str, Any],
        Meta(
            description="Members of a policy, as `publishPolicy` takes them.",
            extra_json_schema={"additionalProperties": True},
        ),
    ] = {}
    rules: Annotated[list[Any] | None, Meta(description="Rules in place of those in force.")] = None
    thresholds: Thresholds = Thresholds()
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS, description="The last days, today being one of them.")] | None = None
    from_: Annotated[str | None, Meta(description="A day (UTC), such as 2026-10-01, in place of `days`.")] = None
    to: Annotated[str | None, Meta(description="The day behind the last one; tomorrow, unless told.")] = None
    schema: Literal[tuple(SCHEMAS)] | None = None  # type: ignore[valid-type]  # a table's names
    costs: Costs = Costs()


class SimulationAnswer(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A simulation. `outcome` is there when it is completed."""

    id: str
    object: Literal["simulation"] = "simulation"
    livemode: bool
    state: Literal["queued", "running", "completed", "failed"]
    progress: Annotated[int, Meta(description="Percent.")]
    error: str | None
    against: Annotated[int, Meta(description="The version that was in force when it was asked for.")]
    from_: Moment
    to: Moment
    schema: str | None
    costs: Costs
    asked_at: Moment
    asked_by: str
    finished_at: Moment | None
    outcome: Outcome | None


class SimulationPage(msgspec.Struct, frozen=True):
    """Simulations, the newest first."""

    object: Literal["list"]
    data: list[SimulationAnswer]
    has_more: bool
    next_cursor: NextCursor


class FlipAnswer(msgspec.Struct, frozen=True):
    """A decision that would come out otherwise."""

    object: Literal["flip"]
    decision: str
    transaction_id: str
    schema: str
    decided_at: Moment
    amount: float
    fraud_probability: float | None
    before: str
    after: str
    decisive_before: Annotated[str, Meta(description="What decided: kind:id.")]
    decisive_after: str
    label: Annotated[str | None, Meta(description="What is known of it by now.")]


class FlipPage(msgspec.Struct, frozen=True):
    """Decisions that would come out otherwise, in the order of deciding."""

    object: Literal["list"]
    data: list[FlipAnswer]
    has_more: bool
    next_cursor: NextCursor


class _SimulationsView(ApiView):
    """Reading and simulating take `read`: nothing that decides is changed."""

    scopes: ClassVar = {"GET": "read", "POST": "read"}

    def tenant(self, admission: Admission) -> Tenant:
        return Tenant.objects.get(pk=admission.tenant_id)

    def simulation(self, admission: Admission, simulation_id: str) -> Simulation:
        """One of the mode of the key. Raises `Problem` (404)."""
        found = services.find(admission.tenant_schema, self.key.livemode, simulation_id)
        if found is None:
            raise Problem("not_found")
        return found


class SimulateView(_SimulationsView):
    """POST: begin one."""

    endpoint = "policy_simulate"
    http_method_names = ["post"]
    body_limit = 5_000_000

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.decoded(request, NewSimulation)
        admission = self.admit_only(request)
        tenant = self.tenant(admission)
        begin, end = self._span(asked)
        made = services.start(
            tenant=tenant,
            livemode=self.key.livemode,
            policy=_draft(tenant, asked),
            begin=begin,
            end=end,
            schema=asked.schema or "",
            costs=asked.costs,
            now=self.now,
            actor=admission.actor,
            later=simulate.delay,
        )
        response = json_answer(_told(made))
        response.status_code = 200 if made.state == Simulation.State.COMPLETED else 202
        return response

    def _span(self, asked: NewSimulation) -> tuple[datetime, datetime]:
        """From the first moment to before the second: nothing that is decided from now on. Raises `Problem`."""
        until = self.now if asked.to is None else _day(asked.to, "to")
        if asked.from_ is not None and asked.days is not None:
            raise Problem("field_invalid", "Send either 'days' or 'from', not both.", "days")
        if asked.from_ is not None:
            begin = _day(asked.from_, "from")
        else:
            first = until.date() - timedelta(days=(asked.days or USUAL_DAYS) - 1)
            begin = datetime.combine(first, time.min, UTC)
        if not begin < until or until - begin > timedelta(days=MOST_DAYS + 1):
            raise Problem("field_invalid", f"'from' must be before 'to', by at most {MOST_DAYS} days.", "from")
        return begin, min(until, self.now)


class SimulationsView(_SimulationsView):
    """GET: those that are kept."""

    endpoint = "simulations"

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor = self.understood(request, lambda request: page_in(query_of(request.META)))
        admission = self.admit_only(request)
        page = services.page(admission.tenant_schema, self.key.livemode, cursor, limit)
        data = [_told(row) for row in page.rows]
        return json_answer(SimulationPage("list", data, page.next_cursor is not None, page.next_cursor))


class SimulationView(_SimulationsView):
    """GET: one, and how far it is."""

    endpoint = "simulation"

    def get(self, request: HttpRequest, simulation_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.simulation(admission, simulation_id)
        services.wake(self.tenant(admission), row, self.now, simulate.delay)
        return json_answer(_told(row))


FILTERS: Filters = {
    "before": words("before", "Only what was this.", ACTIONS),
    "after": words("after", "Only what would be this.", ACTIONS),
    "label": words("label", "Only what is labelled so.", ("fraud", "legitimate")),
}


class FlipsView(_SimulationsView):
    """GET: the decisions that would come out otherwise."""

    endpoint = "simulation_flips"

    def get(self, request: HttpRequest, simulation_id: str) -> HttpResponse:
        limit, cursor, filters = self.understood(request, lambda request: asked_for(request, FILTERS))
        admission = self.admit_only(request)
        row = self.simulation(admission, simulation_id)
        page = services.flips(admission.tenant_schema, row.pk, filters, cursor, limit)
        data = [_flip(one) for one in page.rows]
        return json_answer(FlipPage("list", data, page.next_cursor is not None, page.next_cursor))


def _draft(tenant: Tenant, asked: NewSimulation) -> Policy:
    """The policy that is meant. Raises `Problem` with the place of what is wrong."""
    was = policies.in_force(tenant)
    if asked.version is not None:
        row = policies.find(tenant.schema_name, asked.version)
        if row is None:
            raise Problem("field_invalid", f"There is no version {asked.version} of your policy.", "version")
        was = policies.policy_of(row)
    said: Mapping[str, Any] = {
        **asked.policy,
        **msgspec.to_builtins(asked.thresholds),
        **({} if asked.rules is None else {"rules": asked.rules}),
    }
    return read_policy(was, said, types_of(tenant.schema_name), "") if said else was


def _day(text: str, name: str) -> datetime:
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time.min, UTC)  # noqa: DTZ007 - a day
    except ValueError as wrong:
        raise Problem("field_invalid", f"'{name}' takes a day such as 2026-10-01.", name) from wrong


def _told(row: Simulation) -> SimulationAnswer:
    return SimulationAnswer(
        id=row.pk,
        livemode=row.livemode,
        state=row.state,  # type: ignore[arg-type]  # Django's choices are the literal's
        progress=row.percent,
        error=row.reason or None,
        against=row.against,
        from_=rfc3339(row.begin),
        to=rfc3339(row.end),
        schema=row.schema or None,
        costs=msgspec.convert(row.costs, Costs),
        asked_at=rfc3339(row.asked_at),
        asked_by=row.asked_by,
        finished_at=rfc3339_or_none(row.finished_at),
        outcome=None if row.result is None else msgspec.convert(row.result, Outcome),
    )


def _flip(row: Flip) -> FlipAnswer:
    return FlipAnswer(
        object="flip",
        decision=row.decision_id,
        transaction_id=row.transaction_id,
        schema=row.schema,
        decided_at=rfc3339(row.decided_at),
        amount=row.amount,
        fraud_probability=row.fraud_probability,
        before=row.before,
        after=row.after,
        decisive_before=row.decisive_before,
        decisive_after=row.decisive_after,
        label=row.label or None,
    )


_ID = id_in_path("simulation_id", "The simulation's id.", "sim_019aa5d0c2f75d1e0b7c4a9f")
_EXAMPLE = {"summary": "Later reviews, over a week", "value": {"thresholds": {"review_at": 0.5}, "days": 7}}

OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "POST",
        "/v1/policies/simulate",
        "simulatePolicy",
        "Simulate a policy",
        "Holds a policy against your own decisions of a span: on the features and scores they were made with, as they "
        "were then. What was learned later judges the outcome and reaches no rule. Answers what is decided before and "
        "after, every decision that comes out otherwise (`/flips`), precision, recall and money by your labels with "
        f"intervals, and what stopping from any probability on would cost. Up to {services.AT_ONCE:,} decisions are "
        "answered at once (200), more are worked through in the background (202).",
        Answer(SimulationAnswer, "The simulation, completed (200) or queued (202).", statuses=("200", "202")),
        body=Body(NewSimulation, {"later": _EXAMPLE}),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/simulations",
        "listSimulations",
        "List simulations",
        f"The newest {services.KEPT} of the mode of the key are kept.",
        Answer(SimulationPage, "A page of simulations."),
        parameters=page_of("Simulations"),
        problems=("field_invalid", "cursor_invalid"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/simulations/{simulation_id}",
        "getSimulation",
        "Read a simulation",
        "How far it is, and its outcome.",
        Answer(SimulationAnswer, "The simulation."),
        parameters=(_ID,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "GET",
        "/v1/simulations/{simulation_id}/flips",
        "listFlips",
        "List what comes out otherwise",
        "The decisions that the simulated policy would have made otherwise, in the order of deciding.",
        Answer(FlipPage, "A page of decisions."),
        parameters=(_ID, *page_of("Decisions"), *described(FILTERS)),
        problems=("not_found", "field_invalid", "cursor_invalid"),
    ),
)
