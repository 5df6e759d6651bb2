"""Streams over a real broker: what goes in comes out decided, and is billed once."""

import json
import threading
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from django.core.management import call_command
from django.utils import timezone

from apps.api_keys.gate import Ask
from apps.api_keys.services import get_gate, revoke_key
from apps.streams import metrics
from apps.streams.consumer import Stream, Topics
from apps.streams.deciding import credentials_of
from apps.streams.management.commands.stream import create_topics
from apps.streams.waits import WAITS, Wait
from apps.usage.admission.admission import get_admissions, period_of
from tests.cast import Api, Cast, new_key
from tests.monitoring.test_tracing import traced
from tests.pace import within
from tests.streams.broker import Ground, decisions, until
from tests.streams.transactions import TRANSACTION, transaction

pytestmark = pytest.mark.django_db(transaction=True)


def work(stream: Stream, messages: int) -> None:
    """Until so many messages are done with."""
    done = 0

    def step() -> None:
        nonlocal done
        done += stream.step()

    until(lambda: done >= messages, step)


def used(caller: Api) -> Any:
    return caller.get("/v1/usage").json()["used"]


def test_messages_are_answered_as_calls_are_and_billed_once(
    ground: Ground, stream: Stream, alice: Api, drain: Callable[[], int]
) -> None:
    for number in range(40):
        ground.send(transaction(number), key=f"t{number}")
    ground.send({"schema": "paysim", "transaction": transaction(40), "model": "ensemble"})
    ground.sent()
    work(stream, 41)
    found = ground.results(41)
    assert {one.key for one in found} == {f"t{number}" for number in range(41)}
    assert [one["billed_units"] for one in decisions(found)] == [1] * 41
    drain()
    assert used(alice) == 41
    for answer in (decisions(found)[0], decisions(found)[40]):
        assert alice.get(f"/v1/decisions/{answer['id']}").json() == answer
    (answer,) = (one for one in decisions(found) if one["transaction_id"] == "t7")
    called = alice.post("/v1/decisions", {"schema": "paysim", "transaction": transaction(7)}).json()
    assert called == answer | {"status": "duplicate", "billed_units": 0}
    until(lambda: ground.committed() == 41, stream.step)


def test_a_batch_of_messages_is_one_trace_through_gate_engine_journal_and_recorder(
    ground: Ground, stream: Stream, drain: Callable[[], int]
) -> None:
    ground.send(transaction("traced"))
    ground.sent()
    with traced() as spans:
        work(stream, 1)
        drain()
    (batch,) = (span for span in spans if span.name == f"messages {ground.topics.source}")
    parts = [span for span in spans if span is not batch]
    assert sorted(span.name for span in parts) == ["deliver", "engine", "gate", "journal", "record"]
    assert {span.parent_span_id for span in parts} == {batch.span_id}
    assert {span.trace_id for span in spans} == {batch.trace_id}


def test_a_message_that_comes_again_is_answered_with_the_same_decision_for_nothing(
    ground: Ground, stream: Stream, alice: Api, drain: Callable[[], int]
) -> None:
    """In the same batch, in a later one before the recorder has it, and in one after; without an id by its key."""
    again = [(transaction("a"), None), (TRANSACTION, "my-key")]
    for value, key in again * 2:
        ground.send(value, key=key, partition=0)
    ground.sent()
    work(stream, 4)
    for recorded in (False, True):
        if recorded:
            drain()
        for value, key in again:
            ground.send(value, key=key, partition=0)
        ground.sent()
        work(stream, 2)
    found = decisions(ground.results(8))
    assert sorted(one["status"] for one in found) == ["duplicate"] * 6 + ["new"] * 2
    assert {one["transaction_id"] for one in found} == {"ta", "my-key"}
    assert len({one["id"] for one in found}) == 2
    assert sum(one["billed_units"] for one in found) == 2
    drain()
    assert used(alice) == 2


def test_what_can_not_be_decided_is_put_aside_with_its_reason_and_spoils_no_other(
    ground: Ground, stream: Stream, alice: Api, cast: Cast
) -> None:
    bad: dict[str, tuple[Any, dict[str, str]]] = {
        "body_malformed": (b"{", {}),
        "field_invalid": (transaction(1, amount="180"), {}),
        "schema_unknown": ({"schema": "nothing", "transaction": {}}, {}),
        "model_unknown": ({"schema": "paysim", "transaction": transaction(1), "model": "oracle"}, {}),
        "key_malformed": (transaction(1), {"x_api_key": "pk_live_nonsense"}),
        "scope_missing": (transaction(1), {"x_api_key": new_key(cast.bob.tenant, scopes=["read"])[1]}),
        "plan_lacks_feature": (transaction(1), {"x_api_key": cast.charlie.text}),
        "address_refused": (transaction(1), {"x_api_key": new_key(cast.bob.tenant, networks=["203.0.113.0/24"])[1]}),
        "key_revoked": (transaction(1), {"x_api_key": revoked(cast)}),
    }
    for reason, (value, headers) in bad.items():
        ground.send(value, key=reason, partition=1, trace="abc", **headers)
    ground.send(transaction("good"), partition=1)
    ground.sent()
    work(stream, len(bad) + 1)
    aside = ground.dead_letters(len(bad))
    assert {one.key: one.headers["palisade-reason"] for one in aside} == {reason: reason for reason in bad}
    assert all(one.headers["trace"] == "abc" and "x-api-key" not in one.headers for one in aside)
    assert {one.headers["palisade-topic"] for one in aside} == {ground.topics.source}
    offsets = sorted(int(one.headers["palisade-offset"]) for one in aside)
    assert offsets == list(range(offsets[0], offsets[0] + len(bad)))
    assert [one["transaction_id"] for one in decisions(ground.results(1))] == ["tgood"]


def revoked(cast: Cast) -> str:
    key, text = new_key(cast.bob.tenant)
    revoke_key(key=key, gate=get_gate(), now=timezone.now())
    return text


def test_each_message_is_decided_under_the_key_it_brings(
    ground: Ground, stream: Stream, alice: Api, bob: Api, drain: Callable[[], int]
) -> None:
    for number in range(6):
        ground.send(transaction(number), **({"x_api_key": bob.player.text} if number % 2 and bob.player else {}))
    ground.send(transaction("test"), x_api_key=bob.player.test_text if bob.player else "")
    ground.sent()
    work(stream, 7)
    drain()
    assert (used(alice), used(bob)) == (3, 3)
    listed = {one["transaction_id"] for one in bob.get("/v1/decisions").json()["data"]}
    assert listed == {"t1", "t3", "t5"}
    (tried,) = (one for one in decisions(ground.results(7)) if one["transaction_id"] == "ttest")
    assert (tried["livemode"], tried["billed_units"]) == (False, 0)


def test_a_rate_limit_makes_messages_wait_and_refuses_none(
    ground: Ground, stream: Stream, alice: Api, cast: Cast
) -> None:
    _, slow = new_key(cast.bob.tenant, rate_per_minute=60)
    use_up(slow, 60)
    before = metrics.WAITS.labels("rate_limited")._value.get()
    for number in range(5):
        ground.send(transaction(number), partition=0, x_api_key=slow)
    ground.send(transaction("other"), partition=1)
    ground.sent()
    until(lambda: bool(stream.held), stream.step)
    assert {held.reason for held in stream.held} == {"rate_limited"}
    until(lambda: ground.answered() == 6, stream.step)
    assert not stream.held
    assert metrics.WAITS.labels("rate_limited")._value.get() > before
    assert {one["transaction_id"] for one in decisions(ground.results(6))} == {f"t{n}" for n in range(5)} | {"tother"}
    assert ground.dead_letters() == []


def use_up(text: str, requests: int) -> None:
    """The minute of a key."""
    key, digest = credentials_of(text)
    ask = Ask(key, digest, "predict", "127.0.0.1", period_of(timezone.now()))
    for _ in range(requests):
        get_admissions().admit(ask)


def test_a_used_up_quota_is_used_to_the_last_unit_then_messages_wait_for_more(
    ground: Ground,
    stream: Stream,
    bob: Api,
    monkeypatch: pytest.MonkeyPatch,
    drain: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(WAITS, "quota_exceeded", Wait(0.3, "the volume is used up"))  # type: ignore[arg-type]
    get_gate().seed_quota(bob.tenant.handle, period_of(timezone.now()), 10_000 - 5, seconds=3_600)
    assert bob.player is not None
    for number in range(8):
        ground.send(transaction(number), partition=0, x_api_key=bob.player.text)
    ground.sent()
    until(lambda: bool(stream.held), stream.step)  # one to three: as many as came with the last unit
    assert len(ground.results(5)) == 5
    assert metrics.WAITING.labels("quota_exceeded")._value.get() == len(stream.held)
    ground.send(transaction("behind"), partition=0)  # paused: nobody reads it
    ground.sent()
    assert stream.step() == 0
    assert bob.post("/v1/subscription", {"plan": "professional"}).status_code == 200
    work(stream, 4)
    assert {one["transaction_id"] for one in decisions(ground.results(4))} == {"t5", "t6", "t7", "tbehind"}
    assert [line for line in caplog.messages if "nothing waits any longer (quota_exceeded)" in line]
    drain()
    assert used(bob) == 8


def test_one_message_can_be_tried_from_a_terminal(ground: Ground, stream: Stream, settings: Any) -> None:
    """The command waits in a thread of its own, while the stream goes on here."""
    names = ground.topics
    settings.STREAM_TOPICS = {"in": names.source, "out": names.results, "dead_letter": names.dead_letters}
    brokers = ground.broker.client["bootstrap.servers"]
    for message, expected in (
        (transaction("try") | {"transaction_id": None}, '"status": "new"'),
        ("{", "body_malformed"),
    ):
        said = StringIO()
        text = message if isinstance(message, str) else json.dumps(message)
        asked = threading.Thread(
            target=call_command, args=("stream_try", text), kwargs={"brokers": brokers, "stdout": said}, daemon=True
        )
        asked.start()
        until(lambda asked=asked: not asked.is_alive(), stream.step)
        assert expected in said.getvalue()


def test_topics_that_are_missing_are_made_and_those_there_are_left(ground: Ground) -> None:
    names = [f"{ground.topics.source}-{name}" for name in ("a", "b")]
    for _ in range(2):
        create_topics(ground.broker.client, Topics(names[0], names[1], ground.topics.dead_letters), 3)
    known = AdminClient(ground.broker.client).list_topics(timeout=within(10)).topics
    assert [len(known[name].partitions) for name in names] == [3, 3]
