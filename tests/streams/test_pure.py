"""The pure parts of streams, by table: what a message asks, what waits, what may be committed, how large a batch is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.errors import KINDS, Problem
from apps.streams import messages
from apps.streams.budget import MOST, Budget
from apps.streams.messages import Message, dead_letter, happened_ms, key_text, lots, read
from apps.streams.positions import Positions
from apps.streams.waits import LONGEST, SHORTEST, WAITS, room_left, wait_of
from tests.streams.transactions import TRANSACTION, transaction

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def message(value: Any, key: bytes | None = None, **more: Any) -> Message:
    data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return Message("in", 3, 42, key, data, **more)


# --- what a message asks ----------------------------------------------------------------------------------------------

UNNAMED = dict(TRANSACTION)
ASKS = [
    # value, key → schema, model, dry_run, transaction id
    (transaction(1), None, ("paysim", None, False, "t1")),
    (transaction(1), b"another", ("paysim", None, False, "t1")),  # its own id goes before the key
    (UNNAMED, b"k1", ("paysim", None, False, "k1")),
    (UNNAMED, None, ("paysim", None, False, "in-3-42")),
    ({"schema": "paysim", "transaction": transaction(2)}, b"k", ("paysim", None, False, "t2")),
    ({"schema": "paysim", "transaction": UNNAMED, "model": "ensemble"}, b"k", ("paysim", "ensemble", False, "k")),
    ({"schema": "paysim", "transaction": UNNAMED, "dry_run": True}, b"k", ("paysim", None, True, "k")),
    (
        {"schema": "payments", "transaction": {"amount": 1, "user_id": "u", "merchant_id": "m"}},
        b"k", ("payments", None, False, "k"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("value", "key", "expected"), ASKS)
def test_a_message_asks(value: Any, key: bytes | None, expected: tuple[Any, ...]) -> None:
    asked = read(message(value, key), "paysim", NOW_MS)
    found = asked.schema.transaction_id(asked.parsed.transaction)
    assert (asked.schema.name, asked.model, asked.dry_run, found) == expected


WRONG = [
    (None, None, "body_malformed", ""),
    (b"", None, "body_malformed", ""),
    (b"  ", None, "body_malformed", ""),
    (b"{", None, "body_malformed", ""),
    (b"\xff\xfe", None, "body_malformed", ""),
    (b"[1]", None, "field_invalid", ""),
    (b'{"amount": NaN}', None, "body_malformed", ""),
    (b"[" * 100_000, None, "body_malformed", ""),
    (b'{"a": "' + b"x" * messages.LONGEST + b'"}', None, "body_too_large", ""),
    ({}, None, "field_invalid", "type"),
    (transaction(1, amount="180"), None, "field_invalid", "amount"),
    (b'{"amount": 1, "amount": 2}', None, "field_invalid", "amount"),
    ({"transaction": transaction(1)}, None, "field_invalid", "schema"),
    ({"schema": "nothing", "transaction": {}}, None, "schema_unknown", "schema"),
    ({"schema": "paysim", "transaction": 5}, None, "field_invalid", "transaction"),
    (UNNAMED, b"\xff", "field_invalid", "key"),
    (UNNAMED, b"k" * 129, "field_invalid", "transaction_id"),
]


@pytest.mark.parametrize(("value", "key", "code", "param"), WRONG)
def test_a_message_that_asks_nothing_says_why(value: Any, key: bytes | None, code: str, param: str) -> None:
    with pytest.raises(Problem) as refusal:
        read(message(value, key), "paysim", NOW_MS)
    params = [error.param for error in refusal.value.errors] or [refusal.value.param]
    assert refusal.value.code == code
    assert param in params


def test_a_message_read_again_asks_the_same_facts() -> None:
    """What it says nothing of, its id and its time, follows from where and when it was produced."""
    payment = {"amount": 1, "user_id": "u", "merchant_id": "m"}
    once, again = (read(message(payment, produced_ms=NOW_MS - 5_000), "payments", NOW_MS + late) for late in (0, 9_000))
    assert (once.parsed.sent, once.parsed.at_ms) == (again.parsed.sent, again.parsed.at_ms)


@pytest.mark.parametrize(
    ("produced_ms", "expected"),
    [
        (NOW_MS - 1, NOW_MS - 1),
        (NOW_MS - 7 * DAY_MS, NOW_MS - 7 * DAY_MS),
        (NOW_MS - 7 * DAY_MS - 1, NOW_MS),  # a clock gone wrong
        (NOW_MS + 1, NOW_MS),
        (0, NOW_MS),
    ],
)
def test_a_transaction_came_when_its_message_was_produced(produced_ms: int, expected: int) -> None:
    assert happened_ms(message({}, produced_ms=produced_ms), NOW_MS) == expected


# --- keys and letters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        ((("x-api-key", b" pk_live_1 "),), "pk_live_1"),
        ((("X-API-Key", b"pk_live_1"),), "pk_live_1"),
        ((("x-api-key", None),), ""),
        ((("x-api-key", b"\xff"),), "�"),
        ((("traceparent", b"00"),), None),
    ],
)
def test_whose_key_a_message_brings(headers: messages.Headers, expected: str | None) -> None:
    assert key_text(message({}, headers=headers)) == expected


def test_a_dead_letter_is_the_message_with_its_reason_and_without_the_key() -> None:
    headers = (
        ("x-api-key", b"pk_live_secret"), ("Authorization", b"Bearer pk_live_secret"), ("trace", b"1"),
        ("palisade-reason", b"of the last time"),
    )  # fmt: skip
    letter = dead_letter(
        "dead", message(b"{", b"k", headers=headers), Problem("field_invalid", "It is wrong.", "amount")
    )
    assert (letter.topic, letter.key, letter.value) == ("dead", b"k", b"{")
    assert dict(letter.headers) == {
        "trace": b"1",
        "palisade-reason": b"field_invalid",
        "palisade-detail": b"It is wrong.",
        "palisade-param": b"amount",
        "palisade-topic": b"in",
        "palisade-partition": b"3",
        "palisade-offset": b"42",
    }
    assert len(letter.headers) == 7


def test_lots_are_alike_in_key_schema_and_model_and_keep_their_order() -> None:
    asked = [
        (key, read(message({"schema": "paysim", "transaction": TRANSACTION, "model": model}, b"k"), "paysim", NOW_MS))
        for key, model in [("a", None), ("b", None), ("a", "ensemble"), ("a", None), ("b", None)]
    ]
    assert lots(asked) == [[0, 3], [1, 4], [2]]


# --- what waits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", KINDS)
def test_what_a_caller_is_told_to_repeat_waits_and_all_else_is_refused(code: str) -> None:
    """A stream asks only what these may answer of what passes by itself: all 429 and 503 of the gate and the stores."""
    passes = {"rate_limited", "quota_exceeded", "journal_full", "stores_away", "server_busy"}
    assert (wait_of(Problem(code)) is not None) == (code in passes)
    assert set(WAITS) == passes


@pytest.mark.parametrize(
    ("code", "retry_after", "expected"),
    [
        ("rate_limited", 0.6, 0.6),
        ("rate_limited", 0.0001, SHORTEST),
        ("rate_limited", 3600.0, LONGEST),
        ("quota_exceeded", None, 5.0),
        ("stores_away", None, 2.0),
        ("key_revoked", None, None),
    ],
)
def test_how_long_a_refusal_is_waited_out(code: str, retry_after: float | None, expected: float | None) -> None:
    assert wait_of(Problem(code, retry_after=retry_after)) == expected


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem("quota_exceeded", extra={"used": 7, "included": 10}), 3),
        (Problem("quota_exceeded", extra={"used": 7, "allowed": 10}), 3),
        (Problem("quota_exceeded", extra={"used": 12, "allowed": 10}), 0),
        (Problem("quota_exceeded"), 0),
        (Problem("rate_limited", extra={"used": 7, "included": 10}), 0),
    ],
)
def test_how_many_of_a_lot_still_fit(problem: Problem, expected: int) -> None:
    assert room_left(problem) == expected


# --- what may be committed --------------------------------------------------------------------------------------------

PLACE = ("in", 0)


@given(st.permutations(range(8)))
def test_only_what_is_done_without_a_gap_is_committed(order: list[int]) -> None:
    positions, done = Positions(), set[int]()
    for offset in range(100, 108):
        positions.read(PLACE, offset)
    for number in order:
        positions.done(PLACE, 100 + number)
        done.add(number)
        first_open = next(number for number in range(9) if number not in done)
        expected = 100 + first_open
        assert positions.to_commit().get(PLACE, expected) == expected


def test_what_is_committed_is_not_committed_again() -> None:
    positions = Positions()
    positions.read(PLACE, 5)
    positions.done(PLACE, 5)
    assert positions.to_commit() == {PLACE: 6}
    positions.committed({PLACE: 6})
    assert positions.to_commit() == {}


def test_partitions_that_others_have_are_forgotten() -> None:
    positions = Positions()
    positions.read(PLACE, 5)
    positions.forget([PLACE])
    positions.done(PLACE, 5)
    positions.committed({PLACE: 6})
    assert positions.to_commit() == {}


def test_a_topic_made_anew_counts_from_its_beginning() -> None:
    positions = Positions()
    positions.read(PLACE, 500)
    positions.done(PLACE, 500)
    positions.committed({PLACE: 501})
    positions.read(PLACE, 0)
    positions.done(PLACE, 0)
    assert positions.to_commit() == {PLACE: 1}


# --- how large a batch is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("each_ms", "fixed_ms", "expected"),
    [(1.0, 0.0, 100), (0.1, 0.0, MOST), (1.0, 20.0, 80), (500.0, 0.0, 1)],
)
def test_a_batch_takes_two_fifths_of_the_budget(each_ms: float, fixed_ms: float, expected: int) -> None:
    budget = Budget(0.25)
    for _ in range(60):
        budget.took(budget.size, (fixed_ms + each_ms * budget.size) / 1000)
    assert budget.size == pytest.approx(expected, rel=0.05)
