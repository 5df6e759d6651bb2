"""Outcomes and comparisons of rules, in the words of the pages. Pure."""

from typing import Any

OUTCOMES = (
    ("review", "Review"),
    ("challenge", "Challenge"),
    ("block", "Block"),
    ("allow", "Approve"),
    ("note", "Only note it"),
    ("fatal_block", "Block, whatever other rules say"),
)
COMPARISONS = {
    "ge": "is at least", "gt": "is more than", "le": "is at most", "lt": "is less than", "eq": "is", "ne": "is not",
    "in": "is one of", "not_in": "is none of",
}  # fmt: skip


def in_figures(value: Any) -> str:
    """A condition's value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}" if isinstance(value, float | int) else str(value)
