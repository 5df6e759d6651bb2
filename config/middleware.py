"""The middleware that is our own, and how the API looks after its connection to Postgres beside it."""

import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.core.cache import close_caches
from django.core.exceptions import MiddlewareNotUsed
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

from apps import tracing
from apps.accounts.audit import ORIGIN, Origin
from apps.addresses import came_over_tls, client_address
from apps.log_context import ANSWERING, Answering
from apps.request_ids import request_id_of

PAGE_SECONDS = Histogram(
    "palisade_page_seconds",
    "Server time of a page of the portal or the operators' admin",
    ["page", "status"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
#: Of what no address of ours answers.
NO_PAGE = "none"

Respond = Callable[[HttpRequest], HttpResponse]


class _ThreadsConnection(threading.local):
    """Django's wrapper of this thread's connection, looked up once: each look through `connections` costs 10 µs."""

    def __init__(self) -> None:
        self.wrapper: BaseDatabaseWrapper = connections["default"]


class OwnConnection:
    """Looks after this thread's connection: after a request that used it, sees whether it is still good; the next use
    checks it again.

    Django looks after its connections at the beginning and the end of every request; a scoring request has none, and
    the looking costs 40 µs. Here only a request that has a connection pays.
    """

    def __init__(self) -> None:
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        request_started.disconnect(reset_queries)
        request_finished.disconnect(close_caches)  # this API has no cache
        self._mine = _ThreadsConnection()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *failure: object) -> None:
        if self._mine.wrapper.connection is not None:
            self._mine.wrapper.close_if_unusable_or_obsolete()


def look_after_connection(respond: Respond) -> Respond:
    """The same for what passes Django's middleware."""
    own = OwnConnection()

    def handle(request: HttpRequest) -> HttpResponse:
        with own:
            return respond(request)

    return handle


def believe_our_proxies(respond: Respond) -> Respond:
    """See that `X-Forwarded-Proto` says https only where our own proxies say so: Django believes whoever sends it."""

    def handle(request: HttpRequest) -> HttpResponse:
        if came_over_tls(request.META, settings.TRUSTED_PROXIES):
            request.META["HTTP_X_FORWARDED_PROTO"] = "https"
        elif "HTTP_X_FORWARDED_PROTO" in request.META:
            request.META["HTTP_X_FORWARDED_PROTO"] = "http"
        return respond(request)

    return handle


def time_pages(respond: Respond) -> Respond:
    """Tell how long pages take, by the names of their addresses."""

    def handle(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = respond(request)
        PAGE_SECONDS.labels(_page_of(request), response.status_code).observe(time.perf_counter() - began)
        return response

    return handle


def trace_pages(respond: Respond) -> Respond:
    """Make each page a trace, where there are any. It stands inside `note_origin`, which knows what is answered."""
    if not tracing.is_on():
        raise MiddlewareNotUsed

    def handle(request: HttpRequest) -> HttpResponse:
        with tracing.request(f"{request.method} {NO_PAGE}") as span:
            response = respond(request)
            answering = ANSWERING.get()
            span.update_name(f"{request.method} {_page_of(request)}")
            span.set_attribute("http.request.method", str(request.method))
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("palisade.request_id", answering.request_id)
            span.set_attribute("palisade.tenant", answering.tenant)
            return response

    return handle


def _page_of(request: HttpRequest) -> str:
    """The name of a page's address."""
    return (request.resolver_match and request.resolver_match.url_name) or NO_PAGE


def note_origin(respond: Respond) -> Respond:
    """Let the audit trail know which request is answered and where it came from; tell the sender its id, too."""

    def handle(request: HttpRequest) -> HttpResponse:
        origin = Origin(client_address(request.META, settings.TRUSTED_PROXIES), request_id_of(request.META))
        noted, answering = ORIGIN.set(origin), ANSWERING.set(Answering(origin.request_id))
        try:
            response = respond(request)
        finally:
            ORIGIN.reset(noted)
            ANSWERING.reset(answering)
        response["X-Request-Id"] = origin.request_id
        return response

    return handle


def permit_nothing(respond: Respond) -> Respond:
    """Tell browsers that our pages use none of their devices."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = respond(request)
        response["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        return response

    return handle
