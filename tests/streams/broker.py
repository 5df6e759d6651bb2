"""Topics of a test's own on a real broker (bench/broker.py)."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from apps.streams.consumer import Topics
from bench.broker import Broker
from tests.pace import within


class Received(NamedTuple):
    """A message of a results or dead-letter topic."""

    key: str | None
    value: Any
    headers: dict[str, str]


class Ground:
    """A test's own three topics and group, who writes into the first, and what came out."""

    def __init__(self, broker: Broker, partitions: int = 2) -> None:
        name = uuid.uuid4().hex[:8]
        self.broker = broker
        self.partitions = partitions
        self.topics = Topics(f"in-{name}", f"out-{name}", f"dead-{name}")
        self.group = f"group-{name}"
        self.producer = Producer(broker.client)
        self.make_topics()
        self.reader = self._reader()
        self.unseen: dict[str, list[Received]] = {self.topics.results: [], self.topics.dead_letters: []}

    def make_topics(self) -> None:
        names = (self.topics.source, self.topics.results, self.topics.dead_letters)
        admin = AdminClient(self.broker.client)  # its topics come while it is there
        for topic in admin.create_topics([NewTopic(name, self.partitions, 1) for name in names]).values():
            with suppress(KafkaException):  # it is there: a client that knew it asked for it
                topic.result(within(10))

    def send(self, value: Any, key: str | None = None, partition: int = -1, **headers: str) -> None:
        data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        said = [(name.replace("_", "-"), text.encode()) for name, text in headers.items()]
        self.producer.produce(self.topics.source, data, key, partition, headers=said)

    def sent(self) -> None:
        """Wait until the broker has all of it."""
        assert self.producer.flush(within(10)) == 0

    def results(self, expected: int = 0) -> list[Received]:
        """Answers since the last look, at least so many."""
        return self._seen(self.topics.results, expected)

    def answered(self) -> int:
        """How many answers there are since the last look; asked between the steps of a stream that works here."""
        self.look()
        return len(self.unseen[self.topics.results])

    def dead_letters(self, expected: int = 0) -> list[Received]:
        """Dead letters since the last look, at least so many."""
        return self._seen(self.topics.dead_letters, expected)

    def look(self, seconds: float = 0.0) -> None:
        """Read what has come, and what comes within that time."""
        for raw in self.reader.consume(2_000, timeout=seconds):
            assert raw.error() is None, raw.error()
            self.unseen[str(raw.topic())].append(_received(raw))

    def committed(self) -> int:
        """Messages of the first topic that the group has done with."""
        with closing_consumer(self.broker, self.group) as consumer:
            places = [TopicPartition(self.topics.source, number) for number in range(self.partitions)]
            return sum(max(place.offset, 0) for place in consumer.committed(places, timeout=within(10)))

    def close(self) -> None:
        self.reader.close()

    def _seen(self, topic: str, expected: int) -> list[Received]:
        until(lambda: len(self.unseen[topic]) >= expected, lambda: self.look(0.05))
        self.look(0.1)  # and what is too many
        found, self.unseen[topic] = self.unseen[topic], []
        return found

    def _reader(self) -> Consumer:
        """Of both topics from their beginning. The broker's word on where a topic ends can't be relied on."""
        reader = Consumer({**self.broker.client, "group.id": f"reader-{self.group}", "fetch.wait.max.ms": 20})
        names = (self.topics.results, self.topics.dead_letters)
        reader.assign([TopicPartition(name, number, 0) for name in names for number in range(self.partitions)])
        return reader


@contextmanager
def closing_consumer(broker: Broker, group: str) -> Iterator[Consumer]:
    consumer = Consumer({**broker.client, "group.id": group, "enable.auto.commit": False, "fetch.wait.max.ms": 20})
    try:
        yield consumer
    finally:
        consumer.close()


def _received(raw: Message) -> Received:
    key, value, headers = raw.key(), raw.value(), raw.headers() or []
    return Received(
        key.decode() if key is not None else None,
        value,
        {name: (text or b"").decode() for name, text in headers},  # type: ignore[union-attr, misc]
    )


def decisions(results: Sequence[Received]) -> list[dict[str, Any]]:
    return [json.loads(one.value) for one in results]


def until(holds: Callable[[], bool], do: Callable[[], Any], seconds: float = 20.0) -> None:
    """Do something again and again until a condition holds."""
    deadline = time.monotonic() + within(seconds)
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        do()
