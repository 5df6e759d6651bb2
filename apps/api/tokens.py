"""The door of `/v1/auth/token`: a key in, a short-lived token for it out."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import times
from apps.api.endpoint import ApiView, content_length, json_answer
from apps.api.openapi import examples
from apps.api.operation import REQUEST_ID, WITH_A_BODY, Answer, Body, Operation, not_stored
from apps.api_keys import tokens
from apps.api_keys.gate import ANY_SCOPE
from apps.decoding import decode
from apps.errors import Problem

Scope = Literal["read", "predict", "batch", "admin"]


class TokenRequest(msgspec.Struct, frozen=True):
    """What the token shall be. All of it may be left out, the body too."""

    scopes: Annotated[list[Scope], Meta(min_length=1, description="Some of the key's; left out: all.")] | None = None
    expires_in: Annotated[
        int, Meta(ge=1, le=tokens.MOST_SECONDS, description="Seconds it lives.", examples=[tokens.DEFAULT_SECONDS])
    ] = tokens.DEFAULT_SECONDS


class Token(msgspec.Struct, frozen=True):
    """A token in its key's place."""

    access_token: Annotated[str, Meta(description="Send it as `Authorization: Bearer …`.")]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(description="Seconds.")]
    expires_at: Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]
    scopes: tuple[Scope, ...]


class TokenView(ApiView):
    """POST: a token that stands for the key. A token makes no token, or it would live for ever."""

    endpoint = "auth_token"
    scopes: ClassVar = {"POST": ANY_SCOPE}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.understood(request, self._asked)
        admission = self.admit_only(request)
        scopes = _part_of(admission.scopes, asked.scopes)
        return json_answer(self._token(scopes, asked.expires_in), {"Cache-Control": "no-store"})

    def _asked(self, request: HttpRequest) -> TokenRequest:
        if self.key.scopes is not None:
            raise Problem("key_required")
        empty = not content_length(request.META) and "HTTP_TRANSFER_ENCODING" not in request.META
        return TokenRequest() if empty else decode(self.read_body(request), TokenRequest)

    def _token(self, scopes: tuple[str, ...], seconds: int) -> Token:
        issued_at = self.received_us // 1_000_000
        expires_at = issued_at + seconds
        text = tokens.issue(
            self.key, self.digest, scopes, issued_at=issued_at, expires_at=expires_at, secret=settings.TOKEN_SECRET
        )
        return Token(text, "Bearer", seconds, times.rfc3339_of_us(expires_at * 1_000_000), scopes)  # type: ignore[arg-type]


def _part_of(of_the_key: tuple[str, ...], wanted: list[Scope] | None) -> tuple[str, ...]:
    """The scopes wanted, in the key's order. Raises `Problem` when the key lacks one."""
    lacking = [scope for scope in wanted or () if scope not in of_the_key]
    if lacking:
        message = f"The key has no scope '{lacking[0]}'. It has: {', '.join(of_the_key)}."
        raise Problem("scope_missing", message, "scopes", extra={"required_scope": lacking[0]})
    return tuple(scope for scope in of_the_key if wanted is None or scope in wanted)


TAG = "Keys"
OPERATIONS: Sequence[Operation] = (
    Operation(
        "POST",
        "/v1/auth/token",
        "createToken",
        TAG,
        "Get a token for a key",
        "A signed token (JWT, HS256) that works wherever the key does, for "
        f"{tokens.DEFAULT_SECONDS // 60} minutes unless `expires_in` says otherwise, and ends with it at once: "
        "revoked, expired, rotated away. It may carry fewer scopes than the key. Send the key itself: a token makes no "
        "token. The body may be left out. Scope: any.",
        Answer(Token, "Send `access_token` where the key would stand.", headers=not_stored("`no-store`")),
        scope="any",
        parameters=(REQUEST_ID,),
        body=Body(TokenRequest, examples.TOKEN, required=False),
        problems=(*WITH_A_BODY, "field_invalid", "key_required"),
    ),
)
