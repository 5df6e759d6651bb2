"""Security headers of every answer: no cache keeps it, no browser frames it or takes it for something else."""

from collections.abc import Mapping
from typing import TypeVar

from django.conf import settings
from django.http.response import HttpResponseBase

Response = TypeVar("Response", bound=HttpResponseBase)

_ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # explanations as SVG and invoices as HTML have their style with them; nothing else is loaded or done
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
}


def _prepared() -> dict[str, tuple[str, str]]:
    """As Django's ResponseHeaders keep them."""
    headers = dict(_ALWAYS)
    if settings.SECURE_HSTS_SECONDS:
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains"
    return {name.lower(): (name, value) for name, value in headers.items()}


_HEADERS = _prepared()


def shielded(response: Response) -> Response:
    """The same answer with the headers. Put in at once (0.2 µs): one by one they cost 2 µs of each request."""
    response.headers._store.update(_HEADERS)  # Django's own, no public name: a test holds it
    return response


def with_own(response: Response, headers: Mapping[str, str]) -> Response:
    """The same answer with headers of our own making: ASCII on one line, which Django would check one by one (3 µs)."""
    response.headers._store.update({name.lower(): (name, value) for name, value in headers.items()})
    return response
