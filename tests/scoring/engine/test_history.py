import math
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.engine.habits import HABIT_MS, NO_HABITS, Habits
from apps.scoring.engine.history import Replay, habits, summarise, unknown
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.past_events import (
    DAY_MS,
    EVENT,
    EVENT_BYTES,
    HOUR_MS,
    KEPT,
    LOOKED_AT,
    TOLERATED_AHEAD_MS,
    TRIMMED_AT,
    WEEK_MS,
    event_of,
    name_hash,
    placed,
    refused,
    seen_at,
    together,
)
from apps.scoring.engine.transaction import FOREVER
from apps.scoring.engine.windows import QUIET, Activity, counted, counted_in_bulk

NOW = 100 * DAY_MS


def pack(at_ms, amount, counterparty, transaction):
    return event_of(Party("user", "U1", counterparty), at_ms, amount, transaction)


def past(*events):
    return b"".join(pack(*event) for event in sorted(events, key=lambda event: event[0]))


def test_an_event_is_48_bytes():
    assert len(pack(1, 2.0, "C1", 3)) == EVENT_BYTES == 48
    assert name_hash("") == 0


def test_windows_are_open_at_the_old_end_and_closed_at_now():
    edges = [NOW, NOW - HOUR_MS + 1, NOW - HOUR_MS, NOW - DAY_MS, NOW - WEEK_MS + 1, NOW - WEEK_MS, NOW + 1]
    seen = summarise(past(*[(at, 1.0, "C1", index + 1) for index, at in enumerate(edges)]), NOW, 99)
    assert (seen.count_1h, seen.count_24h, seen.count_7d) == (2, 3, 5)


def test_the_present_transaction_is_not_its_own_past():
    assert summarise(past((NOW, 5.0, "C1", 7)), NOW, 7) == QUIET


def test_a_repeated_event_counts_once_and_the_last_wins():
    seen = summarise(past((NOW - 5, 1.0, "A", 7), (NOW - 4, 2.0, "B", 8), (NOW - 3, 10.0, "C", 7)), NOW, 99)
    assert (seen.count_1h, seen.sum_1h, seen.distinct_1h) == (2, 12.0, 2)


def test_an_unknown_counterparty_is_an_event_but_nobody():
    seen = summarise(past((NOW - 1, 1.0, "", 1), (NOW - 2, 1.0, "A", 2)), NOW, 99)
    assert (seen.count_1h, seen.distinct_1h) == (2, 1)


def test_since_last_is_in_seconds_and_nan_without_events():
    assert summarise(past((NOW - 90_000, 1.0, "A", 1)), NOW, 99).since_last == 90.0
    assert math.isnan(summarise(b"", NOW, 99).since_last)


def test_only_the_newest_events_are_looked_at_and_a_torn_tail_is_cut():
    many = past(*[(NOW - 1, 1.0, "A", index + 1) for index in range(LOOKED_AT + 50)])
    assert summarise(many + b"torn", NOW, 0).count_1h == LOOKED_AT


def arrived(*times, received=FOREVER):
    """The past after events dated so have arrived in this order, each under an id of its own."""
    packed = b""
    for number, at in enumerate(times, start=1):
        packed = placed(packed, pack(at, 1.0, "A", number), received)
    return packed


def times_of(packed):
    return [event[0] for event in EVENT.iter_unpack(packed)]


def test_trimming_waits_until_there_is_enough_to_cut_off():
    assert len(arrived(*range(TRIMMED_AT))) == TRIMMED_AT * EVENT_BYTES
    assert times_of(arrived(*range(TRIMMED_AT + 1))) == list(range(TRIMMED_AT + 1 - KEPT, TRIMMED_AT + 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=60))
def test_events_stand_in_the_order_of_their_time_and_those_of_a_moment_as_they_came(times):
    found = [(event[0], event[2]) for event in EVENT.iter_unpack(arrived(*times))]
    assert found == sorted((at, number) for number, at in enumerate(times, start=1))


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3 * KEPT), st.integers(-KEPT, 3 * KEPT))
def test_what_is_looked_at_does_not_depend_on_the_order_of_arrival(chance, count, at):
    """Nor on when what is old was cut off: the newest are there, whatever came after them."""
    times = list(range(count))
    whole = [time_ for time_ in times[-KEPT:] if time_ <= at][-LOOKED_AT:]
    for shuffle in (lambda: None, times.reverse, lambda: chance.shuffle(times)):
        shuffle()
        assert times_of(seen_at(arrived(*times), at)) == whole


@pytest.mark.parametrize("many", [LOOKED_AT + 4, KEPT, TRIMMED_AT + 1, 3 * TRIMMED_AT])
@pytest.mark.parametrize("away", [-90 * DAY_MS, -2 * HOUR_MS, 1, TOLERATED_AHEAD_MS])
def test_nothing_dated_elsewhere_pushes_out_what_is_recent(many, away):
    recent, elsewhere = [NOW - n for n in range(12, 0, -1)], [NOW + away + n % 60 for n in range(many)]
    for times in (recent + elsewhere, elsewhere + recent):
        seen = seen_at(arrived(*times, received=NOW), NOW, NOW)
        assert times_of(seen)[-12:] == recent
        assert summarise(seen, NOW, 0).count_1h == 12


def test_an_event_repeated_takes_the_place_of_the_earlier_one():
    packed = arrived(NOW, NOW + 5, NOW + 10)
    assert placed(packed, pack(NOW + 5, 1.0, "A", 2)) == packed
    moved = placed(packed, pack(NOW + 20, 7.0, "B", 2))
    assert [(event[0], event[1], event[2]) for event in EVENT.iter_unpack(moved)] == [
        (NOW, 1.0, 1), (NOW + 10, 1.0, 3), (NOW + 20, 7.0, 2)
    ]  # fmt: skip


def test_bytes_that_only_look_like_a_transaction_are_none():
    amount = struct.unpack("<d", struct.pack("<Q", 77))[0]
    packed = placed(placed(b"", pack(1, amount, "A", 5)), pack(2, 1.0, "A", 77))
    assert times_of(packed) == [1, 2]


def replayed(*said):
    """The user's activity as the last of (dated, received) sees it."""
    replay, seen = Replay((Role("user"),)), {}
    for number, (at, received) in enumerate(said, start=1):
        seen = replay.observe((Party("user", "U1", "A"),), at, 5.0, number, received)
    return seen["user"]


def test_a_clock_that_is_a_little_ahead_counts_from_its_own_time_on():
    early = [(NOW + TOLERATED_AHEAD_MS, NOW)] * 5
    assert replayed(*early, (NOW, NOW)).count_1h == 0
    assert replayed(*early, (NOW + TOLERATED_AHEAD_MS, NOW + TOLERATED_AHEAD_MS)).count_1h == 5


def test_what_is_dated_ahead_is_never_recent_to_what_is_not():
    ahead = [(NOW + DAY_MS, NOW)] * 5
    tomorrow = (NOW + DAY_MS + 1, NOW + DAY_MS + 1)
    assert replayed(*ahead, (NOW, NOW)) == replayed(*ahead, tomorrow) == QUIET


def test_what_is_dated_ahead_looks_at_both_pasts():
    """A whole feed in a wrong zone still has its velocity."""
    said = [(NOW + DAY_MS - 5, NOW + DAY_MS - 5), (NOW + DAY_MS - 7, NOW), (NOW + DAY_MS - 3, NOW)]
    seen = replayed(*said, (NOW + DAY_MS, NOW))
    assert (seen.count_1h, seen.since_last) == (3, 0.003)


def test_two_pasts_together_are_in_the_order_of_time():
    assert times_of(together(arrived(1, 4, 9), arrived(2, 4, 8))) == [1, 2, 4, 4, 8, 9]
    assert together(arrived(1), b"") == arrived(1)
    assert len(together(arrived(*range(LOOKED_AT)), arrived(*range(LOOKED_AT)))) == LOOKED_AT * EVENT_BYTES


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
    loop, bulk = counted(packed, NOW, 5), counted_in_bulk(packed, NOW, 5)
    assert repr(msgspec.structs.astuple(loop)) == repr(msgspec.structs.astuple(bulk))


USER = Party("user", "U1", "A", "grocery", place="UZ", device="D1")


def lived(*events):
    """A past of (when, amount, transaction) or of (when, amount, transaction, what differs from USER)."""
    packed = b""
    for when, amount, transaction, *differs in events:
        party = USER
        for change in differs:
            party = msgspec.structs.replace(party, **change)
        packed = placed(packed, event_of(party, when, amount, transaction))
    return packed


def of_user(*events, party=USER, **asked):
    return habits(lived(*events), NOW, 99, party, **asked)


def test_habits_hold_the_present_against_the_established():
    found = of_user(
        (NOW - 4 * DAY_MS, 10.0, 1),
        (NOW - 3 * DAY_MS, 30.0, 2, {"counterparty": "B"}),
        (NOW - 2 * DAY_MS, 50.0, 3, {"kind": "travel", "place": "KZ", "device": "D2"}),
        (NOW - HOUR_MS // 2, 80.0, 4, {"kind": "travel"}),
    )
    assert (found.known, found.known_days, found.usual_amount) == (3, 4.0, 30.0)
    assert (found.kind_known, found.kind_amount, found.merchant_known) == (2, 10.0, 2)
    assert (found.largest_24h, found.excess_24h) == (80.0, math.log(80.0 / 30.0))
    assert (found.devices_24h, found.device_age, found.devices_known) == (1, 4 * 86400.0, 2)
    assert (found.places_24h, found.place_days, found.abroad) == (1, 2, 0.0)


def test_what_is_not_a_day_old_is_no_habit_and_neither_is_what_was_refused():
    thefts = [(NOW - DAY_MS + number, 900.0, number) for number in range(1, 40)]
    old = lived(*[(NOW - 5 * DAY_MS + number, 900.0, 1000 + number, {"device": "D3"}) for number in range(4)])
    marked = old
    for at in range(0, len(old), EVENT_BYTES):
        marked = refused(marked, old[at : at + EVENT_BYTES])
    honest = lived((NOW - 2 * DAY_MS, 20.0, 2000), *thefts)
    found = habits(marked + honest, NOW, 99, msgspec.structs.replace(USER, device="D3"))
    assert (found.known, found.usual_amount, found.count_24h) == (1, 20.0, 39)
    assert found.device_age == 0.0  # seen in what was refused alone


def test_a_burst_counts_as_one_day_of_the_usual():
    honest = [(NOW - (3 + number) * DAY_MS, 20.0, number) for number in range(7)]
    burst = [(NOW - 2 * DAY_MS + number, 900.0, 100 + number, {"place": "KZ"}) for number in range(60)]
    found = of_user(*honest, *burst)
    assert (found.known, found.usual_amount, found.abroad) == (67, 20.0, 0.0)


def test_a_device_is_as_old_as_its_first_event():
    found = of_user((NOW - 9 * DAY_MS, 1.0, 1), (NOW - 40_000, 1.0, 2, {"device": "D2"}),
                    party=msgspec.structs.replace(USER, device="D2"))  # fmt: skip
    assert (found.device_age, found.devices_known) == (40.0, 1)


def test_home_is_not_known_of_who_only_just_came():
    found = of_user((NOW - HOUR_MS, 1.0, 1))
    assert math.isnan(found.abroad) and (found.known, found.devices_known) == (0, 0)


def test_the_fastest_journey_of_a_day_is_told_by_distances_or_by_speeds():
    far, near = {"measure": 8000.0}, {"measure": 1.0}
    events = [(NOW - 3 * HOUR_MS, 1.0, 1, near), (NOW - 2 * HOUR_MS, 1.0, 2, far), (NOW - HOUR_MS, 1.0, 3, near)]
    assert of_user(*events).fastest_24h == of_user(*events, speeds=True).fastest_24h == 8000.0
    assert math.isnan(of_user((NOW - HOUR_MS, 1.0, 1, far)).fastest_24h)  # from where is not known
    assert of_user(*events[:2], (NOW - 2 * HOUR_MS + 1, 1.0, 3, far)).fastest_24h == 8000.0 * 60.0


def test_refused_attempts_of_the_sender_are_counted():
    found = of_user(*[(NOW - at, 1.0, at, {"failed": at != 5}) for at in (5, 6, HOUR_MS, DAY_MS - 1, DAY_MS)])
    assert (found.failed_1h, found.failed_24h) == (1, 3)


def test_habits_end_after_120_days():
    assert of_user((NOW - HABIT_MS, 1.0, 1), (NOW - HABIT_MS + 1, 2.0, 2)).usual_amount == 2.0
    assert repr(of_user((NOW - HABIT_MS, 1.0, 1))) == repr(of_user())


def test_an_unknown_name_is_held_against_nothing():
    found = of_user((NOW - 2 * DAY_MS, 1.0, 1), party=Party("user", "U1", ""))
    unsaid = (found.kind_known, found.merchant_known, found.device_age, found.place_days, found.abroad)
    assert all(map(math.isnan, unsaid))


def test_a_huge_measure_is_kept_finite():
    assert math.isfinite(of_user((NOW - 5, 1.0, 1, {"measure": 1e300}), speeds=True).fastest_24h)


@settings(max_examples=150, deadline=None)
@given(st.lists(events, min_size=1, max_size=300))
def test_habits_agree_with_the_windows_to_the_bit(drawn):
    packed = past(*drawn)
    long, windows = habits(packed, NOW, 5, USER), summarise(packed, NOW, 5)
    shared = tuple(getattr(long, name) for name in windows.__struct_fields__)
    assert repr(shared) == repr(msgspec.structs.astuple(windows))


def test_a_role_gets_what_it_asks_for():
    roles = (Role("payer", habits=True), Role("payee"))
    seen = Replay(roles).observe((Party("payer", "A", "B"), Party("payee", "B", "A")), NOW, 5.0, 1)
    assert repr(seen) == repr({"payer": NO_HABITS, "payee": QUIET})
    assert [type(unknown(role)) for role in roles] == [Habits, Activity]


def test_replay_reads_before_it_adds():
    replay = Replay((Role("nameOrig"), Role("nameDest")))
    pair = (Party("nameOrig", "A", "B"), Party("nameDest", "B", "A"))
    first = replay.observe(pair, NOW, 5.0, 1)
    second = replay.observe(pair, NOW, 5.0, 2)
    assert first == {"nameOrig": QUIET, "nameDest": QUIET}
    assert second["nameDest"].count_1h == 1
