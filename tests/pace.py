"""How slow this machine is, as a factor: the suite's time-outs are given in seconds of the machine it was written on.

A time-out here never measures anything; it only ends what would never end. So `within` gives what a test asks for times
the pace of the moment the run began, and what is asked for is several times what is needed.
"""

import time

#: Seconds that `_work` takes on two quiet cores of the machine the tests were written on.
WRITTEN_ON = 0.03
#: A machine that is slower still is not waited for longer.
SLOWEST = 12.0


def _work() -> float:
    """Seconds on the clock, so that other processes on the cores count, too."""
    began = time.perf_counter()
    table: dict[int, int] = {}
    for number in range(400_000):
        table[number & 1023] = number
    return time.perf_counter() - began


PACE = min(max(1.0, sum(_work() for _ in range(10)) / 10 / WRITTEN_ON), SLOWEST)


def within(seconds: float) -> float:
    """A time-out, on this machine."""
    return seconds * PACE
