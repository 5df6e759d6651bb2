"""The format of an API key. Pure.

pk_live_ab12cd<27 base62 characters><6-character checksum>
│       │      └ ≥ 160 random bits    └ CRC-32 of all before it, base62: a typo is refused with no I/O
│       └ the tenant's public handle: says only where to look
└ pk_live_ bills, pk_test_ never does
"""

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIXES = {True: "pk_live_", False: "pk_test_"}
HANDLE_LENGTH = 6
RANDOM_LENGTH = 27  # 62^27 > 2^160
CHECKSUM_LENGTH = 6
KEY_LENGTH = len(PREFIXES[True]) + HANDLE_LENGTH + RANDOM_LENGTH + CHECKSUM_LENGTH
#: Valkey keys of one tenant share a hash tag; tenants are spread over this many.
BUCKETS = 16

SCOPES = ("read", "predict", "batch", "admin")


@dataclass(frozen=True)
class PresentedKey:
    """A key whose form is right; nobody has looked yet whether it exists.

    `scopes`: all that a token of the key may do (apps/api_keys/tokens.py); None for the key itself, which may do all
    it has.
    """

    handle: str
    livemode: bool
    scopes: tuple[str, ...] | None = None


def bucket_of(handle: str) -> int:
    """The Valkey bucket of a tenant's handle, 0 … 15."""
    return zlib.crc32(handle.encode()) % BUCKETS


def tag(handle: str) -> str:
    """The hash tag all Valkey keys of a tenant begin with, so that one script may touch them, on a cluster too."""
    return f"{{b{bucket_of(handle):02d}}}"


def generate(handle: str, *, livemode: bool) -> str:
    """A new key for a tenant. It is shown once and never stored."""
    return _signed(PREFIXES[livemode] + handle + "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH)))


def derive(handle: str, secret: str) -> str:
    """The demo tenant's key: it follows from the installation's secret and is stored nowhere."""
    number = int.from_bytes(hmac.digest(secret.encode(), f"demo key of {handle}".encode(), "sha256"))
    return _signed(PREFIXES[True] + handle + _base62(number, RANDOM_LENGTH))


def parse(text: str) -> PresentedKey | None:
    """The key's parts when prefix, length and checksum are right, else None. No I/O."""
    livemode = text.startswith(PREFIXES[True])
    if len(text) != KEY_LENGTH or not (livemode or text.startswith(PREFIXES[False])) or not text.isascii():
        return None
    if text[-CHECKSUM_LENGTH:] != _checksum(text[:-CHECKSUM_LENGTH]):
        return None
    start = len(PREFIXES[True])
    return PresentedKey(text[start : start + HANDLE_LENGTH], livemode)


def why_malformed(text: str) -> str:
    """Say what is wrong with a text that is no key, without telling any of it."""
    if not text.startswith(tuple(PREFIXES.values())):
        return f"A key begins with {' or '.join(PREFIXES.values())}; what was sent does not. Copy it again."
    if len(text) != KEY_LENGTH:
        return f"A key has {KEY_LENGTH} characters; what was sent has {len(text)}. Copy it again."
    return "A character of the key is wrong. Copy it again."


def digest(text: str, pepper: str) -> str:
    """What is stored of a key: HMAC-SHA-256 under the installation's pepper, hex."""
    return hmac.digest(pepper.encode(), text.encode(), hashlib.sha256).hex()


def shown_prefix(text: str) -> str:
    """How a key is named in lists: its public beginning."""
    return text[: len(PREFIXES[True]) + HANDLE_LENGTH + 2]


def _signed(body: str) -> str:
    return body + _checksum(body)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))
