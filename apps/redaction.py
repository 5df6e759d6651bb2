"""What no log may show: card numbers, keys, tokens, others' secrets, passwords in addresses. Pure."""

import re
from collections.abc import Iterable

from apps import card_numbers

HIDDEN = "…"
#: How a secret looks, with what may stay of it: an API key's handle says whose it is and opens nothing.
_LOOKS = re.compile(
    r"(?P<key>\bpk_(?:live|test)_[0-9a-z]{6})[0-9A-Za-z]+"
    r"|(?P<stripe>\b(?:sk|rk)_(?:live|test)_|\bwhsec_|_secret_)[0-9A-Za-z+/=_-]{6,}"
    r"|(?P<token>\beyJ)[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+"
    r"|(?P<bearer>\b(?:Bearer|Basic)\s+)[^\s'\",]+"
    r"|(?P<chat>https://hooks\.slack\.com/services/)[^\s'\"]+"
    r"|(?P<address>\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s/@'\"]+(?=@)",
    re.IGNORECASE,
)
#: Shorter texts are no secrets of ours, and would be found in every word.
_SHORTEST = 12


class Redaction:
    """Hides secrets by their looks, and those it is given by what they are."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return card_numbers.mask(_LOOKS.sub(_kept, text))


def _kept(match: re.Match[str]) -> str:
    """What names the kind of secret, without the secret."""
    return f"{match[match.lastgroup or 0]}{HIDDEN}"
