"""The scoring API's application. All a request needs is loaded here, once, before they are forked."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.api")

import django

django.setup(set_prefix=False)

from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch

from apps.api.endpoint import ApiView
from apps.scoring.serving.runtime import begin, load
from config.middleware import OwnConnection
from config.serving.application import Application
from config.serving.limits import MEGABYTE


class Api(Application):
    """The API's endpoints without what they don't need of Django: they answer their own errors and set their own
    headers, so no middleware is passed (40 µs a request). Pages and files go through Django as everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded = load()
        self._known: dict[str, ResolverMatch] = {}
        self._connection = OwnConnection()

    def before_serving(self) -> None:
        begin(self._loaded)

    def body_limit(self, request: HttpRequest) -> int:
        endpoint = self._endpoint(request)
        return endpoint.body_limit if endpoint else MEGABYTE

    def before_body(self, request: HttpRequest) -> HttpResponseBase | None:
        endpoint = self._endpoint(request)
        return endpoint.before_body(request) if endpoint else None

    def uploads_to(self, request: HttpRequest) -> Path | None:
        endpoint = self._endpoint(request)
        return settings.BATCH_SCRATCH if endpoint and endpoint.takes_uploads else None

    def vouched_for(self, request: HttpRequest) -> bool:
        endpoint = self._endpoint(request)
        return endpoint is not None and endpoint.needs_key

    def in_company(self, request: HttpRequest) -> bool:
        endpoint = self._endpoint(request)
        return endpoint is not None and endpoint.in_company

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        match = self._match(request)
        if match is None or not hasattr(match.func, "cls"):
            return super().__call__(request)
        request.resolver_match = match
        with self._connection:
            response = match.func(request, *match.args, **match.kwargs)
        response.closed = not response.streaming  # it holds nothing; to say so by Django's signal costs 15 µs
        return response

    def resolve_request(self, request: HttpRequest) -> Any:
        match = self._match(request)
        return super().resolve_request(request) if match is None else match

    def _endpoint(self, request: HttpRequest) -> type[ApiView] | None:
        match = self._match(request)
        return getattr(match.func, "cls", None) if match else None

    def _match(self, request: HttpRequest) -> ResolverMatch | None:
        """The view of a path; of one without parameters it is remembered: finding it costs 40 µs."""
        match = self._known.get(request.path_info)
        if match is None:
            try:
                match = super().resolve_request(request)
            except Resolver404:
                return None
            if not match.kwargs:  # few: the paths of config/urls_api.py themselves
                self._known[request.path_info] = match
        request.resolver_match = match
        return match


application = Api()
