"""The doors of the tenant's own models: ask for one, read it, put it in shadow, make it champion, retire it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import times
from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, id_in_path, operation
from apps.api_keys.gate import Admission
from apps.api_keys.services import get_gate
from apps.billing.subscriptions.services import plan_for
from apps.decoding import decode
from apps.errors import FieldError, Problem, fields_invalid
from apps.own_models import services
from apps.own_models.services import FAMILIES, USUAL_FAMILIES, NotNow, PromoteWhen, TooLittle
from apps.own_models.shadows import ShadowReport
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import OwnModel, OwnModelSettings

Done = TypeVar("Done")
FEATURE = "custom_models"
MOST_MATURITY = 180.0

_Schema = Literal[tuple(SCHEMAS)]  # type: ignore[valid-type]  # a table's names: mypy can't read them, msgspec does
_Family = Literal[FAMILIES]  # type: ignore[valid-type]
_Time = Annotated[str, Meta(max_length=40, description="RFC 3339.", extra_json_schema={"format": "date-time"})]


class TrainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be trained, on which of your decisions."""

    schema: _Schema  # type: ignore[valid-type]
    families: Annotated[
        list[_Family],
        Meta(min_length=1, max_length=len(FAMILIES), description="Those that are tried; the best of them it becomes."),
    ] = msgspec.field(default_factory=lambda: list(USUAL_FAMILIES))
    since: Annotated[_Time, Meta(description="Decisions dated before are their parties' past alone.")] | None = None
    until: Annotated[_Time, Meta(description="Decisions dated from then on are left out.")] | None = None
    maturity_days: (
        Annotated[
            float,
            Meta(
                ge=0.0,
                le=MOST_MATURITY,
                description="After so many days a decision that nobody called a fraud is none. When left out, the time "
                "within which 95 % of your frauds became known.",
            ),
        ]
        | None
    ) = None


class OwnModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A model of your own."""

    id: str
    object: Literal["own_model"] = "own_model"
    livemode: bool
    schema: str
    state: Annotated[
        Literal["training", "candidate", "shadow", "champion", "retired", "failed"],
        Meta(
            description="candidate: trained, and not asked. shadow: asked beside what decides, and never told. "
            "champion: it decides. failed: `failure` says why."
        ),
    ]
    families: list[str]
    progress: Annotated[str, Meta(description="What the training does just now.")]
    failure: str
    since: Moment | None
    until: Moment | None
    maturity_days: float | None
    asked_at: Moment
    trained_at: Moment | None
    shadow_at: Moment | None
    champion_at: Moment | None
    retired_at: Moment | None
    card: Annotated[dict[str, Any] | None, Meta(description="What it was trained on, how, and what it is worth.")]
    comparison: Annotated[
        dict[str, Any] | None,
        Meta(description="With the shared champion on the same later decisions, with 95 % bootstrap intervals."),
    ]
    shadow_report: Annotated[
        ShadowReport | None,
        Meta(description="In shadow, beside what decided on the same decisions since; made anew every night."),
    ]
    promote_when: Annotated[
        PromoteWhen | None, Meta(description="In shadow: what makes it champion by itself; null: a call alone.")
    ]


class ShadowRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is put in shadow."""

    promote_when: Annotated[
        PromoteWhen | None, Meta(description="When it becomes champion by itself; by a call alone, when left out.")
    ] = None


class StabilityAnswer(msgspec.Struct, frozen=True):
    """By how much the population of any threshold moves when the model takes over from the shared champion."""

    id: str
    object: Literal["stability"]
    state: str
    report: dict[str, Any]


class DeletedOwnModel(msgspec.Struct, frozen=True):
    """It is gone, with its files."""

    id: str
    object: Literal["own_model"]
    deleted: Literal[True]


class RetrainingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a schema's own model is trained again every week."""

    schema: _Schema  # type: ignore[valid-type]
    weekly: bool
    promotes: Annotated[
        bool, Meta(description="A model that is better beyond the interval becomes champion at once.")
    ] = False


class RetrainingAnswer(msgspec.Struct, frozen=True):
    """What is set for a schema."""

    object: Literal["own_model_retraining"]
    schema: str
    weekly: bool
    promotes: bool


class RetrainingList(msgspec.Struct, frozen=True):
    """What is set, one entry a schema; one that is not there is trained on demand."""

    object: Literal["list"]
    data: list[RetrainingAnswer]


class OwnModelList(msgspec.Struct, frozen=True):
    """Your own models, the newest first."""

    object: Literal["list"]
    data: list[OwnModelAnswer]


class _OwnModelsView(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "DELETE": "admin"}

    def admit_with_models(self, request: HttpRequest) -> Admission:
        """Admit a request of a tenant whose plan has models of its own."""
        admission = self.admit_only(request)
        require_plan(admission)
        return admission

    def model(self, admission: Admission, model_id: str) -> OwnModel:
        found = services.find(admission.tenant_schema, self.key.livemode, model_id)
        if found is None:
            raise Problem("not_found")
        return found


class OwnModelsView(_OwnModelsView):
    """GET: all of them."""

    endpoint = "own_models"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        rows = services.all_of(admission.tenant_schema, self.key.livemode)
        return json_answer(OwnModelList("list", [_answer(row) for row in rows]))


class TrainView(_OwnModelsView):
    """POST: ask for one."""

    endpoint = "own_model_train"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_with_models(request)
        asked = decode(self.read_body(request), TrainRequest)
        since, until = (_moment(name, getattr(asked, name)) for name in ("since", "until"))
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        made = _allowed(
            lambda: services.ask_training(
                tenant=tenant,
                livemode=self.key.livemode,
                schema=asked.schema,
                families=list(dict.fromkeys(asked.families)),
                since=since,
                until=until,
                maturity_days=asked.maturity_days,
                now=self.now,
                actor=admission.actor,
            )
        )
        response = json_answer(_answer(made))
        response.status_code = 202
        return response


class OwnModelView(_OwnModelsView):
    """GET, DELETE one."""

    endpoint = "own_model"
    http_method_names = ["get", "head", "delete"]

    def get(self, request: HttpRequest, model_id: str) -> HttpResponse:
        return json_answer(_answer(self.model(self.admit_only(request), model_id)))

    def delete(self, request: HttpRequest, model_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        model, tenant = self.model(admission, model_id), Tenant.objects.get(pk=admission.tenant_id)
        _allowed(lambda: services.delete(tenant=tenant, model=model, now=self.now, actor=admission.actor))
        return json_answer(DeletedOwnModel(model_id, "own_model", True))


class StabilityView(_OwnModelsView):
    """GET: by how much populations move."""

    endpoint = "own_model_stability"

    def get(self, request: HttpRequest, model_id: str) -> HttpResponse:
        model = self.model(self.admit_only(request), model_id)
        if model.stability is None:
            raise Problem("not_found", "The model is not trained.")
        return json_answer(StabilityAnswer(model.pk, "stability", model.state, model.stability))


class _StepView(_OwnModelsView):
    """POST: a step from state to state."""

    http_method_names = ["post"]
    step: ClassVar[Callable[..., OwnModel]]

    needs_plan: ClassVar[bool] = True

    def post(self, request: HttpRequest, model_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        model, tenant = self.model(admission, model_id), Tenant.objects.get(pk=admission.tenant_id)
        if self.needs_plan:
            require_plan(admission)
        step, agreed = type(self).step, self.agreed(request)
        changed = _allowed(
            lambda: step(tenant=tenant, model=model, gate=get_gate(), now=self.now, actor=admission.actor, **agreed)
        )
        return json_answer(_answer(changed))

    def agreed(self, request: HttpRequest) -> dict[str, Any]:
        """What the request says of the step, by the step's names."""
        return {}


class ShadowView(_StepView):
    """POST: ask it beside what decides; with conditions, until they make it champion."""

    endpoint, step = "own_model_shadow", services.put_in_shadow

    def agreed(self, request: HttpRequest) -> dict[str, Any]:
        return {"promote_when": decode(self.read_body(request) or b"{}", ShadowRequest).promote_when}


class PromoteView(_StepView):
    """POST: let it decide."""

    endpoint, step = "own_model_promote", services.promote


class RetireView(_StepView):
    """POST: ask it no more; whatever the plan is by now."""

    endpoint, step, needs_plan = "own_model_retire", services.retire, False


class RetrainingView(_OwnModelsView):
    """GET: what is set. POST: set it for a schema."""

    endpoint = "own_model_retraining"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        rows = services.settings_of(admission.tenant_schema, self.key.livemode)
        return json_answer(RetrainingList("list", [_retraining(row) for row in rows]))

    def post(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_with_models(request)
        asked = decode(self.read_body(request), RetrainingRequest)
        row = services.set_retraining(
            tenant=Tenant.objects.get(pk=admission.tenant_id),
            livemode=self.key.livemode,
            schema=asked.schema,
            weekly=asked.weekly,
            promotes=asked.promotes,
            now=self.now,
            actor=admission.actor,
        )
        return json_answer(_retraining(row))


def require_plan(admission: Admission) -> None:
    """Raises `Problem` for a tenant whose plan has no models of its own."""
    if FEATURE not in plan_for(admission.tenant_id)[0].features:
        raise Problem("plan_lacks_feature", "Models of your own come with the Professional plan.")


def _allowed(do: Callable[[], Done]) -> Done:
    """What is done, or why it can't be just now."""
    try:
        return do()
    except NotNow as wrong:
        raise Problem("model_not_ready", str(wrong)) from wrong
    except TooLittle as wrong:
        raise Problem("too_few_labels", str(wrong)) from wrong


def _moment(name: str, said: str | None) -> datetime | None:
    """Raises `Problem` for what is no time."""
    if said is None:
        return None
    try:
        found = times.read(said)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise fields_invalid([FieldError(name, f"'{name}' must be a time such as 2026-01-05T10:00:00Z.")]) from wrong


def _answer(row: OwnModel) -> OwnModelAnswer:
    return OwnModelAnswer(
        id=row.pk,
        livemode=row.livemode,
        schema=row.schema,
        state=row.state,  # type: ignore[arg-type]  # Django's choices are the literal's
        families=row.families,
        progress=row.progress,
        failure=row.failure,
        since=times.rfc3339_or_none(row.since),
        until=times.rfc3339_or_none(row.until),
        maturity_days=row.maturity_days,
        asked_at=times.rfc3339(row.asked_at),
        trained_at=times.rfc3339_or_none(row.trained_at),
        shadow_at=times.rfc3339_or_none(row.shadow_at),
        champion_at=times.rfc3339_or_none(row.champion_at),
        retired_at=times.rfc3339_or_none(row.retired_at),
        card=row.card,
        comparison=row.comparison,
        shadow_report=row.shadow_report and msgspec.convert(row.shadow_report, ShadowReport),
        promote_when=row.promote_when and msgspec.convert(row.promote_when, PromoteWhen),
    )


def _retraining(row: OwnModelSettings) -> RetrainingAnswer:
    return RetrainingAnswer("own_model_retraining", row.schema, row.weekly, row.promotes)


TAG = "Own models"
_MODEL = id_in_path("model_id", "The model's id.", "mdl_019aa5d0c2f75d1e0b7c4a9f")
_ONE = Answer(OwnModelAnswer, "The model.")


def _step(verb: str, name: str, summary: str, description: str, body: Body | None = None) -> Operation:
    problems = ("not_found", "model_not_ready") + (("plan_lacks_feature",) if verb != "retire" else ())
    return operation(
        TAG, "POST", f"/v1/models/{{model_id}}/{verb}", name, summary, description, _ONE, "admin", body=body,
        parameters=(_MODEL,), problems=(*((*WITH_A_BODY, "field_invalid") if body else ()), *problems),
    )  # fmt: skip


OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "POST",
        "/v1/models/train",
        "trainOwnModel",
        "Train a model of your own",
        "On your own decisions, with their features as they were then, and with what your labels had told by then of "
        "each party: the share of known frauds of a merchant, a user, a card, a device, an e-mail address over 1, 7 "
        "and 30 days. Measured on the last four weeks by a fit that saw nothing of them, beside the shared champion. "
        "It is trained in the background: poll it.",
        Answer(OwnModelAnswer, "The model, in state `training`.", statuses=("202",)),
        "admin",
        body=Body(TrainRequest, {"payments": {"summary": "Payments", "value": {"schema": "payments"}}}),
        problems=(*WITH_A_BODY, "field_invalid", "plan_lacks_feature", "model_not_ready", "too_few_labels"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/models/own",
        "listOwnModels",
        "List your own models",
        "All that were asked for, the newest first.",
        Answer(OwnModelList, "Your models."),
    ),
    operation(
        TAG,
        "GET",
        "/v1/models/retraining",
        "getRetraining",
        "Read what is set of retraining",
        "Which schemas' own models are trained again every week.",
        Answer(RetrainingList, "An entry a schema."),
    ),
    operation(
        TAG,
        "POST",
        "/v1/models/retraining",
        "setRetraining",
        "Set the weekly retraining of a schema",
        "Every week a model is trained on what is known then, compared on the same later decisions, and you are told; "
        "with `promotes` it becomes champion when it is better beyond the interval.",
        Answer(RetrainingAnswer, "What is set."),
        "admin",
        body=Body(RetrainingRequest, {"weekly": {"value": {"schema": "payments", "weekly": True}}}),
        problems=(*WITH_A_BODY, "field_invalid", "plan_lacks_feature"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/models/{model_id}",
        "getOwnModel",
        "Read a model of your own",
        "Its state, its card, and how it compares with the shared champion.",
        _ONE,
        parameters=(_MODEL,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "DELETE",
        "/v1/models/{model_id}",
        "deleteOwnModel",
        "Delete a model of your own",
        "With its files, for good. One that is asked has to be retired first.",
        Answer(DeletedOwnModel, "It is gone."),
        "admin",
        parameters=(_MODEL,),
        problems=("not_found", "model_not_ready"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/models/{model_id}/stability",
        "getStability",
        "Read a model's stability report",
        "By how much the share of decisions at or above each threshold moves when it takes over.",
        Answer(StabilityAnswer, "The report."),
        parameters=(_MODEL,),
        problems=("not_found",),
    ),
    _step("shadow", "shadowOwnModel", "Put a model in shadow",
          "It is asked beside what decides, from the next request on; what it says is kept, and never told. A champion "
          "steps back by it. With `promote_when` it becomes champion by itself once so many frauds are known, so many "
          "days passed, and it is better beyond the interval than what decides; said again of a model in shadow it "
          "changes that.",
          Body(ShadowRequest, {"conditions": {"value": {"promote_when": {"frauds": 100, "days": 14}}}}, False)),
    _step("promote", "promoteOwnModel", "Make a model the champion",
          "It decides from the next request on, on every process; the own model that did until now goes on in shadow. "
          "`risk_score` keeps its meaning."),
    _step("retire", "retireOwnModel", "Retire a model",
          "It is asked no more. Without a champion of your own the shared one decides again, at once."),
)  # fmt: skip
