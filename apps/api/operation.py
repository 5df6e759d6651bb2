"""An operation as the OpenAPI file describes it, one row each. The rows stand beside the views they describe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any

import msgspec

from apps.paging import DEFAULT_A_PAGE, MOST_A_PAGE

Json = dict[str, Any]
#: What is sent or answered: a struct, some structs, or JSON Schema where it is no struct.
Shape = type[msgspec.Struct] | UnionType | Json


@dataclass(frozen=True)
class Body:
    """What is sent; `files` are content types under which a file may be sent instead, as it is."""

    shape: Shape
    examples: Json = field(default_factory=dict)
    required: bool = True
    media_type: str = "application/json"
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What is answered when nothing is refused; `headers` beside those every answer carries."""

    shape: Shape
    description: str
    media_type: str = "application/json"
    statuses: tuple[str, ...] = ("200",)
    examples: Json = field(default_factory=dict)
    headers: Json = field(default_factory=dict)


#: The forms of a refusal, by the names of their schemas: ours, the older interfaces', and Multi-model's.
PROBLEM, DIALECT_PROBLEM, DETECT_PROBLEM = "Problem", "DialectProblem", "DetectProblem"


@dataclass(frozen=True)
class Operation:
    """One row. `scope` "" means it needs no key; `problems` are those beyond what the gate says to everybody, told in
    the form `problem`."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    description: str
    answer: Answer
    scope: str = ""
    parameters: tuple[Json, ...] = ()
    body: Body | None = None
    problems: tuple[str, ...] = ()
    problem: str = PROBLEM


def ref(name: str) -> Json:
    """A schema of the description, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, where: str, description: str, schema: Mapping[str, Any], **more: Any) -> Json:
    return {"name": name, "in": where, "description": description, "schema": schema} | more


REQUEST_ID = parameter(
    "X-Request-Id",
    "header",
    "Your name for this request, given back in the answer: up to 100 letters, digits and `_.:-`. Else we choose one.",
    {"type": "string"},
)
IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    "Repeat a request safely for 24 hours: the same key and body get the same answer, byte for byte, with "
    "`Idempotent-Replayed: true`; another body is refused.",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
)
REPLAYED: Json = {
    "Idempotent-Replayed": {
        "description": "`true` when this Idempotency-Key was answered before and this is that answer.",
        "schema": {"const": "true"},
    }
}
#: What a request with a body may be told, beyond what stands in its fields.
WITH_A_BODY = ("body_malformed", "body_too_large", "media_type_unsupported")
#: What a request that scores may be told.
TO_SCORE = (
    *WITH_A_BODY,
    "header_invalid",
    "idempotency_mismatch",
    "idempotency_in_progress",
    "quota_exceeded",
    "journal_full",
)


def operation(
    tag: str,
    method: str,
    path: str,
    name: str,
    summary: str,
    description: str,
    answer: Answer,
    scope: str = "read",
    **more: Any,
) -> Operation:
    """A row whose description ends with its scope, and that takes X-Request-Id."""
    parameters = (*more.pop("parameters", ()), REQUEST_ID)
    scoped = f"{description} Scope: `{scope}`." if scope else description
    return Operation(method, path, name, tag, summary, scoped, answer, scope=scope, parameters=parameters, **more)


def not_stored(why: str) -> Json:
    """The header of an answer that no cache may keep."""
    return {"Cache-Control": {"description": why, "schema": {"const": "no-store"}}}


def id_in_path(name: str, description: str, example: str) -> Json:
    pattern = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    return parameter(name, "path", description, pattern, required=True, example=example)


def page_of(what: str) -> tuple[Json, ...]:
    """The parameters of every list that has pages: `limit` and `cursor`."""
    count = {"type": "integer", "minimum": 1, "maximum": MOST_A_PAGE, "default": DEFAULT_A_PAGE}
    return (
        parameter("limit", "query", f"{what} a page.", count),
        parameter("cursor", "query", "`next_cursor` of the page before.", {"type": "string"}),
    )
