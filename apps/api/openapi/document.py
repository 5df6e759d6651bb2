"""The API's description, OpenAPI 3.1, made from what the code itself checks and answers.

    operations.py   the operations, gathered from the resources: each row stands beside its view
    schemas.py      the structs that bodies and answers are made of, as JSON Schema, by msgspec
    portable.py     JSON Schema in the words client generators know
    problems.py     refusals, from the table in apps/errors.py
    examples.py     bodies that work, and what they are answered

`manage.py write_openapi` writes it to static/openapi.json; tests/api/test_openapi.py holds that the file is current and
names every address of config/urls_api.py and no other.
"""

from typing import Any

from apps.api.openapi.operations import OPERATIONS, TAGS
from apps.api.openapi.portable import portable, with_named_enumerations
from apps.api.openapi.problems import examples, responses
from apps.api.openapi.schemas import components, schema_of
from apps.api.operation import Body, Operation

__all__ = ["OPERATIONS", "document"]

_ABOUT = """
Fraud decisions in about a millisecond: a probability, a risk level, an action and the reasons.

**Keys.** Send `Authorization: Bearer <key>` or `X-API-Key: <key>`. Live keys (`pk_live_…`) are billed; test keys
(`pk_test_…`) score really, are stored apart and are never billed. A short-lived token of `POST /v1/auth/token` works in
a key's place.

**Units.** One transaction answered with a decision is one unit. Errors, replays, duplicates, dry runs, test keys and
degraded answers cost nothing; every answer says its `billed_units`.

**Errors** are `application/problem+json` (RFC 9457); each `code` is explained at [/docs/errors](/docs/errors). A block
is no error: it is a 200. A method an address does not have is answered 405 with `Allow`.

**Limits.** `RateLimit` and `RateLimit-Policy` (IETF draft) and `X-RateLimit-*` say what is left of the minute; a 429
says when to come again in `Retry-After`.

**Addresses** work with and without a trailing slash.
"""
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "pk_live_…, pk_test_… or a JWT"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def document() -> dict[str, Any]:
    """The whole description, as JSON types."""
    schemas = with_named_enumerations(portable(components()))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Palisade", "version": "1", "summary": "Fraud decisions", "description": _ABOUT.strip()},
        "servers": [{"url": "/", "description": "This server"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": portable(_paths()),
        "components": {"securitySchemes": _SECURITY, "schemas": schemas, "examples": examples()},
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return paths


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": list(operation.parameters),
        "responses": responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": operation.body.required, "content": _content(operation.body)}
    if not operation.scope:
        described["security"] = []
    return described


def _content(body: Body) -> dict[str, Any]:
    content = {"schema": schema_of(body.shape), "examples": body.examples}
    return {body.media_type: content} | {name: {"schema": {"type": "string"}} for name in body.files}
