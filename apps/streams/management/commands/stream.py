"""`manage.py stream`: one consumer of the group. Finishes what it holds on SIGTERM or SIGINT."""

import signal
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import Tenant
from apps.api_keys import keys
from apps.errors import Problem
from apps.scoring.serving import runtime
from apps.streams import messages
from apps.streams.budget import Budget
from apps.streams.consumer import Stream, Topics
from apps.streams.deciding import Credentials, Decider, credentials_of

TOPIC_SECONDS = 10.0


class Command(BaseCommand):
    """Decide on a topic's messages until stopped."""

    help = (
        "Read transactions from a Kafka topic, write decisions to another, what can't be decided to a third, for ever. "
        "Start as many as the topic has partitions. The tenant's key: PALISADE_STREAM_KEY, or a header x-api-key."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        topics = settings.STREAM_TOPICS
        parser.add_argument("--in", dest="source", default=topics["in"], help="topic to read")
        parser.add_argument("--out", dest="results", default=topics["out"], help="topic of the decisions")
        parser.add_argument("--dead-letter", default=topics["dead_letter"], help="topic of what can't be decided")
        parser.add_argument("--brokers", default=settings.STREAM_BROKERS, help="host:port, several with commas")
        parser.add_argument("--group", default=settings.STREAM_GROUP, help="consumer group")
        parser.add_argument("--schema", default=settings.STREAM_SCHEMA, help="schema of messages that name none")
        parser.add_argument(
            "--budget-ms", type=int, default=settings.STREAM_BUDGET_MS, help="how long a message may wait"
        )
        parser.add_argument(
            "--create-topics", type=int, metavar="PARTITIONS", help="make the topics that are missing, to try it out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        topics = Topics(options["source"], options["results"], options["dead_letter"])
        decider, client = self._decider(options["schema"]), self._client(options["brokers"])
        if options["create_topics"]:
            self._create_topics(client, topics, options["create_topics"])
        runtime.begin(runtime.load())
        stream = Stream(client, topics, options["group"], decider, Budget(options["budget_ms"] / 1000))
        self.stderr.write(f"stream: {topics.source} → {topics.results}, group {options['group']}")
        stream.run(lambda: bool(stopped))

    def _decider(self, schema: str) -> Decider:
        try:
            messages.check_schema(schema)
            return Decider(runtime.get_scoring, schema, _default_key())
        except Problem as problem:
            raise CommandError(str(problem)) from problem

    def _create_topics(self, client: dict[str, Any], topics: Topics, partitions: int) -> None:
        """Go on where they can't be made: they may be made by others, and are found then."""
        try:
            create_topics(client, topics, partitions)
        except KafkaException as failure:
            self.stderr.write(f"stream: topics were not made: {failure.args[0].str()}")

    def _client(self, brokers: str) -> dict[str, Any]:
        if not brokers:
            raise CommandError("Say where the brokers are: --brokers host:port, or PALISADE_STREAM_BROKERS.")
        return {"bootstrap.servers": brokers, **settings.STREAM_OPTIONS}


def create_topics(client: dict[str, Any], topics: Topics, partitions: int) -> None:
    """Make the topics that are missing, each with one copy: to try it out. Raises `KafkaException`."""
    admin = AdminClient({**client, "log_level": 0})  # its topics come while it is there
    known = admin.list_topics(timeout=TOPIC_SECONDS).topics
    wanted = {topics.source, topics.results, topics.dead_letters} - known.keys()
    if not wanted:
        return
    for made in admin.create_topics([NewTopic(name, partitions, 1) for name in wanted]).values():
        try:
            made.result(TOPIC_SECONDS)
        except KafkaException as failure:
            if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _default_key() -> Credentials | None:
    """The key of messages that bring none: as set, or in demo mode the demo tenant's. Raises `Problem`."""
    if settings.STREAM_KEY:
        return credentials_of(settings.STREAM_KEY)
    tenant = Tenant.objects.filter(slug=settings.DEMO_TENANT).first() if settings.DEMO_MODE else None
    return credentials_of(keys.derive(tenant.handle, settings.KEY_PEPPER)) if tenant else None
