"""How the API looks after its connection to Postgres, in Django's middleware and beside it."""

import threading
from collections.abc import Callable

from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse

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
