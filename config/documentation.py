"""/openapi.json, /docs, /redoc and the page of errors. Assets come from here, never from a CDN."""

from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.errors import KINDS

OPENAPI = settings.BASE_DIR / "static" / "openapi.json"


def openapi(request: HttpRequest) -> HttpResponse:
    """The API's description: OpenAPI 3.1, written by `make openapi`, held true by a test."""
    return HttpResponse(_description(), content_type="application/json")


def swagger(request: HttpRequest) -> HttpResponse:
    return render(request, "docs/swagger.html")


def redoc(request: HttpRequest) -> HttpResponse:
    return render(request, "docs/redoc.html")


def errors(request: HttpRequest) -> HttpResponse:
    """Every error code, what it means and what to do: what `doc_url` points at."""
    return render(request, "docs/errors.html", {"kinds": KINDS})


@cache
def _description() -> bytes:
    return OPENAPI.read_bytes()
