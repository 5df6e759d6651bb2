"""What is kept of the row a decision was made on gives it back to the last bit, one by one and in blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from apps.scoring.engine import made_on
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema

VALUES = some.floats(width=64) | some.floats(width=32) | some.just(float("nan")) | some.integers(0, 9).map(float)
COUNTS = some.just(0.0) | some.just(float("nan")) | some.floats(0, 1e9)
CHECKS = (ListCheck("mules", "user_id"), ListCheck("friends", "merchant_id"))


@given(some.data(), some.sampled_from(list(SCHEMAS.values())), some.floats(0, 1) | some.none(), some.booleans())
def test_a_row_comes_back_to_the_bit_and_a_block_is_its_rows(
    data: some.DataObject, schema: TransactionSchema, probability: float | None, scored: bool
) -> None:
    count = data.draw(some.integers(0, 3))
    rows = data.draw(arrays(np.float64, (count, len(schema.features)), elements=VALUES))
    counts = data.draw(arrays(np.float64, (count, len(made_on.counts_of(schema))), elements=COUNTS))
    lists = data.draw(arrays(np.uint8, (count, len(CHECKS)), elements=some.integers(0, 2)))
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = rows.astype("<f4")
    features = [one.tobytes() if scored else b"" for one in vectors]
    single = [
        made_on.packed(row, one, probability, counted, bytes(answers.tolist()))
        for row, one, counted, answers in zip(rows.tolist(), features, counts.tolist(), lists, strict=True)
    ]
    told = None if probability is None else np.full(count, probability)
    assert made_on.packed_block(rows, vectors if scored else None, told, counts, lists) == single
    held = vectors.astype(np.float64) if scored else np.full(rows.shape, np.nan)
    block = made_on.unpacked_block(single, held, schema)
    assert np.array_equal(block.rows, rows, equal_nan=True)
    assert np.array_equal(block.counts, counts, equal_nan=True)
    assert block.lists == [bytes(one.tolist()) for one in lists]
    for place, (kept, one) in enumerate(zip(single, features, strict=True)):
        found = made_on.unpacked(kept, one, schema)
        assert np.array_equal(found.row, rows[place], equal_nan=True)
        assert (found.probability, found.lists) == (probability, block.lists[place])
        again = made_on.counted(made_on.pasts_of(schema, found.counts))
        assert np.array_equal(np.array(again), counts[place], equal_nan=True)


def test_answers_of_lists_come_back_and_unknown_ones_stay_unknown() -> None:
    for known in ({}, {CHECKS[0]: True}, {CHECKS[0]: False, CHECKS[1]: True}):
        assert made_on.known_lists(CHECKS, made_on.answered(CHECKS, known)) == known


@pytest.mark.parametrize("kept", [b"", b"\x02" + bytes(60), b"\x01" + b"\xff" * 20])
def test_what_is_no_such_record_is_refused(kept: bytes) -> None:
    with pytest.raises(made_on.Unreadable):
        made_on.unpacked(kept, b"", SCHEMAS["ieee_cis"])
