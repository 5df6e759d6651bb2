"""Columns that are encrypted in the database: `SealedText`. A stolen dump alone does not say what stands in them.

Fernet: AES-128-CBC with HMAC-SHA-256. `SEALING_KEYS` holds one key or several: the first seals, all of them open. To
renew the key put the new one in front, run `manage.py reseal`, and take the old one away.
"""

import base64
import hashlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


class SealedText(models.TextField):
    """A text that is sealed when written and opened when read. It can't be searched for."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else seal(str(value))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return None if value is None else unseal(value)


def seal(text: str) -> str:
    return _keys(tuple(settings.SEALING_KEYS)).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises `cryptography.fernet.InvalidToken` when none of the keys fits."""
    return _keys(tuple(settings.SEALING_KEYS)).decrypt(sealed).decode()


@lru_cache(maxsize=8)
def _keys(texts: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())) for text in texts])
