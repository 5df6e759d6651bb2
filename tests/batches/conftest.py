"""Batches as their worker does them, in this process: real files, real stores, every transaction committed."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.batches.models import Batch
from apps.batches.services import Received, Wanted, create_batch
from apps.batches.storage import scratch
from tests.batches.sent import worked
from tests.cast import Api

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE) and item.path.parent == _HERE:
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture
def send() -> Callable[..., Batch]:
    """Queue a file of a tenant."""

    def create(api: Api, content: bytes, schema: str = "paysim", livemode: bool = True, **wanted: Any) -> Batch:
        with tempfile.NamedTemporaryFile(dir=scratch(), delete=False) as file:
            file.write(content)
        received = Received(Path(file.name), 0, len(content), "rows.csv", "")
        return create_batch(
            tenant=api.tenant,
            livemode=livemode,
            received=received,
            wanted=Wanted(schema, **wanted),
            now=timezone.now(),
            actor="key:1",
            key_id=1,
        )

    return create


@pytest.fixture
def work() -> Callable[[Batch], Batch]:
    """Do all there is to do for a batch, as one worker does it after the other."""
    return worked
