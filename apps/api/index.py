"""The index: `/` answers with links, and a wrong address with those near it."""

from difflib import get_close_matches

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps import card_numbers
from apps.api import problems
from apps.api.openapi.operations import OPERATIONS
from apps.api.response_headers import shielded
from apps.api.service import Index
from apps.errors import Problem

#: Every address there is, each once.
ADDRESSES = tuple(dict.fromkeys(operation.path for operation in OPERATIONS))
#: What `/` points to, by name.
LINKS = {
    "docs": "/docs",
    "reference": "/redoc",
    "openapi": "/openapi.json",
    "errors": "/docs/errors",
    "fields": "/docs/fields",
    "models": "/docs/models",
    "health": "/health",
}
#: Addresses that are told to who missed one.
MOST_NEAR = 3
LONGEST_COMPARED = 100
#: How much of two addresses has to be the same, 0 to 1.
LEAST_ALIKE = 0.7


@problems.only_read
def index(request: HttpRequest) -> HttpResponse:
    """Answer who wonders what this is."""
    links = {name: f"{settings.API_URL}{path}" for name, path in LINKS.items()}
    content = msgspec.json.encode(Index("palisade", links))
    return shielded(HttpResponse(content, content_type="application/json"))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404, for addresses no view has."""
    near = near_to(request.path)
    hint = f" Near it are {', '.join(near)}." if len(near) > 1 else f" Near it is {near[0]}." if near else ""
    detail = f"There is nothing at {card_numbers.cut(request.path, 200)}.{hint} All addresses: {settings.API_URL}/docs."
    return problems.plain(Problem("address_unknown", detail), request.META)


def near_to(path: str) -> list[str]:
    """Up to three addresses that a wrong one may have meant: those below it, then those spelt alike."""
    asked = path.rstrip("/").lower()[:LONGEST_COMPARED]
    below = [known for known in ADDRESSES if asked and known.startswith(f"{asked}/")]
    alike = {_with_ids_of(asked, known): known for known in ADDRESSES}
    near = (alike[match] for match in get_close_matches(asked, alike, MOST_NEAR, LEAST_ALIKE))
    return list(dict.fromkeys((*below, *near)))[:MOST_NEAR]


def _with_ids_of(asked: str, known: str) -> str:
    """A known address with the parts of the one that was asked for in the places of its ids."""
    parts = asked.split("/")
    return "/".join(
        parts[at] if part.startswith("{") and at < len(parts) and parts[at].endswith(part.partition("}")[2]) else part
        for at, part in enumerate(known.split("/"))
    )
