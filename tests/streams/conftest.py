from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from apps.scoring.serving.runtime import get_scoring
from apps.streams.budget import Budget
from apps.streams.consumer import Stream
from apps.streams.deciding import Decider, credentials_of
from tests.cast import Cast
from tests.streams import broker as brokers
from tests.streams.broker import Broker, Ground


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One for all: each test has topics of its own."""
    with brokers.running() as one:
        yield one


@pytest.fixture
def ground(broker: Broker) -> Ground:
    return Ground(broker)


@pytest.fixture
def stream_of(cast: Cast) -> Iterator[Callable[..., Stream]]:
    """A consumer in this process, on a ground's topics; alice's key is the default."""
    with ExitStack() as opened:

        def make(ground: Ground, key: str | None = cast.alice.text, seconds: float = 0.25) -> Stream:
            default = credentials_of(key) if key else None
            decider = Decider(get_scoring, "paysim", default)
            stream = Stream(ground.broker.options, ground.topics, ground.group, decider, Budget(seconds))
            opened.callback(stream.close)
            return stream

        yield make
