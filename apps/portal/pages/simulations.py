"""Simulations: a draft of the policy held against one's own decisions, drawn, with every decision that flips."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

import msgspec
from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.accounts.tenancy import in_tenant
from apps.portal.filters import choice, days, search
from apps.portal.kinds import CHOICES, KINDS
from apps.portal.page import InOtherMode, Page
from apps.portal.pages.policy import PolicyForm, field_of, in_labels, initial_of
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.scoring import policies
from apps.scoring.engine.block import ACTIONS
from apps.scoring.lists.reads import types_of
from apps.scoring.policy_file import InvalidPolicy, changed
from apps.simulation import services
from apps.simulation.curves import BINS, Costs, Curve
from apps.simulation.models import Simulation
from apps.simulation.tally import Outcome
from apps.simulation.tasks import simulate

State = Simulation.State
GOING = (State.QUEUED, State.RUNNING)
SPANS = (1, 7, 30, 90, 365)
USUAL = 30
#: Points of a curve as it is drawn: one a hundredth.
DRAWN = 100

FLIPS = Table(
    row="portal/rows/flip.html",
    key=("id",),
    rising=True,
    filters=(
        choice("was", "Was", ((one, one) for one in ACTIONS), "before"),
        choice("would_be", "Would be", ((one, one) for one in ACTIONS), "after"),
        choice("label", "Labelled", (("fraud", "fraud"), ("legitimate", "legitimate"))),
        choice("schema", "Kind", CHOICES),
    ),
    columns=(
        Column("decided_at", "When", lambda one: one.decided_at),
        Column("transaction_id", "Transaction", lambda one: one.transaction_id),
        Column("amount", "Amount", lambda one: one.amount, ("amount", "id"), number=True),
        Column("before", "Was", lambda one: one.before),
        Column("after", "Would be", lambda one: one.after),
        Column("decisive_after", "By", lambda one: one.decisive_after),
        Column("label", "Label", lambda one: one.label),
        Column("decision_id", "Decision", lambda one: one.decision_id, shown=False),
        Column("decisive_before", "Was by", lambda one: one.decisive_before, shown=False),
    ),
)
SIMULATIONS = Table(
    row="portal/rows/simulation.html",
    key=("asked_at", "id"),
    limit=10,
    filters=(
        search("Asked by", "asked_by"),
        choice("state", "State", ((one, one) for one in State.values)),
        *days("asked_at"),
    ),
    columns=(
        Column("asked_at", "Asked", lambda one: one.asked_at, ("asked_at", "id")),
        Column("asked_by", "By", lambda one: one.asked_by),
        Column("begin", "From", lambda one: one.begin, ("begin", "id")),
        Column("end", "To", lambda one: one.end, ("end", "id")),
        Column("state", "State", lambda one: one.state),
    ),
)
NONE_YET = Empty("No simulations yet", "Change a threshold or a rule above, and see what it would have decided.")
NO_FLIPS = Empty("No decision changes", "The draft decides every transaction the way it was decided.")


class SpanForm(forms.Form):
    """Which decisions a draft is held against, and what mistakes cost."""

    days = forms.TypedChoiceField(
        coerce=int, choices=[(one, f"{one} day{'s' if one > 1 else ''}") for one in SPANS], label="Over the last",
        initial=USUAL,
    )  # fmt: skip
    schema = forms.ChoiceField(required=False, choices=[("", "All kinds"), *KINDS.items()], label="Kind of transaction")
    loss = forms.FloatField(
        min_value=0, max_value=100, initial=1.0, label="Cost of a missed fraud",
        help_text="Times its amount.", widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    review = forms.FloatField(
        min_value=0, max_value=100_000, initial=3.0, label="Cost of a review",
        help_text="In your currency.", widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    lost_sale = forms.FloatField(
        min_value=0, max_value=100, initial=0.05, label="Cost of a lost sale",
        help_text="Times its amount.", widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    unlabelled_are_legitimate = forms.BooleanField(
        required=False, label="Count unlabelled decisions as legitimate", initial=False
    )

    def costs(self) -> Costs:
        said = self.cleaned_data
        return Costs(said["loss"], said["review"], said["lost_sale"], said["unlabelled_are_legitimate"])


class SimulatePage(Page):
    """A draft, beginning with the policy in force, and the decisions it is to be held against."""

    title, template = "Simulate a policy", "portal/pages/simulate.html"
    changes = Permission.SCORE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if SIMULATIONS.exports(request):
            return self.exported(SIMULATIONS, self._rows(), "simulations", self.inside)
        return super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "form": PolicyForm(initial=initial_of(policies.in_force(self.tenant))),
            "span_form": SpanForm(),
            "table": SIMULATIONS.show(self.request, self._rows(), NONE_YET, self.inside),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        form = PolicyForm(request.POST)
        span = SpanForm(request.POST if "days" in request.POST else _initial_span())
        if form.is_valid() and span.is_valid():
            try:
                return redirect("simulation", self._started(form, span).pk)
            except InvalidPolicy as wrong:
                form.add_error(field_of(str(wrong)), in_labels(str(wrong)))
        return self.page(**self.context() | {"form": form, "span_form": span}, status=422)

    def _started(self, form: PolicyForm, span: SpanForm) -> Simulation:
        """Raises `InvalidPolicy`."""
        first = self.now.astimezone(UTC).date() - timedelta(days=span.cleaned_data["days"] - 1)
        return services.start(
            tenant=self.tenant,
            livemode=self.livemode,
            policy=changed(policies.in_force(self.tenant), form.said(), types_of(self.tenant.schema_name)),
            begin=datetime.combine(first, time.min, UTC),
            end=self.now,
            schema=span.cleaned_data["schema"],
            costs=span.costs(),
            now=self.now,
            actor=self.actor,
            later=simulate.delay,
        )

    def inside(self) -> AbstractContextManager[None]:
        return in_tenant(self.tenant)

    def _rows(self) -> QuerySet[Simulation]:
        return services.listed(self.livemode).defer("policy", "result")


class SimulationPage(Page):
    """One simulation: how far it is, and what came of it."""

    title, template = "Simulation", "portal/pages/simulation.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not FLIPS.exports(request):
            return super().get(request, *args, **kwargs)
        row = self.simulation(kwargs["simulation_id"])
        return self.exported(FLIPS, row.flips.all(), f"simulation-{row.pk}", self.inside)

    def inside(self) -> AbstractContextManager[None]:
        return in_tenant(self.tenant)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        row = self.simulation(kwargs["simulation_id"])
        services.wake(self.tenant, row, self.now, simulate.delay)
        outcome = None if row.result is None else msgspec.convert(row.result, Outcome)
        found = {"row": row, "outcome": outcome, "under_way": row.state in GOING, "kinds": KINDS}
        return found if outcome is None else found | self._drawn(row, outcome)

    def simulation(self, simulation_id: str) -> Simulation:
        """Raises `InOtherMode`, `Http404`."""
        found = services.find(self.tenant.schema_name, self.livemode, simulation_id)
        if found is not None:
            return found
        if services.find(self.tenant.schema_name, not self.livemode, simulation_id) is not None:
            raise InOtherMode("test simulation" if self.livemode else "live simulation")
        raise Http404

    def _drawn(self, row: Simulation, outcome: Outcome) -> dict[str, Any]:
        return {
            "sides": _sides(outcome),
            "rules": [one for one in outcome.rules if one.state != "live"],
            "curves": [(one, KINDS[one.schema], _charts(one)) for one in outcome.thresholds if one.decisions],
            "table": FLIPS.show(self.request, row.flips.all(), NO_FLIPS, self.inside),
        }


class SimulationProgress(SimulationPage):
    """The part of the page that asks, every two seconds, how far a simulation is."""

    template = "portal/parts/simulation.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        context = self.context(**kwargs)
        response = self.page(**context)
        if not context["under_way"]:
            response["HX-Refresh"] = "true"  # the whole page: it has more than how far it is
        return response


class Beside(NamedTuple):
    """A figure before and after."""

    name: str
    before: Any
    after: Any


def _sides(outcome: Outcome) -> Sequence[Beside]:
    """Decisions by action, and what labels say of them, before and after."""
    was, becomes = outcome.before, outcome.after
    actions = [Beside(name, getattr(was.actions, name), getattr(becomes.actions, name)) for name in ACTIONS]
    return [one for one in actions if one.before or one.after]


def _charts(curve: Curve) -> Mapping[str, Any]:
    """The curve as static/charts.js draws it: at each hundredth the last point at or below it."""
    points, place, shown = curve.points, 0, []
    for step in range(DRAWN + 1):
        while place + 1 < len(points) and points[place + 1].threshold * BINS <= step * BINS / DRAWN:
            place += 1
        shown.append(points[place])
    shares = [("precision", ""), ("recall", "challenge"), ("review_rate", "block")]
    lines = [{"label": name.replace("_", " "), "values": [getattr(one, name) for one in shown], "look": look}
             for name, look in shares]  # fmt: skip
    cost = [{"label": "cost", "values": [one.cost for one in shown], "look": ""}]
    return {
        "Shares": {"across": "threshold", "start": 0, "step": 1 / DRAWN, "lines": lines},
        "Cost": {"across": "threshold", "start": 0, "step": 1 / DRAWN, "lines": cost},
    }


def _initial_span() -> Mapping[str, Any]:
    """The span's fields as they stand at first: the policy's own page sends none."""
    return {name: field.initial for name, field in SpanForm.base_fields.items() if field.initial is not None}
