import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.engine.history import (
    DAY_MS,
    EVENT_BYTES,
    HOUR_MS,
    KEPT,
    QUIET,
    WEEK_MS,
    Replay,
    _counted,
    _counted_in_bulk,
    name_hash,
    pack,
    summarise,
    trimmed,
)  # fmt: skip
from apps.scoring.engine.transaction import Party

NOW = 100 * DAY_MS


def past(*events):
    return b"".join(pack(at, amount, name, transaction) for at, amount, name, transaction in events)


def test_an_event_is_32_bytes():
    assert len(pack(1, 2.0, "C1", 3)) == EVENT_BYTES == 32
    assert name_hash("") == 0


def test_windows_are_open_at_the_old_end_and_closed_at_now():
    edges = [NOW, NOW - HOUR_MS + 1, NOW - HOUR_MS, NOW - DAY_MS, NOW - WEEK_MS + 1, NOW - WEEK_MS, NOW + 1]
    seen = summarise(past(*[(at, 1.0, "C1", index + 1) for index, at in enumerate(edges)]), NOW, 99)
    assert (seen.count_1h, seen.count_24h, seen.count_7d) == (2, 3, 5)


def test_the_present_transaction_is_not_its_own_past():
    assert summarise(past((NOW, 5.0, "C1", 7)), NOW, 7) == QUIET


def test_a_repeated_event_counts_once_and_the_newest_wins():
    seen = summarise(past((NOW - 5, 1.0, "A", 7), (NOW - 4, 2.0, "B", 8), (NOW - 3, 10.0, "C", 7)), NOW, 99)
    assert (seen.count_1h, seen.sum_1h, seen.distinct_1h) == (2, 12.0, 2)


def test_an_unknown_counterparty_is_an_event_but_nobody():
    seen = summarise(past((NOW - 1, 1.0, "", 1), (NOW - 2, 1.0, "A", 2)), NOW, 99)
    assert (seen.count_1h, seen.distinct_1h) == (2, 1)


def test_since_last_is_in_seconds_and_nan_without_events():
    assert summarise(past((NOW - 90_000, 1.0, "A", 1)), NOW, 99).since_last == 90.0
    assert math.isnan(summarise(b"", NOW, 99).since_last)


def test_only_the_newest_events_are_looked_at_and_a_torn_tail_is_cut():
    many = past(*[(NOW - 1, 1.0, "A", index + 1) for index in range(KEPT + 50)])
    assert summarise(many + b"torn", NOW, 0).count_1h == KEPT


def test_trimming_waits_for_twice_what_is_kept():
    full = b"x" * 2 * KEPT * EVENT_BYTES
    assert trimmed(full) == full
    assert len(trimmed(full + b"y" * EVENT_BYTES)) == KEPT * EVENT_BYTES


events = st.tuples(
    st.integers(NOW - 2 * WEEK_MS, NOW + DAY_MS),
    st.floats(0, 1e12, allow_nan=False),
    st.sampled_from(["", "A", "B", "C"]),
    st.integers(0, 20),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(events, min_size=1, max_size=120))
def test_the_loop_and_the_arrays_agree_to_the_bit(drawn):
    packed = past(*drawn)
    loop, bulk = _counted(packed, NOW, 5), _counted_in_bulk(packed, NOW, 5)
    assert repr(msgspec.structs.astuple(loop)) == repr(msgspec.structs.astuple(bulk))


def test_replay_reads_before_it_adds():
    replay = Replay()
    pair = (Party("nameOrig", "A", "B"), Party("nameDest", "B", "A"))
    first = replay.observe(pair, NOW, 5.0, 1)
    second = replay.observe(pair, NOW, 5.0, 2)
    assert first == {"nameOrig": QUIET, "nameDest": QUIET}
    assert second["nameDest"].count_1h == 1
