"""Short-lived tokens that stand for a key: JWTs (RFC 7519), HS256, of the type RFC 9068 gives access tokens. Pure.

A token carries the key's digest, never the key, and the gate is asked with that digest on every request as if the key
itself had come: revoked, expired, rotated away or suspended, the key takes its tokens along at once. What a token may
do is a part of what its key may; where it may less, the gate is asked for a scope nobody has.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import jwt
import msgspec

from apps.api_keys.keys import PresentedKey
from apps.errors import Problem

ALGORITHM = "HS256"  # the only one believed: what the token says of itself is not asked
TYPE = "at+jwt"
ISSUER: Literal["palisade"] = "palisade"
#: How every JWT begins: `{"` in base64url.
BEGINNING = "eyJ"
#: Ours have about 350 characters; longer ones are not worth a signature's check.
LONGEST = 1_024
DEFAULT_SECONDS = 900
MOST_SECONDS = 3_600


class Claims(msgspec.Struct, frozen=True):
    """What a token says. `sub` is the key's digest, `exp` in seconds since 1970."""

    iss: Literal["palisade"]
    sub: str
    handle: str
    live: bool
    scope: str  # separated by blanks, as RFC 8693 has it
    iat: int
    exp: int


def issue(
    key: PresentedKey, digest: str, scopes: Sequence[str], *, issued_at: int, expires_at: int, secret: str
) -> str:
    """A token for a key with these of its scopes, between two moments in seconds since 1970."""
    claims = Claims(ISSUER, digest, key.handle, key.livemode, " ".join(scopes), issued_at, expires_at)
    return jwt.encode(msgspec.to_builtins(claims), secret, ALGORITHM, headers={"typ": TYPE})


def present(text: str, *, now: float, secret: str) -> tuple[PresentedKey, str]:
    """The key a token stands for, with the token's scopes, and the key's digest. No I/O. Raises `Problem`."""
    claims = _verified(text, secret) if len(text) <= LONGEST else None
    if claims is None:
        raise Problem("token_invalid")
    if now >= claims.exp:
        raise Problem("token_expired")
    return PresentedKey(claims.handle, claims.live, tuple(claims.scope.split())), claims.sub


@lru_cache(maxsize=4096)
def _verified(text: str, secret: str) -> Claims | None:
    """The claims when signature, type and form are right. Remembered, for a check costs 50 µs; time is judged anew."""
    try:
        found = jwt.decode_complete(text, secret, [ALGORITHM], {"verify_exp": False, "verify_iat": False})
        return msgspec.convert(found["payload"], Claims) if found["header"].get("typ") == TYPE else None
    except (jwt.PyJWTError, msgspec.ValidationError, UnicodeError, RecursionError):
        return None
