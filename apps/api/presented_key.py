"""Credentials of a request: an API key, a token in its place, or in demo mode none. No I/O but for the demo key."""

from typing import Any

from django.conf import settings

from apps import addresses, card_numbers
from apps.accounts.models import Tenant
from apps.api.client_address import client_address
from apps.api_keys import keys, tokens
from apps.api_keys.keys import PresentedKey
from apps.api_keys.services import digest_of
from apps.errors import Problem

_demo: list[tuple[PresentedKey, str]] = []


def presented_key(meta: dict[str, Any], now: float) -> tuple[PresentedKey, str]:
    """`Authorization: Bearer <key>` or `X-API-Key: <key>`, or a token in its place; and the key's digest.

    A malformed key and a token that is none of ours, or no longer, are refused here, with no I/O.
    """
    text = _presented(meta)
    if text is None:
        return _demo_key(meta)
    key = keys.parse(text)
    if key is not None:
        return key, digest_of(text)
    if text.startswith(tokens.BEGINNING):
        return tokens.present(text, now=now, secret=settings.TOKEN_SECRET)
    raise Problem("key_malformed", keys.why_malformed(text))


def get_demo_key() -> tuple[PresentedKey, str] | None:
    """The demo tenant's key and its digest, once the tenant exists."""
    if not _demo:
        tenant = Tenant.objects.filter(slug=settings.DEMO_TENANT).first()
        text = keys.derive(tenant.handle, settings.KEY_PEPPER) if tenant else ""
        key = keys.parse(text)
        if key is None:
            return None
        _demo.append((key, digest_of(text)))
    return _demo[0]


def _presented(meta: dict[str, Any]) -> str | None:
    """What a request says who it is, None when it says nothing. A header that says nothing is malformed, not absent."""
    bearer, plain = meta.get("HTTP_AUTHORIZATION"), meta.get("HTTP_X_API_KEY")
    if plain is None:
        return None if bearer is None else _of_bearer(bearer)
    plain = plain.strip(" \t")
    if not (bearer and bearer.strip(" \t")):
        return plain
    value = _of_bearer(bearer)
    if plain not in ("", value):
        raise Problem("key_malformed", "Authorization and X-API-Key say different things: send one of them.")
    return value


def _of_bearer(value: str) -> str:
    kind, _, text = value.strip(" \t").partition(" ")
    if kind.lower() != "bearer":
        raise Problem("key_malformed", _why_no_bearer(kind, text))
    return text.strip(" \t")


def _why_no_bearer(kind: str, text: str) -> str:
    """What an Authorization header should have said. Its scheme alone is quoted: the rest may be a secret."""
    if not text:
        return "The word Bearer is missing: send Authorization: Bearer <key>."
    scheme = card_numbers.cut(kind, 20) if kind.isascii() and kind.isalnum() else "another scheme"
    return f"The Authorization header says {scheme}: send Authorization: Bearer <key>, or X-API-Key: <key>."


def _demo_key(meta: dict[str, Any]) -> tuple[PresentedKey, str]:
    """In demo mode who calls from this very machine, forwarded by nobody, acts for the demo tenant."""
    if settings.DEMO_MODE and addresses.inside(client_address(meta), addresses.LOOPBACK):
        demo = None if addresses.was_forwarded(meta) else get_demo_key()
        if demo is not None:
            return demo
    raise Problem("key_missing")
