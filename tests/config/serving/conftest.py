"""Real servers, each of one worker, for all tests here: the API and the portal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cast import Cast
from tests.leftovers import Ground
from tests.live import serving

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE) and item.path.name != "test_messages.py":
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="package")
def api(cast: Cast) -> Iterator[str]:
    with serving() as address:
        Ground.keep()
        yield address


@pytest.fixture(scope="package")
def portal(cast: Cast) -> Iterator[str]:
    with serving("portal") as address:
        Ground.keep()
        yield address
