"""/openapi.json, /docs, /redoc and the page of errors. Assets come from here, never from a CDN."""

import re
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from apps.errors import KINDS

OPENAPI = settings.BASE_DIR / "static" / "openapi.json"
#: Swagger UI and ReDoc style inline and draw from data: addresses; everything else is ours, or is not loaded.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The API's description: OpenAPI 3.1, written by `make openapi`, held true by a test."""
    return HttpResponse(_description(), content_type="application/json")


@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs/swagger.html")


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs/redoc.html")


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Every error code, what it means and what to do: what `doc_url` points at."""
    rows = [(code, kind.status, kind.title, _marked(kind.fix)) for code, kind in KINDS.items()]
    return _page(request, "docs/errors.html", {"rows": rows})


def _page(request: HttpRequest, template: str, context: dict[str, Any] | None = None) -> HttpResponse:
    answer = render(request, template, context)
    answer["Content-Security-Policy"] = _POLICY
    return answer


def _marked(text: str) -> SafeString:
    """`words` as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped


@cache
def _description() -> bytes:
    return OPENAPI.read_bytes()
