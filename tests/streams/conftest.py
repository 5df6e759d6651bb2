from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from apps.scoring.serving.runtime import get_scoring
from apps.streams.budget import Budget
from apps.streams.consumer import Stream
from apps.streams.deciding import Decider, credentials_of
from bench.broker import Broker, running
from tests.cast import Cast
from tests.streams.broker import Ground

SCHEMA = "paysim"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def topics(broker: Broker) -> Iterator[Ground]:
    ground = Ground(broker)
    yield ground
    ground.close()


@pytest.fixture
def ground(topics: Ground) -> Ground:
    """A module's topics; each test looks at what has come since it began."""
    topics.results()
    topics.dead_letters()
    return topics


@pytest.fixture(scope="module")
def make_stream(cast: Cast) -> Iterator[Callable[..., Stream]]:
    """A consumer in this process on a ground's topics; alice's key is that of messages that bring none."""
    with ExitStack() as opened:

        def make(ground: Ground) -> Stream:
            decider = Decider(get_scoring, SCHEMA, credentials_of(cast.alice.text))
            stream = Stream(ground.broker.options, ground.topics, ground.group, decider, Budget(0.25))
            opened.callback(stream.close)
            return stream

        yield make


@pytest.fixture(scope="module")
def stream(topics: Ground, make_stream: Callable[..., Stream]) -> Stream:
    """One member for a module's tests: to join a group takes three seconds."""
    return make_stream(topics)
