"""What is killed: a running copy, which takes a quarter of a minute to start; a Valkey Cluster."""

from collections.abc import Iterator

import pytest

from tests.leftovers import Ground
from tests.survival.cluster import Nodes, cluster
from tests.survival.copy import Inside, palisade


@pytest.fixture(scope="package")
def inside() -> Iterator[Inside]:
    """A copy with four API processes."""
    with palisade(PALISADE_API_WORKERS="4") as copy:
        Ground.keep()
        yield copy


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A Valkey Cluster of a test's own."""
    with cluster() as made:
        yield made
