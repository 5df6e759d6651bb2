"""The consumer: one member of a consumer group. Partitions are shared out by the broker among as many as are started.

    read what came in 25 ms ─► decide (the journal has it) ─► deliver answers and dead letters ─► commit the offsets
                                  └ waits: held, its partitions paused, tried again when it is time

Killed anywhere, another one reads on from the last commit; what had been decided is answered again as a duplicate, with
the same decision and for nothing. One thread: callbacks of the client come between batches, when nothing is under way.
"""

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Raw

from apps import tracing
from apps.streams import messages as forms
from apps.streams import metrics
from apps.streams.budget import Budget
from apps.streams.deciding import Answered, Decider, Outcome, Refused, Waiting
from apps.streams.messages import Letter, Message
from apps.streams.positions import Place, Positions
from apps.streams.waits import WAITS

log = logging.getLogger(__name__)

#: How long nothing may come before we look whether we are to stop.
IDLE_SECONDS = 0.25
#: How long the answers in hand may take to be delivered once we are to stop; after that others give them again.
STOP_SECONDS = 8.0
#: How long the broker may take to let us leave its group. One that has just gone never answers; the client waits on.
LEAVE_SECONDS = 10.0
#: How long a delivery that a broker refused is put off.
AGAIN_SECONDS = 1.0
#: What stays so is said again after this long.
SAID_AGAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Topics:
    """Where messages come from, and where answers and dead letters go."""

    source: str
    results: str
    dead_letters: str


class Held(NamedTuple):
    """A message to be tried again, and when, in monotonic seconds."""

    message: Message
    due: float
    reason: str


@dataclass
class Said:
    """What was said to the log, so that what stays so is said once a minute."""

    at: dict[str, float] = field(default_factory=dict)

    def say(self, what: str, text: str, *arguments: object) -> None:
        now = time.monotonic()
        if now - self.at.get(what, -SAID_AGAIN_SECONDS) >= SAID_AGAIN_SECONDS:
            self.at[what] = now
            log.warning(text, *arguments)

    def over(self, what: str, text: str) -> None:
        if self.at.pop(what, None) is not None:
            log.warning(text)


class Stream:
    """Reads, decides, delivers, commits. `options`: librdkafka's, for both of its clients."""

    def __init__(self, options: dict[str, Any], topics: Topics, group: str, decider: Decider, budget: Budget) -> None:
        self.topics, self.decider, self.budget = topics, decider, budget
        self.positions = Positions()
        self.held: list[Held] = []
        self.paused: set[Place] = set()
        self.said = Said()
        self.broker_away = False
        self._refused_deliveries: list[Letter] = []
        self._ages: dict[Place, float] = {}
        self._stopping: Callable[[], bool] = lambda: False
        self.producer = Producer(_producer(options) | {"error_cb": self._on_error})
        self.consumer = Consumer(
            _consumer(options, group, budget)
            | {"error_cb": self._on_error, "stats_cb": self._on_statistics, "on_commit": self._on_commit}
        )
        self.consumer.subscribe([topics.source], on_revoke=self._on_revoke, on_lost=self._on_lost)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Run until stopped; then finish what is in hand, commit, and leave the group."""
        self._stopping = stopping
        try:
            while not stopping():
                self.step()
        finally:
            self.close()

    def step(self) -> int:
        """One batch, if there is any; the number of messages that were answered or put aside."""
        self.producer.poll(0)  # what it has to tell is told in time
        batch = self._due() + self._gather()
        if not batch:
            return 0
        started = time.perf_counter()
        with tracing.work(f"messages {self.topics.source}") as span:
            span.set_attribute("messaging.batch.message_count", len(batch))
            done = self._decided(batch)
        self.budget.took(len(batch), time.perf_counter() - started)
        metrics.BATCH.observe(len(batch))
        return done

    def _decided(self, batch: Sequence[Message]) -> int:
        """Decide on a batch and deliver what can be; the number of messages that were answered or put aside."""
        outcomes = self.decider.decide(batch, time.time_ns() // 1000)
        self._hold([one for one in outcomes if isinstance(one, Waiting)])
        with tracing.step("deliver"):
            return self._delivered([one for one in outcomes if not isinstance(one, Waiting)])

    def close(self) -> None:
        """Leave the group, so that others have our partitions at once; with no broker there is nobody to tell."""
        if self.broker_away:
            return
        leaving = threading.Thread(target=self.consumer.close, name="leaving", daemon=True)  # revokes, which commits
        leaving.start()
        leaving.join(LEAVE_SECONDS)
        if leaving.is_alive():
            log.warning("stream: the broker did not answer our leaving; others get our partitions a session later")

    # --- in -----------------------------------------------------------------------------------------------------------

    def _gather(self) -> list[Message]:
        """What comes within the gathering time, once something has come."""
        first = self.consumer.poll(self._patience())
        if first is None:
            return []
        rest = (
            self.consumer.consume(self.budget.size - 1, timeout=self.budget.gathering) if self.budget.size > 1 else []
        )
        return [message for raw in (first, *rest) if (message := self._taken(raw)) is not None]

    def _patience(self) -> float:
        """Until when there is nothing to do but to wait for a message."""
        soonest = min((held.due for held in self.held), default=None)
        return IDLE_SECONDS if soonest is None else min(max(soonest - time.monotonic(), 0.0), IDLE_SECONDS)

    def _taken(self, raw: Raw) -> Message | None:
        """A message as we read it; None for what is an error in a message's place."""
        if (error := raw.error()) is not None:
            self._on_error(error)
            return None
        self._tell_broker(away=False)
        message = _message(raw)
        self.positions.read(message.place, message.offset)
        return message

    # --- what has to wait ---------------------------------------------------------------------------------------------

    def _due(self) -> list[Message]:
        """Held messages whose time has come, as many as a batch takes."""
        if not self.held:
            return []
        now = time.monotonic()
        due = [held for held in self.held if held.due <= now][: self.budget.size]
        taken = {id(held) for held in due}
        self.held = [held for held in self.held if id(held) not in taken]
        return [held.message for held in due]

    def _hold(self, waiting: Sequence[Waiting]) -> None:
        """Keep what has to wait and pause its partitions, so that no more of them is read; resume the others."""
        now = time.monotonic()
        self.held += [Held(one.message, now + one.seconds, one.problem.code) for one in waiting]
        self._pause({held.message.place for held in self.held})
        for reason, count in Counter(one.problem.code for one in waiting).items():
            metrics.WAITS.labels(reason).inc(count)
        for one in waiting[:1]:
            self.said.say(one.problem.code, "stream: %s: %s", WAITS[one.problem.code].said, one.problem.detail)
        self._tell_waiting()

    def _pause(self, places: set[Place]) -> None:
        """Pause these partitions and no others of ours; when none is left, say that nothing waits any longer."""
        if places == self.paused:
            return
        ours = self.consumer.assignment()
        self.consumer.pause([one for one in ours if (one.topic, one.partition) in places - self.paused])
        self.consumer.resume([one for one in ours if (one.topic, one.partition) in self.paused - places])
        self.paused = places
        if not places:
            for reason in WAITS:
                self.said.over(reason, f"stream: nothing waits any longer ({reason})")

    def _tell_waiting(self) -> None:
        count = Counter(held.reason for held in self.held)
        for reason in WAITS:
            metrics.WAITING.labels(reason).set(count[reason])

    # --- out ----------------------------------------------------------------------------------------------------------

    def _delivered(self, outcomes: Sequence[Outcome]) -> int:
        """Deliver what became of messages, then commit; 0 when that was given up: others will do it again."""
        if not outcomes or not self._deliver([self._letter(one) for one in outcomes]):
            return 0
        now_ms = time.time_ns() // 1_000_000
        self._ages.clear()
        for one in outcomes:
            self._count(one, now_ms)
            self.positions.done(one.message.place, one.message.offset)
        self._commit()
        return len(outcomes)

    def _letter(self, outcome: Outcome) -> Letter:
        if isinstance(outcome, Answered):
            return forms.answer(self.topics.results, outcome.decision)
        return forms.dead_letter(self.topics.dead_letters, outcome.message, outcome.problem)

    def _count(self, outcome: Outcome, now_ms: int) -> None:
        message = outcome.message
        metrics.MESSAGES.labels("refused" if isinstance(outcome, Refused) else "answered").inc()
        if isinstance(outcome, Refused):
            metrics.DEAD_LETTERS.labels(outcome.problem.code).inc()
            self.said.say(
                f"dead letter {outcome.problem.code}",
                "stream: %s-%d@%d is put aside: %s", *message[:3], outcome.problem.code,
            )  # fmt: skip
        if message.produced_ms:
            seconds = max(now_ms - message.produced_ms, 0) / 1000
            metrics.SECONDS.observe(seconds)
            self._ages[message.place] = max(self._ages.get(message.place, 0.0), seconds)

    def _deliver(self, letters: Sequence[Letter]) -> bool:
        """Send all until the brokers have them, however long they are away. False: given up, because we are to stop."""
        while letters:
            for letter in letters:
                self._send(letter)
            if not self._flushed():
                return False
            letters, self._refused_deliveries = self._refused_deliveries, []
            if letters:
                if self._stopping():
                    return False
                time.sleep(AGAIN_SECONDS)
        return True

    def _flushed(self) -> bool:
        """Wait until nothing is under way; once we are to stop, no longer than `STOP_SECONDS`."""
        give_up_at: float | None = None
        while self.producer.flush(IDLE_SECONDS):
            if self._stopping():
                give_up_at = give_up_at or time.monotonic() + STOP_SECONDS
                if time.monotonic() > give_up_at:
                    self.producer.purge()
                    return False
        return True

    def _send(self, letter: Letter) -> None:
        def delivered(error: KafkaError | None, _: Raw) -> None:
            if error is not None:
                self._refused_delivery(letter, error)

        while True:
            try:
                self.producer.produce(
                    letter.topic, letter.value, letter.key, headers=list(letter.headers), on_delivery=delivered
                )
                return
            except BufferError:  # the client's queue is full: wait until some are delivered
                self.producer.poll(0.1)
            except KafkaException as failure:
                self._refused_delivery(letter, failure.args[0])
                return

    def _refused_delivery(self, letter: Letter, error: KafkaError) -> None:
        """Try again later, so nothing is lost; a dead letter that is too large for its topic goes without its value."""
        metrics.UNDELIVERED.labels(error.name()).inc()
        self.said.say(f"undelivered {letter.topic}", "stream: %s takes no message: %s", letter.topic, error.str())
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and letter.topic == self.topics.dead_letters:
            letter = letter._replace(value=None)
        self._refused_deliveries.append(letter)

    def _commit(self) -> None:
        """Ask for it and go on: waited for, it would hold us up as long as the broker is away."""
        offsets = self.positions.to_commit()
        if not offsets:
            return
        found = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        try:
            self.consumer.commit(offsets=found, asynchronous=True)
        except KafkaException as failure:
            self._on_commit(failure.args[0], found)
            return
        self.positions.committed(offsets)

    # --- what the client tells ----------------------------------------------------------------------------------------

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Others get these partitions: what is done of them is committed, what waits is theirs."""
        self._commit()  # the broker gets it before it hears that we go
        self._let_go(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Others have these partitions already."""
        self._let_go(partitions)

    def _let_go(self, partitions: Iterable[TopicPartition]) -> None:
        places = {(one.topic, one.partition) for one in partitions}
        self.held = [held for held in self.held if held.message.place not in places]
        self.paused -= places  # whoever has them reads them
        self.positions.forget(places)
        self._tell_waiting()

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        """A commit that failed is made up for by the next: until then a repeat is answered as a duplicate."""
        if error is not None:
            metrics.ERRORS.labels(error.name()).inc()
            self.said.say(f"commit {error.name()}", "stream: offsets were not committed: %s", error.str())

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._tell_broker(away=True)
            return
        metrics.ERRORS.labels(error.name()).inc()
        if not self.broker_away:
            self.said.say(f"error {error.name()}", "stream: the broker or its client says: %s", error.str())

    def _tell_broker(self, *, away: bool) -> None:
        """Counted, said once, and shown as long as it is so."""
        if away and not self.broker_away:
            metrics.BROKER_LOST.inc()
            log.warning("stream: no broker can be reached; it is tried until one can")
        elif self.broker_away and not away:
            log.warning("stream: the broker is back")
        self.broker_away = away
        metrics.BROKER_AWAY.set(away)

    def _on_statistics(self, text: str) -> None:
        """Once a second: whether a broker is there, how far each partition is behind, how old its oldest message is."""
        found = _statistics(text)
        if any(broker.state == "UP" for broker in found.brokers.values()):
            self._tell_broker(away=False)
        oldest: dict[Place, float] = defaultdict(float, self._ages)
        for held in self.held:
            age = time.time() - held.message.produced_ms / 1000 if held.message.produced_ms else 0.0
            oldest[held.message.place] = max(oldest[held.message.place], age)
        for topic in found.topics.values():
            for partition in topic.partitions.values():
                if partition.partition >= 0 and partition.hi_offset >= 0:
                    self._measure(topic.topic, partition, oldest)
        self._ages.clear()

    def _measure(self, topic: str, partition: "_PartitionStatistics", oldest: dict[Place, float]) -> None:
        lag = max(partition.hi_offset - max(partition.committed_offset, partition.lo_offset, 0), 0)
        labels = (topic, str(partition.partition))
        metrics.LAG.labels(*labels).set(lag)
        metrics.AGE.labels(*labels).set(oldest[topic, partition.partition])


class _Broker(msgspec.Struct):
    state: str = ""


class _PartitionStatistics(msgspec.Struct):
    partition: int
    lo_offset: int = -1
    hi_offset: int = -1
    committed_offset: int = -1


class _Topic(msgspec.Struct):
    topic: str
    partitions: dict[str, _PartitionStatistics] = {}


class _Statistics(msgspec.Struct):
    """What we read of librdkafka's statistics (its STATISTICS.md)."""

    brokers: dict[str, _Broker] = {}
    topics: dict[str, _Topic] = {}


_statistics = msgspec.json.Decoder(_Statistics).decode


def _message(raw: Raw) -> Message:
    _, at = raw.timestamp()
    headers: Any = raw.headers() or ()
    return Message(
        topic=raw.topic() or "",
        partition=raw.partition() or 0,
        offset=raw.offset() or 0,
        key=_bytes(raw.key()),
        value=_bytes(raw.value()),
        headers=tuple((name, _bytes(value)) for name, value in headers),
        produced_ms=max(at, 0),
    )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


#: Of both clients. Their own lines on stderr are left out: what they say comes to `_on_error` as well.
_QUIET = {"log_level": 0, "log.connection.close": False}


def _consumer(options: dict[str, Any], group: str, budget: Budget) -> dict[str, Any]:
    return {
        "group.id": group,
        "auto.offset.reset": "earliest",
        "statistics.interval.ms": 1000,
        "fetch.wait.max.ms": max(int(budget.gathering * 1000), 1),
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "reconnect.backoff.ms": 200,
        "reconnect.backoff.max.ms": 2_000,
        "topic.metadata.refresh.interval.ms": 10_000,  # a topic made later is found within that
        "queued.min.messages": 2_000,  # read ahead of us; what is paused is read anew
        **_QUIET,
        **options,
        "enable.auto.commit": False,
    }


def _producer(options: dict[str, Any]) -> dict[str, Any]:
    """Every broker that has to have a message has it before it counts as delivered, once; tried until that is so."""
    return {
        "linger.ms": 1,
        "acks": "all",
        "message.timeout.ms": 0,
        "reconnect.backoff.ms": 200,
        "reconnect.backoff.max.ms": 2_000,
        **_QUIET,
        **{name: value for name, value in options.items() if name not in _OF_CONSUMERS},
    }


_OF_CONSUMERS = ("session.timeout.ms", "heartbeat.interval.ms", "auto.offset.reset", "max.poll.interval.ms")
