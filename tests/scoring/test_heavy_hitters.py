"""A sketch of parties is bounded, and wrong by no more than it says, however it is merged."""

from collections import Counter as Exact

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.heavy_hitters import Counter, Sketch, leading, merged, pack, summed, unpack, without

MOST = 5
BATCHES = st.lists(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=40), max_size=6)


def sketch(batch: list[str]) -> Sketch:
    return merged(
        [Sketch({party: Counter(count, 0.5 * count, 10 * count) for party, count in Exact(batch).items()})], MOST
    )


@settings(max_examples=100)
@given(BATCHES)
def test_counts_are_low_by_at_most_the_error_and_the_error_is_bounded(batches: list[list[str]]) -> None:
    exact = Exact(party for batch in batches for party in batch)
    found = merged(map(sketch, batches), MOST)
    assert len(found.counters) <= MOST
    assert found.error <= exact.total() / (MOST + 1)
    for party, count in exact.items():
        one = found.counters.get(party, Counter(0, 0, 0))
        assert count - found.error <= one.decisions <= count


@given(BATCHES, st.integers(1, 8))
def test_the_leading_ones_are_those_of_all(batches: list[list[str]], most: int) -> None:
    sketches = list(map(sketch, batches))
    everybody, error = summed(sketches)
    found, same = leading(sketches, most)
    assert (error, {party: everybody[party] for party in found}) == (same, found)
    least = sorted((one[0] for one in everybody.values()), reverse=True)[:most]
    assert sorted((one[0] for one in found.values()), reverse=True)[:most] == least
    assert all(one[0] < min(least) for party, one in everybody.items() if party not in found)


def test_few_parties_are_counted_exactly_and_can_be_forgotten() -> None:
    found = merged([sketch(["a", "a", "b"]), sketch(["a"])], MOST)
    assert found == Sketch({"a": Counter(3, 1.5, 30), "b": Counter(1, 0.5, 10)})
    assert without(unpack(pack(found)), ["a"]) == Sketch({"b": Counter(1, 0.5, 10)})
