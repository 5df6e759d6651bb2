"""Every refusal and every fault as HTTP: RFC 9457 problem+json, or a dialect's own form. One handler for all."""

import logging
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from msgspec import UNSET
from rest_framework import exceptions

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api import problem_bodies
from apps.api.response_headers import shielded
from apps.errors import Problem
from apps.request_ids import request_id_of
from apps.valkey import Away

log = logging.getLogger(__name__)
View = Callable[..., HttpResponse]

#: Refusals of DRF and Django in our words: the first that fits.
_IN_OUR_WORDS: Mapping[type[Exception], str] = {
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.UnsupportedMediaType: "media_type_unsupported",
    exceptions.NotFound: "not_found",
    Http404: "not_found",
    RequestDataTooBig: "body_too_large",
    UnreadablePostError: "body_malformed",
    TooManyFieldsSent: "query_invalid",
    SuspiciousOperation: "header_invalid",
    BadRequest: "header_invalid",
}


def handle(failure: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler."""
    view = context["view"]
    problem = as_problem(failure)
    if problem.code == "internal":
        log.error("request %s failed", view.request_id, exc_info=failure)
    response = HttpResponse(
        view.render_problem(problem), status=problem.kind.status, content_type=view.problem_content_type
    )
    for name, value in headers(problem).items():
        response[name] = value
    if problem.code == "method_not_allowed":
        response["Allow"] = ", ".join(view.allowed_methods)
    return response


def as_problem(failure: Exception) -> Problem:
    """What went wrong, without internals."""
    if isinstance(failure, Problem):
        return failure
    if isinstance(failure, POSTGRES_AWAY):
        return Problem("stores_away", "This is kept in Postgres, which is away.", retry_after=2.0)
    if isinstance(failure, Away):
        return Problem("stores_away", "Valkey went away in the middle of the request.", retry_after=1.0)
    for kind, code in _IN_OUR_WORDS.items():
        if isinstance(failure, kind):
            return Problem(code, str(failure.detail) if isinstance(failure, exceptions.APIException) else "")
    return Problem("internal")


def body(problem: Problem, request_id: str) -> bytes:
    """The problem as RFC 9457 with our members: code, param, errors, request_id, doc_url."""
    kind, page = problem.kind, f"{settings.DOCS_URL}#error-{problem.code}"
    return msgspec.json.encode(
        problem_bodies.Problem(
            type=page,
            title=kind.title,
            status=kind.status,
            detail=_detail(problem),
            code=problem.code,
            param=problem.param or None,
            request_id=request_id,
            doc_url=page,
            errors=errors_of(problem) or UNSET,
            **problem.extra,  # type: ignore[arg-type]  # members of the struct, by the name of the error
        )
    )


def detail_only(problem: Problem) -> bytes:
    """The problem as the older interfaces tell it, and all wrong fields, which they never had."""
    detail = problem.detail or f"{problem.kind.title}. {problem.kind.fix}"
    return msgspec.json.encode(problem_bodies.DialectProblem(detail, errors_of(problem) or UNSET))


def errors_of(problem: Problem) -> list[problem_bodies.FieldError]:
    """Its wrong fields as they are sent."""
    return [problem_bodies.FieldError(*error) for error in problem.errors]


def _detail(problem: Problem) -> str:
    """What happened, and what to do about it, unless the fix only says to read the detail."""
    value = problem.detail or f"{problem.kind.title}."
    return value if "`detail`" in problem.kind.fix and problem.detail else f"{value} {problem.kind.fix}"


def headers(problem: Problem) -> dict[str, str]:
    found = dict(problem.headers)
    if problem.retry_after is not None:
        found["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.kind.status == 401:
        found["WWW-Authenticate"] = 'Bearer realm="palisade"'
    return found


def only_read(view: View) -> View:
    """A view outside of DRF that is read: other methods than GET and HEAD are refused in our form."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request, *args, **kwargs)
        return plain(Problem("method_not_allowed", headers={"Allow": "GET, HEAD"}), request.META)

    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, for faults outside DRF."""
    return plain(Problem("internal"), request.META)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400: a host that is not ours, a body over the outer limit."""
    problem = as_problem(exception) if exception else Problem("header_invalid")
    if problem.code == "header_invalid":
        problem = Problem("header_invalid", "The request was refused before it was read: check the Host header.")
    return plain(problem, request.META)


def plain(problem: Problem, meta: Mapping[str, Any] | None = None) -> HttpResponse:
    """A refusal outside of any view, also of a request that was never read."""
    name = request_id_of(meta or {})
    return shielded(
        HttpResponse(
            body(problem, name),
            status=problem.kind.status,
            content_type="application/problem+json",
            headers={"X-Request-Id": name, **headers(problem)},
        )
    )
