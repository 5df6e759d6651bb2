"""`manage.py stream_try`: send one transaction into the stream and show what comes out."""

import json
import time
import uuid
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Raw
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

EXAMPLE = {
    "schema": "payments",
    "transaction": {"amount": 129.5, "user_id": "U1", "merchant_id": "M1", "merchant_category": "electronics"},
}


class Command(BaseCommand):
    """A message in, its decision or its dead letter out: to see that brokers, consumer and key are right."""

    help = "Send one message (an example by default) and print what the stream answers."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("message", nargs="?", default=json.dumps(EXAMPLE), help="JSON, as a producer would send it")
        parser.add_argument("--brokers", default=settings.STREAM_BROKERS, help="host:port, several with commas")
        parser.add_argument("--seconds", type=float, default=30.0, help="how long the answer is waited for")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["brokers"]:
            raise CommandError("Say where the brokers are: --brokers host:port, or PALISADE_STREAM_BROKERS.")
        client = {"bootstrap.servers": options["brokers"], "log_level": 0, **settings.STREAM_OPTIONS}
        name = f"try-{uuid.uuid4().hex[:12]}"
        try:
            found = self._answer(client, name, options["message"], options["seconds"])
        except KafkaException as failure:
            raise CommandError(f"The brokers can't be asked: {failure.args[0].str()}") from failure
        if found is None:
            raise CommandError(f"Nothing came out within {options['seconds']:g} s. Does `manage.py stream` run?")
        headers: Any = found.headers() or ()
        for header, value in headers:
            self.stdout.write(f"{header}: {(value or b'').decode()}")
        self.stdout.write(_readable(found.value() or b""))

    def _answer(self, client: dict[str, Any], name: str, message: str, seconds: float) -> Raw | None:
        """The message of that key in the results or among the dead letters; both are read from where they end now."""
        consumer = Consumer({**client, "group.id": name, "fetch.wait.max.ms": 50})
        try:
            consumer.assign([place for topic in ("out", "dead_letter") for place in _ends(consumer, topic)])
            producer = Producer(client)
            producer.produce(settings.STREAM_TOPICS["in"], message, name)
            producer.flush(seconds)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                found = consumer.poll(0.2)
                if found is not None and found.error() is None and found.key() == name.encode():
                    return found
            return None
        finally:
            consumer.close()


def _readable(value: bytes) -> str:
    """JSON over several lines; a dead letter that is none as it is."""
    try:
        return json.dumps(json.loads(value), indent=1)
    except ValueError:
        return value.decode(errors="replace")


def _ends(consumer: Consumer, topic: str) -> list[TopicPartition]:
    name = settings.STREAM_TOPICS[topic]
    partitions = consumer.list_topics(name, timeout=10).topics[name].partitions
    return [TopicPartition(name, number, OFFSET_END) for number in partitions]
