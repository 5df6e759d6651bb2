"""The outcome of one delivery attempt. Pure."""

from dataclasses import dataclass

from apps import card_numbers

#: Characters of an answer that are kept.
KEPT = 500


@dataclass(frozen=True)
class Outcome:
    """`final`: no further try can help. `gone`: the receiver wants nothing more. `retry_after` in seconds."""

    delivered: bool
    status: int | None = None
    answer: str = ""
    final: bool = False
    gone: bool = False
    retry_after: float | None = None
    duration_ms: int = 0


def printable(text: str) -> str:
    """A stranger's answer, fit to be stored: no control characters, no card numbers, at most `KEPT` characters."""
    return "".join(one if one.isprintable() else " " for one in card_numbers.cut(text, KEPT))
