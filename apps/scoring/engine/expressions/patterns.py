"""Patterns of `matches`: RE2's, which never takes longer than its text is long. Bounded in size. Pure."""

from functools import lru_cache
from typing import Any

import re2

LONGEST = 200  # characters of a pattern
MOST_MEMORY = 1 << 18  # bytes a compiled one may take

_OPTIONS = re2.Options()
_OPTIONS.max_mem = MOST_MEMORY
_OPTIONS.log_errors = False


@lru_cache(maxsize=4_096)
def compiled(pattern: str) -> Any:
    """The pattern. Raises `ValueError` saying what is wrong with it."""
    if len(pattern) > LONGEST:
        raise ValueError(f"has more than {LONGEST} characters")
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as wrong:
        said = wrong.args[0] if wrong.args else ""
        raise ValueError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from wrong


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern is found anywhere in the text."""
    return compiled(pattern).search(text) is not None
