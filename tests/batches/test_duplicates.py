"""What the store is told of a chunk's decisions: the first of a transaction, newer facts, and facts decided already."""

import pytest

from apps.api_keys.gate import Names
from apps.batches.duplicates import AT_ONCE, Named, look_up, point, retract
from apps.usage.metering.journal import DUPLICATE_SECONDS
from apps.valkey import Valkey

pytestmark = pytest.mark.usefixtures("flush")

NAMES = Names("abc123", True)


def named(row: int, decision: str, *, transaction: int | None = None, facts: str = "a") -> Named:
    """`facts` are what its body's hash is made of; the transaction is the row's own unless it is said."""
    number = row if transaction is None else transaction
    return Named(row, decision, f"{number:032x}", facts * 32, f"t{number}")


def pointer(valkey: Valkey, row: Named) -> str:
    return str(valkey.command("GET", NAMES.transaction("paysim", row.transaction_hash)).decode())


def pointed(valkey: Valkey, *rows: Named) -> dict[int, str]:
    return point(valkey, NAMES, "paysim", rows)


def test_each_row_is_told_once_for_a_time(valkey: Valkey) -> None:
    rows = [named(number, f"dec_{number}") for number in range(2 * AT_ONCE + 1)]
    assert pointed(valkey, *rows) == {}
    assert pointer(valkey, rows[-1]) == rows[-1].body_hash + rows[-1].decision_id
    life = valkey.command("TTL", NAMES.transaction("paysim", rows[0].transaction_hash))
    assert DUPLICATE_SECONDS - 60 < life <= DUPLICATE_SECONDS
    assert look_up(valkey, NAMES, "paysim", rows) == ({}, {})  # their own


def test_a_chunk_told_again_finds_its_own(valkey: Valkey) -> None:
    rows = [named(number, f"dec_{number}") for number in range(3)]
    assert pointed(valkey, *rows) == pointed(valkey, *rows) == {}
    assert [pointer(valkey, row)[32:] for row in rows] == ["dec_0", "dec_1", "dec_2"]


def test_newer_facts_take_the_place_of_older_ones(valkey: Valkey) -> None:
    assert pointed(valkey, named(0, "dec_old")) == {}
    newer = named(0, "dec_new", facts="b")
    assert look_up(valkey, NAMES, "paysim", [newer]).supersedes == {0: "dec_old"}
    assert pointed(valkey, newer) == {}
    assert pointer(valkey, newer) == newer.body_hash + "dec_new"


def test_newer_facts_within_a_chunk_are_the_last_ones(valkey: Valkey) -> None:
    earlier, later = named(0, "dec_0", transaction=7), named(1, "dec_1", transaction=7, facts="b")
    assert pointed(valkey, earlier, later) == {}
    assert pointer(valkey, later) == later.body_hash + "dec_1"


def test_who_decided_on_the_same_facts_meanwhile_is_told_and_stays(valkey: Valkey) -> None:
    single = named(1, "dec_single")
    assert pointed(valkey, single) == {}
    mine = [named(number, f"dec_{number}") for number in range(3)]
    assert look_up(valkey, NAMES, "paysim", mine).duplicates == {1: "dec_single"}
    assert pointed(valkey, *mine) == {1: "dec_single"}
    assert [pointer(valkey, row)[32:] for row in mine] == ["dec_0", "dec_single", "dec_2"]


def test_what_never_came_to_be_is_forgotten_and_nothing_else(valkey: Valkey) -> None:
    single, mine = named(1, "dec_single"), [named(number, f"dec_{number}") for number in range(3)]
    pointed(valkey, single)
    pointed(valkey, *mine)
    assert (retract(valkey, NAMES, "paysim", mine), retract(valkey, NAMES, "paysim", mine)) == (2, 0)
    assert pointer(valkey, single)[32:] == "dec_single"
