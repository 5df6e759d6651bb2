"""The door of `/v1/auth/token`: a key in, a short-lived token for it out."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.endpoint import ApiView, content_length, json_answer
from apps.api_keys import tokens
from apps.api_keys.gate import ANY_SCOPE
from apps.decoding import decode
from apps.errors import Problem
from apps.usage.metering.events import moment

Scope = Literal["read", "predict", "batch", "admin"]


class TokenRequest(msgspec.Struct, frozen=True):
    """What the token shall be. All of it may be left out, the body too."""

    scopes: Annotated[list[Scope], Meta(min_length=1, description="Some of the key's; left out: all.")] | None = None
    expires_in: Annotated[
        int, Meta(ge=1, le=tokens.MOST_SECONDS, description="Seconds it lives.", examples=[tokens.DEFAULT_SECONDS])
    ] = tokens.DEFAULT_SECONDS


class TokenView(ApiView):
    """POST: a token that stands for the key. A token makes no token, or it would live for ever."""

    endpoint = "auth_token"
    scopes: ClassVar = {"POST": ANY_SCOPE}

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = self._asked(request)
        except Problem as wrong:
            self.refuse(request, wrong)
        admission = self.admit_only(request)
        scopes = _part_of(admission.scopes, asked.scopes)
        return json_answer(self._token(scopes, asked.expires_in), {"Cache-Control": "no-store"})

    def _asked(self, request: HttpRequest) -> TokenRequest:
        if self.key.scopes is not None:
            raise Problem("key_required")
        empty = not content_length(request.META) and "HTTP_TRANSFER_ENCODING" not in request.META
        return TokenRequest() if empty else decode(self.read_body(request), TokenRequest)

    def _token(self, scopes: tuple[str, ...], seconds: int) -> dict[str, Any]:
        issued_at = self.received_us // 1_000_000
        expires_at = issued_at + seconds
        text = tokens.issue(
            self.key, self.digest, scopes, issued_at=issued_at, expires_at=expires_at, secret=settings.TOKEN_SECRET
        )
        return {
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": seconds,
            "expires_at": moment(expires_at * 1_000_000).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "scopes": scopes,
        }


def _part_of(of_the_key: tuple[str, ...], wanted: list[Scope] | None) -> tuple[str, ...]:
    """The scopes wanted, in the key's order. Raises `Problem` when the key lacks one."""
    lacking = [scope for scope in wanted or () if scope not in of_the_key]
    if lacking:
        said = f"The key has no scope '{lacking[0]}'. It has: {', '.join(of_the_key)}."
        raise Problem("scope_missing", said, "scopes", extra={"required_scope": lacking[0]})
    return tuple(scope for scope in of_the_key if wanted is None or scope in wanted)
