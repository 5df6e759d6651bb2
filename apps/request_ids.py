"""A request's id: the caller's own where it is harmless, else one of ours. Pure."""

import os
import re
from collections.abc import Mapping
from typing import Any

from apps import card_numbers

_HARMLESS = re.compile("[A-Za-z0-9_.:-]{1,100}")


def request_id_of(meta: Mapping[str, Any]) -> str:
    """The caller's X-Request-Id when it is harmless, card numbers in it masked; else a new one."""
    value = meta.get("HTTP_X_REQUEST_ID", "")
    return card_numbers.mask(value) if _HARMLESS.fullmatch(value) else f"req_{os.urandom(12).hex()}"
