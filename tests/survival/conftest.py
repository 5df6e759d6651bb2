"""A running copy whose servers are killed: to start one takes a quarter of a minute."""

from collections.abc import Iterator

import pytest

from tests.leftovers import Ground
from tests.survival.copy import Inside, palisade


@pytest.fixture(scope="package")
def inside() -> Iterator[Inside]:
    """A copy with four API processes."""
    with palisade(PALISADE_API_WORKERS="4") as copy:
        Ground.keep()
        yield copy
