"""The doors of predictions made elsewhere: `/v1/predictions` and Gateway's `/predictions`. Kept beside ours."""

from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import card_numbers, text, times
from apps.accounts.models import Tenant
from apps.api import operation as described
from apps.api.dialects import DialectView
from apps.api.endpoint import MEGABYTE, ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.list_filters import Filters, asked_for, named, time
from apps.api.list_filters import described as parameters_of
from apps.api.operation import DIALECT_PROBLEM, WITH_A_BODY, Answer, Operation, operation, page_of
from apps.decoding import decode
from apps.errors import MOST_TOLD, FieldError, Problem, fields_invalid
from apps.ingest import predictions
from apps.ingest.predictions import FRAUD_FROM, Compared, GivenPrediction
from apps.scoring.serving.decision_formats import MOST_A_BATCH
from apps.times import rfc3339

FILTERS: Filters = {
    "transaction_id": named("transaction_id", "Only of this transaction."),
    "model": named("model", "Only of this model of yours."),
    "model_version": named("model_version", "Only of this version of it."),
    "created_after": time("created_at__gte", "Kept from this time on."),
    "created_before": time("created_at__lt", "Kept before this time."),
}
_Name = Annotated[str, Meta(min_length=1, max_length=80)]


class NewPrediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model of yours said of a transaction."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=128)]
    fraud_probability: Annotated[float, Meta(ge=0, le=1)]
    model: Annotated[_Name, Meta(description="What you call it.")] = "external"
    model_version: Annotated[str, Meta(max_length=80)] = ""
    is_fraud: Annotated[
        bool | None, Meta(description=f"Whether it calls it fraud; from {FRAUD_FROM} on, if not said.")
    ] = None
    predicted_at: Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})] | None = None


class NewPredictions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 predictions: all are kept, or none when one is wrong."""

    predictions: Annotated[list[NewPrediction], Meta(min_length=1, max_length=MOST_A_BATCH)]


class OurDecision(msgspec.Struct, frozen=True):
    """Our last decision on the same transaction."""

    decision_id: str
    fraud_probability: float | None
    risk_level: str
    recommended_action: str
    model: Annotated[str | None, Meta(description="model@version.")]


class StoredPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction made elsewhere, with our decision beside it."""

    id: str
    object: Literal["prediction"] = "prediction"
    livemode: bool
    transaction_id: str
    model: str
    model_version: str
    fraud_probability: float
    is_fraud: bool
    predicted_at: Moment
    created_at: Moment
    ours: Annotated[OurDecision | None, Meta(description="null when we have not decided on the transaction.")]
    difference: Annotated[float | None, Meta(description="Their probability less ours.")]
    agree: Annotated[bool | None, Meta(description="Whether both call it fraud, or both do not.")]


class Comparison(msgspec.Struct, frozen=True):
    """The predictions of this answer against ours."""

    compared: int
    agreement: Annotated[float | None, Meta(description="Share of them on which both agree.")]
    mean_difference: Annotated[float | None, Meta(description="Of their probabilities less ours.")]


class PredictionPage(msgspec.Struct, frozen=True):
    """Predictions, newest first."""

    object: Literal["list"]
    data: list[StoredPrediction]
    comparison: Comparison
    has_more: bool
    next_cursor: NextCursor


class GatewayPredictionPage(msgspec.Struct, frozen=True):
    """Predictions, newest first."""

    predictions: list[StoredPrediction]
    count: int
    comparison: Comparison
    has_more: bool | UnsetType = UNSET
    next_cursor: NextCursor | UnsetType = UNSET


class PredictionsView(ApiView):
    """POST: keep one or many. GET: those kept."""

    endpoint = "predictions"
    scopes: ClassVar = {"POST": "predict", "GET": "read"}
    body_limit = 2 * MEGABYTE

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor, filters = self.understood(request, lambda request: asked_for(request, FILTERS))
        admission = self.admit_only(request)
        page = predictions.page(admission.tenant_schema, self.key.livemode, filters, cursor, limit)
        return json_answer(self.listed(page.rows, page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        given, single = self.understood(request, self._given)
        admission = self.admit_only(request)
        tenant, livemode = Tenant.objects.get(pk=admission.tenant_id), self.key.livemode
        kept = predictions.keep(tenant=tenant, livemode=livemode, given=given, now=self.now, actor=admission.actor)
        response = json_answer(_prediction(kept[0]) if single else self.listed(kept, None))
        response.status_code = 201
        return response

    def listed(self, rows: Sequence[Compared], next_cursor: str | None) -> msgspec.Struct:
        data = [_prediction(row) for row in rows]
        return PredictionPage("list", data, _comparison(rows), next_cursor is not None, next_cursor)

    def _given(self, request: HttpRequest) -> tuple[list[GivenPrediction], bool]:
        body = self.read_body(request)
        if "predictions" in decode(body, dict[str, Any]):
            rows = decode(body, NewPredictions).predictions
            return self._read(rows, "predictions[{}]."), False
        return self._read([decode(body, NewPrediction)], ""), True

    def _read(self, rows: Sequence[NewPrediction], place: str) -> list[GivenPrediction]:
        """Raises `Problem` naming the wrong fields of all."""
        errors: list[FieldError] = []
        given = []
        for index, row in enumerate(rows):
            try:
                given.append(_read(row, self.now))
            except Problem as wrong:
                at = place.format(index)
                errors += [FieldError(at + error.param, error.detail) for error in wrong.errors]
        if errors:
            raise fields_invalid(errors[:MOST_TOLD])
        return given

    def _scores(self, request: Any) -> bool:
        """Predictions of others are no usage, under whatever scope they come."""
        return False


class GatewayPredictionsView(DialectView, PredictionsView):
    """The same for Gateway's clients."""

    endpoint = "predictions"

    def listed(self, rows: Sequence[Compared], next_cursor: str | None) -> msgspec.Struct:
        data = [_prediction(row) for row in rows]
        return GatewayPredictionPage(data, len(data), _comparison(rows), next_cursor is not None, next_cursor)


def _read(row: NewPrediction, now: datetime) -> GivenPrediction:
    """Raises `Problem` naming every wrong field."""
    texts = {"transaction_id": row.transaction_id, "model": row.model, "model_version": row.model_version}
    errors = [
        FieldError(name, f"'{name}' {why}.") for name, value in texts.items() if value and (why := text.refusal(value))
    ]
    predicted_at = now
    if row.predicted_at is not None:
        try:
            said = times.read(row.predicted_at)
            predicted_at = (said if said.tzinfo else said.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            detail = "'predicted_at' must be a time such as 2026-01-05T10:00:00Z."
            errors.append(FieldError("predicted_at", detail))
    if errors:
        raise fields_invalid(errors)
    return GivenPrediction(
        transaction_id=card_numbers.mask_id(row.transaction_id),
        model=card_numbers.mask(row.model),
        model_version=card_numbers.mask(row.model_version),
        fraud_probability=row.fraud_probability,
        is_fraud=row.fraud_probability >= FRAUD_FROM if row.is_fraud is None else row.is_fraud,
        predicted_at=predicted_at,
    )


def _prediction(one: Compared) -> StoredPrediction:
    row, ours = one.row, one.ours
    return StoredPrediction(
        id=row.pk,
        livemode=row.livemode,
        transaction_id=row.transaction_id,
        model=row.model,
        model_version=row.model_version,
        fraud_probability=row.fraud_probability,
        is_fraud=row.is_fraud,
        predicted_at=rfc3339(row.predicted_at),
        created_at=rfc3339(row.created_at),
        ours=None
        if ours is None
        else OurDecision(
            ours.id,
            ours.fraud_probability,
            ours.risk_level,
            ours.recommended_action,
            f"{ours.model_name}@{ours.model_version}" if ours.model_name else None,
        ),
        difference=None if one.difference is None else round(one.difference, 6),
        agree=one.agree,
    )


def _comparison(rows: Sequence[Compared]) -> Comparison:
    agreeing = [row.agree for row in rows if row.agree is not None]
    differences = [row.difference for row in rows if row.difference is not None]
    if not agreeing:
        return Comparison(0, None, None)
    return Comparison(len(agreeing), fmean(agreeing), round(fmean(differences), 6))


TAG = "Transactions"
_ONE = {"transaction_id": "txn_123", "fraud_probability": 0.91, "model": "our-old-model", "model_version": "7"}
_EXAMPLES = {
    "one": {"summary": "One", "value": _ONE},
    "many": {"summary": "Some", "value": {"predictions": [_ONE, _ONE | {"transaction_id": "txn_124"}]}},
}
_KEEPS = (
    "What a model of yours said of transactions: one, or up to 1,000 as `predictions`. Kept beside our last decision "
    "on each, and compared with it. Sent again it replaces the same model's earlier one."
)
_LISTS = "Newest first, each with our decision beside it; `comparison` sums this page up."
_QUERY = ("field_invalid", "query_invalid", "cursor_invalid")
_PAGE = (*page_of("Predictions"), *parameters_of(FILTERS))


def _operations(
    path: str, keep: str, listing: str, whose: str, page: type[msgspec.Struct], problem: str
) -> Sequence[Operation]:
    """The two operations of one of the interfaces."""
    return (
        operation(
            TAG, "POST", path, keep, f"{whose}Keep predictions made elsewhere", _KEEPS,
            Answer(StoredPrediction | page, "What was kept.", statuses=("201",)), "predict",
            body=described.Body(NewPrediction | NewPredictions, _EXAMPLES),
            problems=(*WITH_A_BODY, "field_invalid"), problem=problem,
        ),
        operation(
            TAG, "GET", path, listing, f"{whose}List predictions made elsewhere", _LISTS,
            Answer(page, "A page of predictions."), parameters=_PAGE, problems=_QUERY, problem=problem,
        ),
    )  # fmt: skip


OPERATIONS: Sequence[Operation] = (
    *_operations("/v1/predictions", "createPredictions", "listPredictions", "", PredictionPage, described.PROBLEM),
    *_operations(
        "/predictions", "gatewayCreatePredictions", "gatewayPredictions", "Gateway: ", GatewayPredictionPage,
        DIALECT_PROBLEM,
    ),
)  # fmt: skip
