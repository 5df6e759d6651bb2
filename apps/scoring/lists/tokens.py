"""The keyed hashes lists know their items by: 12 bytes each, in Postgres and in Valkey alike.

Without the key nobody can try all cards or addresses there are. A stored decision keeps the same hash of what is masked
in its facts, so that it can be looked up long after the number itself is gone (`HiddenValue`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from apps.scoring.lists.item_types import is_whole, names_in
from apps.scoring.serving.ids import text_hash

TOKEN_BYTES = 12


class HiddenValue(NamedTuple):
    """What a masked field held, by the keyed hash that is stored with the decision (`Decision.hidden`), and as it is
    shown."""

    hash: str
    shown: Any = ""


def token_of(name: str) -> bytes:
    """An item's name as it is kept."""
    return bytes.fromhex(text_hash(name))[:TOKEN_BYTES]


def tokens_in(type_name: str, value: Any, prefixes: Sequence[str]) -> tuple[bytes, ...]:
    """Of which tokens any has to be in a list for a transaction's value to be.

    Of a masked number a list of parts knows what is shown: the first six digits, and so no BIN of more.
    """
    if isinstance(value, HiddenValue):
        if is_whole(type_name):
            return (bytes.fromhex(value.hash)[:TOKEN_BYTES],)
        value = value.shown
    return tuple([token_of(name) for name in names_in(type_name, value, prefixes)])
