"""/openapi.json, /docs, /redoc, the pages of errors and of models. Assets come from here, never from a CDN."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from apps.api import problems
from apps.errors import KINDS
from apps.scoring.serving import model_cards
from apps.scoring.serving.runtime import get_scoring

#: The columns of the models' page, in the cards' own words.
METRICS = ("auc_roc", "average_precision", "recall_at_1pct_fpr", "calibration_error", "precision", "recall")
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


@problems.only_read
def openapi(request: HttpRequest) -> HttpResponse:
    """The API's description: OpenAPI 3.1, written by `make openapi`, held true by a test."""
    return HttpResponse(_description(), content_type="application/json")


@problems.only_read
def swagger(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs/swagger.html")


@problems.only_read
def redoc(request: HttpRequest) -> HttpResponse:
    return _page(request, "docs/redoc.html")


@problems.only_read
def errors(request: HttpRequest) -> HttpResponse:
    """Every error code, what it means and what to do: what `doc_url` points at."""
    rows = [(code, kind.status, kind.title, _marked(kind.fix)) for code, kind in KINDS.items()]
    return _page(request, "docs/errors.html", {"rows": rows})


@problems.only_read
def models(request: HttpRequest) -> HttpResponse:
    """The cards of the models that decide."""
    told = [card for card in model_cards.of_all(get_scoring().engine.models) if isinstance(card, model_cards.ModelCard)]
    return _page(request, "docs/models.html", {"schemas": [_shown(*group) for group in _by_schema(told)]})


def _by_schema(told: list[model_cards.ModelCard]) -> Iterator[tuple[str, list[model_cards.ModelCard]]]:
    for schema, group in groupby(told, key=lambda card: card.schema):
        yield schema, list(group)


def _shown(schema: str, told: list[model_cards.ModelCard]) -> dict[str, Any]:
    """A schema's models as the page shows them: what they share once, and a row each."""
    data, quality = told[0].trained_on, told[0].quality
    return {
        "name": schema,
        "data": data,
        "learnt": _counted(data) if data else "",
        "measured": _counted(quality) if quality else "",
        "rows": [(card, [_metric(card, name) for name in METRICS]) for card in told],
    }


def _counted(part: model_cards.TrainedOn | model_cards.Quality) -> str:
    first, last = part.period[0], part.period[-1]
    return f"{part.rows:,} transactions from {first} to {last}, {part.frauds:,} of them fraud"


def _metric(card: model_cards.ModelCard, name: str) -> tuple[float | None, float | None, float | None]:
    """A metric and its interval."""
    if card.quality is None:
        return None, None, None
    return card.quality.metrics.get(name), *card.quality.intervals_95.get(name, (None, None))


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
