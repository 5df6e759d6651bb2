"""The application of a worker: Django's handler, and what it says of a request before its body is there."""

from pathlib import Path

from django.conf import settings
from django.core import signals
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import get_resolver, set_script_prefix

from apps.api import problems
from apps.errors import Problem
from config.serving.limits import MEGABYTE


class Application(BaseHandler):
    """Django with its middleware and every view, as the portal needs it; the API's is in config/application_api.py."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        get_resolver().url_patterns  # noqa: B018 - Django imports the views with the first request otherwise

    def before_serving(self) -> None:
        """Make ready what a process must have of its own. Nothing is accepted until it returns."""

    def body_limit(self, request: HttpRequest) -> int:
        """Bytes the request's body may have."""
        return settings.DATA_UPLOAD_MAX_MEMORY_SIZE or MEGABYTE

    def before_body(self, request: HttpRequest) -> HttpResponseBase | None:
        """Refuse a request by its head, or None to receive its body."""
        return None

    def uploads_to(self, request: HttpRequest) -> Path | None:
        """Where the request's body becomes a file while it arrives; None where it is held."""
        return None

    def vouched_for(self, request: HttpRequest) -> bool:
        """Whether the sender is known, once `before_body` let it pass: its body counts against another bound."""
        return False

    def in_company(self, request: HttpRequest) -> bool:
        """Whether a request may be answered side by side with others in one thread: see `apps.company.together`."""
        return False

    def at_once(self, request: HttpRequest) -> HttpResponseBase | None:
        """An answer that is at hand, None for one that a thread must make."""
        return None

    def refusal(self, problem: Problem) -> HttpResponse:
        """The answer to a request that was refused before Django saw it."""
        return problems.plain(problem)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request that is all there."""
        set_script_prefix("/")
        signals.request_started.send(sender=self.__class__, environ=request.META)
        return self.get_response(request)
