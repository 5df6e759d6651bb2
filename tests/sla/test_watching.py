"""Three failed probes in a row open an incident, two good ones close it; latencies are right to within 2 %."""

import random

import pytest

from apps.sla import probes
from apps.sla.latency import ERROR, percentile_ms, step_of, value_us
from apps.sla.parts import PARTS
from apps.sla.watching import Look, Watched, watched


def seen(found: str) -> list[tuple[int, str, int]]:
    """(round, kind, since) of incidents' changes. `found`: a letter a round: up, down, ? can't tell."""
    state, changes = Watched(), []
    for number, letter in enumerate(found):
        look = Look("api", number, {"u": True, "d": False, "?": None}[letter])
        state, change = watched(state, look)
        changes += [(number, change.kind, change.second)] if change else []
    return changes


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        ("uddu", []),
        ("uddd", [(3, "opened", 1)]),
        ("udududud", []),
        ("dd?d", [(3, "opened", 0)]),
        ("dddddduduu", [(2, "opened", 0), (9, "closed", 8)]),
        ("dddu?u", [(2, "opened", 0), (5, "closed", 3)]),
        ("ddduuddd", [(2, "opened", 0), (4, "closed", 3), (7, "opened", 5)]),
    ],
)
def test_incidents_open_and_close_by_probes(found: str, changes: list[tuple[int, str, int]]) -> None:
    assert seen(found) == changes


def test_every_part_has_a_probe() -> None:
    assert probes.PROBES.keys() == PARTS.keys()


def test_answer_times_are_right_to_within_two_percent() -> None:
    assert ERROR <= 0.02
    random_ = random.Random(7)
    times = sorted(random_.lognormvariate(7.0, 2.0) for _ in range(20_000))
    assert all(abs(value_us(step_of(us)) / us - 1) <= ERROR * 1.0001 for us in times if us >= 1)
    steps: dict[int, int] = {}
    for us in times:
        steps[step_of(us)] = steps.get(step_of(us), 0) + 1
    for share in (0.5, 0.95, 0.99):
        exact = times[-(-int(share * 100) * len(times) // 100) - 1] / 1_000
        assert percentile_ms(steps, share) == pytest.approx(exact, rel=0.02)
    assert percentile_ms({}, 0.5) is None
