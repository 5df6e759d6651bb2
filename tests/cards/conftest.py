"""These tests commit: the recorder is the real one."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE) and item.path.name != "test_masking.py":
            item.add_marker(pytest.mark.django_db(transaction=True))
