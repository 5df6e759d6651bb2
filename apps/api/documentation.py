"""/openapi.json, /docs, /redoc, the pages of errors, fields and models. Assets come from here, never from a CDN."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any, get_type_hints

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from apps.api import problems
from apps.errors import KINDS
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.field_types import metas
from apps.scoring.serving import model_cards, transaction_fields
from apps.scoring.serving.card_words import METRICS, counted, metric
from apps.scoring.serving.runtime import get_scoring

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
def fields(request: HttpRequest) -> HttpResponse:
    """Every field of a transaction: what it takes, its known values, and whether the models here weigh it."""
    schemas = transaction_fields.of_models(get_scoring().engine.models)
    return _page(
        request,
        "docs/fields.html",
        {
            "schemas": [(name, [(row, _marked(row.known_text)) for row in rows]) for name, rows in schemas.items()],
            "reason": [(name, _marked(text)) for name, text in described(Reason)],
        },
    )


@problems.only_read
def models(request: HttpRequest) -> HttpResponse:
    """The cards of the models that decide."""
    cards = [
        card for card in model_cards.of_all(get_scoring().engine.models) if isinstance(card, model_cards.ModelCard)
    ]
    return _page(
        request,
        "docs/models.html",
        {"schemas": [_shown(*group) for group in _by_schema(cards)], "labels": METRICS.values()},
    )


def described(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """A struct's fields and their descriptions."""
    for name, annotation in get_type_hints(struct, include_extras=True).items():
        yield name, next((meta.description for meta in metas(annotation) if meta.description), "")


def _by_schema(cards: list[model_cards.ModelCard]) -> Iterator[tuple[str, list[model_cards.ModelCard]]]:
    for schema, group in groupby(cards, key=lambda card: card.schema):
        yield schema, list(group)


def _shown(schema: str, cards: list[model_cards.ModelCard]) -> dict[str, Any]:
    """A schema's models as the page shows them: what they share once, and a row each."""
    data, quality = cards[0].trained_on, cards[0].quality
    return {
        "name": schema,
        "data": data,
        "learnt": counted(schema, data) if data else "",
        "measured": counted(schema, quality) if quality else "",
        "rows": [(card, [metric(card, name) for name in METRICS]) for card in cards],
    }


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
