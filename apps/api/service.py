"""Endpoints without a key: health, readiness, metrics, documentation."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from apps.api.operation import Answer, Operation, ref

State = Literal["ready", "degraded", "away", "stopping"]


class Index(msgspec.Struct, frozen=True):
    """The service and where its documents are."""

    service: Literal["palisade"]
    links: Annotated[dict[str, str], Meta(description="Name → address.")]


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]
    service: Literal["palisade"]


class Readiness(msgspec.Struct, frozen=True):
    """`degraded` still scores; `away` does not; `stopping` is about to end and should be sent nothing new."""

    status: State
    dependencies: (
        Annotated[dict[str, str], Meta(description="ok, away, or why a model was refused; told to operators.")]
        | UnsetType
    ) = UNSET
    journal_entries: (
        Annotated[int | None, Meta(description="Decisions acknowledged and not yet recorded; told to operators.")]
        | UnsetType
    ) = UNSET


def _page(path: str, operation_id: str, summary: str, description: str) -> Operation:
    answer = Answer({"type": "string"}, "An HTML page.", "text/html; charset=utf-8")
    return Operation("GET", path, operation_id, TAG, summary, description, answer)


TAG = "Service"
OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET",
        "/",
        "getIndex",
        TAG,
        "Where to begin",
        "Links to the documents.",
        Answer(Index, "The links."),
    ),
    Operation(
        "GET",
        "/health",
        "getHealth",
        TAG,
        "Is the process up?",
        "Answers without asking the stores.",
        Answer(Health, "It is."),
    ),
    Operation(
        "GET",
        "/ready",
        "getReadiness",
        TAG,
        "Can it score?",
        "To operators also the state of each dependency.",
        Answer(Readiness, "200 while scoring is possible, else 503.", statuses=("200", "503")),
    ),
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        TAG,
        "Prometheus metrics",
        "Of all processes together; for operators, for others there is nothing here (404).",
        Answer({"type": "string"}, "Prometheus' text format.", "text/plain; version=1.0.0; charset=utf-8"),
        problems=("address_unknown",),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "getOpenAPI",
        TAG,
        "This description",
        "OpenAPI 3.1.",
        Answer(ref("OpenApiDocument"), "This document."),
    ),
    _page("/docs", "getDocs", "Swagger UI", "Try the API in the browser."),
    _page("/docs/errors", "getErrorDocs", "Errors", "Every error code, what it means and what to do."),
    _page(
        "/docs/fields",
        "getFieldDocs",
        "Fields",
        "Every field of a transaction: what it takes, its known values, whether the models weigh it.",
    ),
    _page("/docs/models", "getModelDocs", "Models", "The models' cards: data, licence, metrics with intervals."),
    _page("/redoc", "getRedoc", "ReDoc", "The API's reference to read."),
)
