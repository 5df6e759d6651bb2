"""/health, /ready and /metrics: for load balancers and Prometheus; no key. Details are for operators alone."""

import msgspec
from django.http import Http404, HttpRequest, HttpResponse

from apps.api import dependencies, index, problems
from apps.api.response_headers import shielded
from apps.api.service import Health, Readiness, State
from apps.monitoring.exposition import CONTENT_TYPE, counted, exposition
from apps.monitoring.operators import asks_an_operator
from apps.scoring.serving.runtime import get_scoring
from config.serving import stopping


@problems.only_read
def health(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing is asked of the stores."""
    return _json(Health("ok", "palisade"))


@problems.only_read
def ready(request: HttpRequest) -> HttpResponse:
    """200 while scoring is possible, if degraded; else 503, also before this process stops. Operators see more."""
    if stopping.begun():
        return _json(Readiness("stopping"), 503)
    scoring = get_scoring()
    stores = dependencies.stores(scoring)
    found = {name: "ok" if up else "away" for name, up in stores.items()}
    found |= {f"model:{name}": state for name, state in dependencies.models(scoring).items()}
    able = any(stores.values())
    state: State = "ready" if all(word == "ok" for word in found.values()) else "degraded" if able else "away"
    told = (found, dependencies.waiting(scoring.journal)) if asks_an_operator(request.META) else ()
    return _json(Readiness(state, *told), 200 if able else 503)


@problems.only_read
def portal_ready(request: HttpRequest) -> HttpResponse:
    """200 while pages can be made: Postgres answers, and this process is not about to stop."""
    if stopping.begun():
        return _json(Readiness("stopping"), 503)
    able = dependencies.postgres_answers()
    return _json(Readiness("ready" if able else "away"), 200 if able else 503)


@problems.only_read
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, summed over all processes; for others than operators there is nothing here."""
    if not asks_an_operator(request.META):
        return index.not_found(request)
    return shielded(HttpResponse(exposition(), content_type=CONTENT_TYPE))


@problems.only_read
def portal_metrics(request: HttpRequest) -> HttpResponse:
    """The same of what the portal's processes count; the API's tells the rest."""
    if not asks_an_operator(request.META):
        raise Http404
    return shielded(HttpResponse(counted(), content_type=CONTENT_TYPE))


def _json(body: msgspec.Struct, status: int = 200) -> HttpResponse:
    return shielded(HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json"))
