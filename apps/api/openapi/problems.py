"""An operation's responses: its answer, and every refusal it may meet, from the table in apps/errors.py."""

from collections.abc import Iterable
from typing import Any

import msgspec

from apps.api import problems
from apps.api.openapi.schemas import ref, schema_of
from apps.api.operation import PROBLEM, Operation
from apps.errors import KINDS, Problem

#: What the server may say of a request before it is anybody's (config/serving), as problem+json whatever the interface.
BEFORE_ANY_VIEW = ("request_malformed", "head_too_large", "request_too_slow")
#: The same where there is a body to wait for.
BEFORE_A_BODY = ("bodies_waiting",)
#: What every call with a key may be told.
BEHIND_THE_GATE = (
    "key_missing",
    "key_malformed",
    "key_unknown",
    "key_revoked",
    "key_expired",
    "token_invalid",
    "token_expired",
    "tls_required",
    "keys_refused",
    "scope_missing",
    "address_refused",
    "tenant_suspended",
    "tenant_closed",
    "rate_limited",
    "stores_away",
    "internal",
)


def responses(operation: Operation) -> dict[str, Any]:
    """Status → response, in order."""
    answered = {status: _answer(operation, status) for status in operation.answer.statuses}
    codes = (*operation.problems, *BEFORE_ANY_VIEW)
    if operation.scope:
        codes += BEHIND_THE_GATE
    if operation.body:
        codes += BEFORE_A_BODY
    if any(parameter["in"] == "query" for parameter in operation.parameters):
        codes += ("query_invalid",)
    by_status: dict[int, list[str]] = {}
    for code in KINDS:
        if code in codes:
            by_status.setdefault(KINDS[code].status, []).append(code)
    refused = {str(status): _refusal(operation, status, by_status[status]) for status in sorted(by_status)}
    return answered | refused


def examples() -> dict[str, Any]:
    """Every refusal as it is answered, by code."""
    return {code: {"summary": kind.title, "value": _example(code)} for code, kind in KINDS.items()}


def _example(code: str) -> Any:
    return msgspec.json.decode(problems.body(Problem(code), "req_8d3f0a6b1c2e4f5a9b7c6d5e"))


def _answer(operation: Operation, status: str) -> dict[str, Any]:
    answer = operation.answer
    content = {"schema": schema_of(answer.shape)} | ({"examples": answer.examples} if answer.examples else {})
    headers = (_GATED | answer.headers) if operation.scope else answer.headers
    described = {"description": answer.description, "content": {answer.media_type: content}}
    return described | ({"headers": headers} if headers else {})


def _refusal(operation: Operation, status: int, codes: Iterable[str]) -> dict[str, Any]:
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    content: dict[str, Any] = {"schema": ref(operation.problem)}
    media_type = "application/json"
    if operation.problem == PROBLEM:
        content, media_type = content | {"examples": examples}, "application/problem+json"
    return {
        "description": "\n".join(f"* `{code}`: {KINDS[code].title}. {KINDS[code].fix}" for code in codes),
        "headers": _ALWAYS | _REFUSED.get(status, {}),
        "content": {media_type: content},
    }


def _header(description: str, *, required: bool = False, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}} | ({"required": True} if required else {})


_ALWAYS = {
    "X-Request-Id": _header("Yours when you sent one, else ours.", required=True),
    "Server-Timing": _header("Our share of the time, in ms."),
}
_RATES = {
    "RateLimit": _header('What is left: "minute";r=<requests>;t=<seconds until full again>'),
    "RateLimit-Policy": _header('The limit: "minute";q=<requests>;w=60'),
    "X-RateLimit-Limit": _header("Requests a minute.", kind="integer"),
    "X-RateLimit-Remaining": _header("Requests left now.", kind="integer"),
    "X-RateLimit-Reset": _header("Seconds until all of them are back.", kind="integer"),
}
_GATED = _ALWAYS | {name: header | {"required": True} for name, header in _RATES.items()}
_RETRY = {"Retry-After": _header("Seconds to wait.", kind="integer")}
#: Refusals of those the gate has let in say the rate too.
_REFUSED = {
    400: _RATES,
    401: {"WWW-Authenticate": _header('Bearer realm="palisade"', required=True)},
    404: _RATES | {"X-Request-Id": _header("Not where there is no such address.")},
    409: _RETRY,
    413: _RATES,
    415: _RATES,
    422: _RATES,
    429: _RETRY | _RATES,
    503: _RETRY,
}
