"""The tenant's own models: trained, compared with the shared champion, put in shadow, made champion, taken back."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.billing.subscriptions.services import plan_for
from apps.own_models import services
from apps.own_models.services import FAMILIES, NotNow, PromoteWhen, TooLittle
from apps.portal.filters import choice_in
from apps.portal.kinds import CHOICES, KINDS
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.scoring.models import OwnModel
from apps.scoring.serving.model_cards import FAMILIES as FAMILY_WORDS

FEATURE = "custom_models"
State = OwnModel.State
#: What may be done from each state, in the order of the buttons.
STEPS: dict[str, tuple[str, Callable[..., Any]]] = {
    "shadow": ("Put in shadow", services.put_in_shadow),
    "promote": ("Make champion", services.promote),
    "retire": ("Retire", services.retire),
}
DONE = {
    "shadow": "The model is in shadow: asked from the next request on, and never told.",
    "promote": "The model decides from the next request on.",
    "retire": "The model is asked no more.",
    "delete": "The model and its files are gone.",
}


class TrainForm(forms.Form):
    """What is to be trained."""

    schema = forms.ChoiceField(choices=CHOICES, label="Kind of transaction")
    families = forms.MultipleChoiceField(
        choices=[(name, FAMILY_WORDS[name]) for name in FAMILIES], initial=list(services.USUAL_FAMILIES),
        widget=forms.CheckboxSelectMultiple, label="Model families to try",
    )  # fmt: skip
    maturity_days = forms.FloatField(
        required=False, min_value=0, max_value=180, label="Days after which no label counts as legitimate",
        help_text="Empty: the time within which 95 % of your frauds became known.",
    )  # fmt: skip


class RetrainingForm(forms.Form):
    """Whether a kind's model is trained again every week."""

    schema = forms.ChoiceField(choices=CHOICES, label="Kind of transaction")
    weekly = forms.BooleanField(required=False, label="Train again every week")
    promotes = forms.BooleanField(
        required=False, label="Make it champion if it is better by more than the 95 % interval"
    )


class ModelRow(NamedTuple):
    """A model as it is listed: its own average precision and the shared champion's, None before they are known."""

    model: OwnModel
    kind: str
    own: float | None
    shared: float | None


MODELS = Table(
    row="portal/rows/own_model.html",
    filters=(
        choice_in("schema", "Kind", CHOICES, lambda one: one.model.schema),
        choice_in("state", "State", ((one, one) for one in State.values), lambda one: one.model.state),
    ),
    columns=(
        Column("id", "Model", lambda one: one.model.pk),
        Column("kind", "Kind", lambda one: one.kind, ("kind",)),
        Column("state", "State", lambda one: one.model.state, ("state",)),
        Column("asked_at", "Asked for", lambda one: one.model.asked_at, ("asked_at",)),
        Column("average_precision", "Average precision", lambda one: one.own, ("own",), number=True),
        Column("shared_average_precision", "Shared model's", lambda one: one.shared, ("shared",), number=True),
    ),
)


NONE_YET = Empty(
    "No models of your own yet",
    "Say what became of your transactions first: a model learns from known frauds.",
    "/labels/",
    "Add labels",
)


class ConditionsForm(forms.Form):
    """What makes a model in shadow the champion by itself."""

    frauds = forms.IntegerField(min_value=20, max_value=1_000_000, label="Frauds known since it is in shadow")
    days = forms.IntegerField(min_value=1, max_value=366, label="Days in shadow")


class _OwnModels(Page):
    changes = Permission.POLICY

    @property
    def included(self) -> bool:
        """Whether the plan has models of one's own."""
        return FEATURE in plan_for(self.tenant.pk)[0].features

    def model(self, model_id: str) -> OwnModel:
        found = services.find(self.tenant.schema_name, self.livemode, model_id)
        if found is None:
            raise Http404
        return found

    def refused(self, why: str, back: str, *args: str) -> HttpResponse:
        messages.error(self.request, why)
        return redirect(back, *args)


class OwnModelsPage(_OwnModels):
    """All of them, and what one asks for a new one."""

    title, template = "Own models", "portal/pages/own_models.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(MODELS, self._rows(), "models") if MODELS.exports(request) else super().get(request)

    def _rows(self) -> list[ModelRow]:
        rows = services.all_of(self.tenant.schema_name, self.livemode)
        return [ModelRow(row, KINDS[row.schema], *_worth(row)) for row in rows]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        with in_tenant(self.tenant):
            frauds = [(title, services.known_frauds(self.livemode, name)) for name, title in KINDS.items()]
        return {
            "table": MODELS.show(self.request, self._rows(), NONE_YET),
            "included": self.included,
            "frauds": frauds,
            "least": services.LEAST_FRAUDS,
            "form": TrainForm(),
            "retraining": [
                (KINDS[row.schema], row) for row in services.settings_of(self.tenant.schema_name, self.livemode)
            ],
            "retraining_form": RetrainingForm(),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        if not self.included:
            return self.refused("Own models are part of the Professional plan and up.", "own_models")
        form = TrainForm(request.POST)
        if not form.is_valid():
            return self.page(**self.context() | {"form": form}, status=422)
        try:
            model = services.ask_training(
                tenant=self.tenant, livemode=self.livemode, schema=form.cleaned_data["schema"],
                families=form.cleaned_data["families"], since=None, until=None,
                maturity_days=form.cleaned_data["maturity_days"], now=self.now, actor=self.actor,
            )  # fmt: skip
        except (NotNow, TooLittle) as wrong:
            return self.refused(str(wrong), "own_models")
        messages.success(request, "Training has started. This page shows its progress.")
        return redirect("own_model", model.pk)


class RetrainingPage(_OwnModels):
    """What is set of retraining; its form stands on the page of all models."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        form = RetrainingForm(request.POST)
        if not self.included or not form.is_valid():
            return self.refused("Nothing was set.", "own_models")
        services.set_retraining(
            tenant=self.tenant, livemode=self.livemode, now=self.now, actor=self.actor, **form.cleaned_data
        )
        messages.success(request, "The retraining schedule is saved.")
        return redirect("own_models")


class OwnModelPage(_OwnModels):
    """One model: how far its training is, what it is worth, by how much populations move, what can be done."""

    title, template = "Own model", "portal/pages/own_model.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        model = self.model(kwargs["model_id"])
        return {
            "model": model,
            "kind": KINDS[model.schema],
            "compared": _compared(model),
            "stability": _stability(model),
            "data": (model.card or {}).get("data"),
            "beside": _beside(model),
            "conditions": ConditionsForm(initial=model.promote_when) if model.state == State.SHADOW else None,
            "steps": [(step, name) for step, (name, _) in STEPS.items() if model.state in services.FROM[step]],
            "may_delete": model.state in (State.CANDIDATE, State.RETIRED, State.FAILED),
        }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page; asked by itself while the model is trained, and loaded anew when it ends."""
        response = super().get(request, *args, **kwargs)
        if "HX-Request" in request.headers and self.model(kwargs["model_id"]).state != State.TRAINING:
            response["HX-Refresh"] = "true"
        return response

    def post(self, request: HttpRequest, model_id: str) -> HttpResponse:
        model, step = self.model(model_id), request.POST.get("step", "")
        try:
            if step == "delete":
                services.delete(tenant=self.tenant, model=model, now=self.now, actor=self.actor)
            elif step == "conditions" and self.included and model.state == State.SHADOW:
                return self._conditions(model)
            elif step in STEPS and (self.included or step == "retire"):
                STEPS[step][1](tenant=self.tenant, model=model, gate=get_gate(), now=self.now, actor=self.actor)
            else:
                return self.refused("Nothing was done.", "own_model", model_id)
        except NotNow as wrong:
            return self.refused(str(wrong), "own_model", model_id)
        messages.success(request, DONE[step])
        return redirect("own_models") if step == "delete" else redirect("own_model", model_id)

    def _conditions(self, model: OwnModel) -> HttpResponse:
        """State what makes a model in shadow the champion."""
        form = ConditionsForm(self.request.POST)
        if not form.is_valid():
            return self.page(**self.context(model_id=model.pk) | {"conditions": form}, status=422)
        services.put_in_shadow(
            tenant=self.tenant, model=model, gate=get_gate(), now=self.now, actor=self.actor,
            promote_when=PromoteWhen(**form.cleaned_data),
        )  # fmt: skip
        messages.success(self.request, "Once this is so the model becomes champion by itself.")
        return redirect("own_model", model.pk)


#: What is told of both in a shadow's report.
BESIDE = {"average_precision": "Average precision", "precision": "Precision", "recall": "Recall"}


def _beside(model: OwnModel) -> list[tuple[str, str, str, str, str]]:
    """Of a model in shadow: metric, its own, the interval, that of what decided, the interval."""
    found = model.shadow_report
    if not found:
        return []
    own, other = found["shadow"], found["champion"]
    return [
        (name, _number(own[metric]), _interval(own, metric), _number(other[metric]), _interval(other, metric))
        for metric, name in BESIDE.items()
    ]


#: Metrics that are compared: by name, as they are called.
COMPARED = {
    "average_precision": "Average precision",
    "precision_of_100_a_day": "Precision among the 100 riskiest a day",
    "precision_of_100_a_day_once": "The same, each found once",
    "auc_roc": "Area under ROC",
    "recall_at_1pct_fpr": "Recall at 1 % false alarms",
    "brier": "Brier score",
}


def _worth(model: OwnModel) -> tuple[float | None, float | None]:
    """The average precisions, own and shared; None before they are measured."""
    found = model.comparison
    return (found["own"]["average_precision"], found["shared"]["average_precision"]) if found else (None, None)


def _compared(model: OwnModel) -> list[tuple[str, str, str, str, str]]:
    """Metric, own, its interval, shared, its interval."""
    found = model.comparison
    if not found:
        return []
    own, shared = found["own"], found["shared"]
    return [
        (name, _number(own.get(metric)), _interval(own, metric), _number(shared.get(metric)), _interval(shared, metric))
        for metric, name in COMPARED.items()
    ]


def _interval(figures: dict[str, Any], metric: str) -> str:
    found = figures["intervals_95"].get(metric)
    return f"{_number(found[0])} to {_number(found[1])}" if found else ""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _stability(model: OwnModel) -> list[tuple[str, list[dict[str, Any]]]]:
    """Thresholds by what they are of, shares as percent."""
    found = model.stability
    if not found:
        return []
    kinds = (("fraud_probability", "Fraud probability"), ("risk_score", "Risk score"))
    return [(name, [_percent(row) for row in found[kind]]) for kind, name in kinds]


def _percent(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["interval_95"]
    return {
        "threshold": f"{row['threshold']:g}",
        "before": f"{100 * row['before']:.2f} %",
        "after": f"{100 * row['after']:.2f} %",
        "moved": f"{100 * row['moved']:+.2f}",
        "interval": f"{100 * low:+.2f} to {100 * high:+.2f}",
    }
