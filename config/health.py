"""/health, /ready and /metrics: for load balancers and Prometheus; no key. Details are for operators alone."""

from hmac import compare_digest
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django_prometheus.exports import ExportToDjangoView

from apps import addresses
from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api import index, problems
from apps.api.response_headers import shielded
from apps.api.service import Health, Readiness, State
from apps.scoring.engine.models import LoadedModel
from apps.scoring.serving.runtime import get_scoring
from apps.usage.metering.journal import Journal
from apps.valkey import Away


@problems.only_read
def health(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing is asked of the stores."""
    return _json(Health("ok", "palisade"))


@problems.only_read
def ready(request: HttpRequest) -> HttpResponse:
    """200 while scoring is possible, if degraded; else 503. Operators see each dependency's state."""
    scoring = get_scoring()
    journal = scoring.journal
    stores = {"postgres": _postgres(), "valkey": journal.valkey.answers()}
    found = {name: "ok" if up else "away" for name, up in stores.items()}
    found |= {
        f"model:{schema}/{name}": _model(model)
        for schema, known in scoring.engine.models.items()
        for name, model in known.items()
    }
    able = any(stores.values())
    state: State = "ready" if all(word == "ok" for word in found.values()) else "degraded" if able else "away"
    told = (found, _waiting(journal)) if _asks_an_operator(request) else ()
    return _json(Readiness(state, *told), 200 if able else 503)


@problems.only_read
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, summed over all processes; for others than operators there is nothing here."""
    if not _asks_an_operator(request):
        return index.not_found(request)
    return shielded(ExportToDjangoView(request))


def _asks_an_operator(request: HttpRequest) -> bool:
    """Whether it comes from the operators' networks or with their token. What a proxy here forwards isn't from here."""
    value = request.META.get("HTTP_AUTHORIZATION", "").encode()
    if settings.METRICS_TOKEN and compare_digest(value, f"Bearer {settings.METRICS_TOKEN}".encode()):
        return True
    address = addresses.client_address(request.META, settings.TRUSTED_PROXIES)
    forwarded = addresses.inside(address, addresses.LOOPBACK) and addresses.was_forwarded(request.META)
    return addresses.inside(address, settings.OPERATOR_NETWORKS) and not forwarded


def _postgres() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except POSTGRES_AWAY:
        return False
    return True


def _waiting(journal: Journal) -> int | None:
    try:
        return sum(journal.lengths())
    except Away:
        return None


def _model(model: Any) -> str:
    return "ok" if isinstance(model, LoadedModel) else f"refused: {model}"


def _json(body: msgspec.Struct, status: int = 200) -> HttpResponse:
    return shielded(HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json"))
