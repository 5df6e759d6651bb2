"""One copy of Palisade, one stand-in for Stripe, one receiver of webhooks and one browser for all of these tests."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import chromium
from tests.browser.receiver import Receiver
from tests.copies import Copy, running
from tests.stripe_server import Stand


@pytest.fixture(scope="session")
def stripe() -> Iterator[Stand]:
    with Stand() as stand:
        yield stand


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, stripe: Stand) -> Iterator[Copy]:
    """All processes, in demo mode: mails are shown at /mailbox/."""
    settings = {
        "STRIPE_API_BASE": stripe.url,
        "STRIPE_API_KEY": stripe.api_key,
        "STRIPE_WEBHOOK_SECRET": stripe.webhook_secret,
        "PALISADE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    }
    with running(tmp_path_factory.mktemp("house") / "data", **settings) as copy:
        yield copy


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium.started() as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def _nothing_outlives_its_module() -> None:
    """Instead of tests/conftest.py's: here all modules share what runs, and the wall ends what outlives the run."""
