"""Whose turn it is: bounds that always hold, and nobody who waits for somebody else's receivers."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.courier import BOUNDS
from apps.notifications.models import Delivery
from apps.notifications.turns import Bounds, Turns, Waiting

HOOKS = BOUNDS[Delivery.Channel.WEBHOOK]


def flood(tenant: int, recipients: int = 20, each: int = 50) -> list[Waiting]:
    return [Waiting(f"{tenant}-{to}-{one}", tenant, f"r{to}") for to in range(recipients) for one in range(each)]


def one_of(tenant: int) -> Waiting:
    return Waiting(f"one of {tenant}", tenant, "r")


def test_one_tenants_thousand_take_its_bound_and_go_to_all_its_recipients() -> None:
    chosen = Turns(HOOKS).choose(flood(1))
    assert len(chosen) == HOOKS.tenant
    assert len({one.recipient for one in chosen}) == HOOKS.tenant


def test_one_recipients_thousand_take_its_bound() -> None:
    assert len(Turns(HOOKS).choose(flood(1, recipients=1, each=1_000))) == HOOKS.recipient


def test_turns_go_round_by_tenant() -> None:
    small = Turns(Bounds(at_once=4, tenant=4, recipient=4))
    assert sorted(one.tenant for one in small.choose([*flood(1), *flood(2), one_of(3)])) == [1, 1, 2, 3]


def test_more_than_a_hundred_tenants_whose_receivers_never_answer_leave_places_for_the_next() -> None:
    turns = Turns(HOOKS)
    for tenant in [*range(150), *range(150)]:
        turns.choose(flood(tenant))
    assert turns.choose([one_of(1_000)]) == [one_of(1_000)]


def test_what_was_slow_shares_half_of_the_places() -> None:
    turns = Turns(HOOKS)
    for tenant in range(500):  # each found to be slow, one after the other
        (one,) = turns.choose([one_of(tenant)])
        turns.end(one, 14.0)
    again = turns.choose([one_of(tenant) for tenant in range(500)])
    assert len(again) == HOOKS.at_once // 2
    assert turns.choose([one_of(1_000)])
    for one in again:
        turns.end(one, 0.1)
    assert len(turns.choose([one_of(tenant) for tenant in range(500)])) > HOOKS.at_once // 2


def test_place_of_what_was_not_tried_is_free_again() -> None:
    turns = Turns(Bounds(at_once=1, tenant=1, recipient=1))
    assert turns.choose([one_of(1), one_of(2)]) == [one_of(1)]
    assert (turns.choose([one_of(1), one_of(2)]), turns.free) == ([], 0)
    turns.end(one_of(1))
    assert turns.choose([one_of(2)]) == [one_of(2)]


BOUNDED = st.builds(
    Bounds, at_once=st.integers(1, 12), tenant=st.integers(1, 8), recipient=st.integers(1, 4), slow_seconds=st.just(2.0)
)
ROWS = st.lists(st.tuples(st.integers(1, 5), st.sampled_from("abc")), max_size=30)


@given(bounds=BOUNDED, rounds=st.lists(st.tuples(ROWS, st.integers(0, 12), st.sampled_from([0.1, 14.0])), max_size=8))
def test_bounds_hold_and_who_holds_nothing_finds_a_free_place(
    bounds: Bounds, rounds: list[tuple[list[tuple[int, str]], int, float]]
) -> None:
    turns, held, slow = Turns(bounds), [], set()
    for number, (rows, ended, seconds) in enumerate(rounds):
        waiting = [Waiting(f"{number}-{place}", *row) for place, row in enumerate(rows)]
        before = {one.tenant for one in held}
        held += turns.choose(waiting)
        tenants, recipients = Counter(one.tenant for one in held), Counter(one[1:] for one in held)
        assert len(held) == len({one.id for one in held}) == bounds.at_once - turns.free <= bounds.at_once
        assert max(tenants.values(), default=0) <= bounds.tenant
        assert max(recipients.values(), default=0) <= bounds.recipient
        fast_newcomers = {one.tenant for one in waiting if one[1:] not in slow} - before
        assert not turns.free or fast_newcomers <= set(tenants)
        for one in held[:ended]:
            turns.end(one, seconds)
            (slow.add if seconds > 2 else slow.discard)(one[1:])
        held = held[ended:]
