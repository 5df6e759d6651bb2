"""Figures of the pages."""

import pytest

from apps.portal.figures import probability


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.00003, "< 0.0001"), (0.0001, "0.0001"), (0.76456, "0.7646"), (0.9999, "0.9999"), (0.99995, "> 0.9999")],
)
def test_a_probability_never_reads_as_never_or_always(value: float, written: str) -> None:
    assert probability(value) == written
