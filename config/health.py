"""/health, /ready and /metrics: for load balancers and Prometheus; no key."""

from typing import Any

import msgspec
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.scoring.engine.models import LoadedModel
from apps.scoring.runtime import this_scoring
from apps.usage.journal import Journal
from apps.valkey import Away


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing is asked of the stores."""
    return _json({"status": "ok", "service": "palisade"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Each dependency's state. 200 while scoring is possible, with or without degradation; else 503."""
    scoring = this_scoring()
    journal = scoring.journal
    stores = {"postgres": _postgres(), "valkey": journal.valkey.answers()}
    found = {name: "ok" if up else "away" for name, up in stores.items()}
    found |= {
        f"model:{schema}/{name}": _model(model)
        for schema, known in scoring.engine.models.items()
        for name, model in known.items()
    }
    able = any(stores.values())
    state = "ready" if all(word == "ok" for word in found.values()) else "degraded" if able else "away"
    body = {"status": state, "dependencies": found, "journal_entries": _waiting(journal)}
    return _json(body, 200 if able else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, summed over all processes."""
    return ExportToDjangoView(request)


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


def _json(body: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json")
