"""Many threads at once, begun at one moment and ended with the test: none waits for ever, none keeps a connection."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connections

from tests.pace import within

T = TypeVar("T")


def together(
    size: int, work: Callable[[int], T], *, seconds: float = 60.0, stop: threading.Event | None = None
) -> list[T]:
    """What `work(0)`, `work(1)`, … return, each in a thread of its own. The first failure is raised.

    `stop` is set when one fails and when the time is over: work that goes on for long looks at it. Whoever goes on all
    the same is a daemon, so that the run ends; what outlives its module is a failure (tests/leftovers.py).
    """
    crowd = Crowd(work, threading.Barrier(size, timeout=within(seconds)), stop or threading.Event())
    threads = [threading.Thread(target=crowd.run, args=(n,), name=f"together-{n}", daemon=True) for n in range(size)]
    deadline = time.monotonic() + within(seconds)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
    finally:
        crowd.stop.set()
    if crowd.failures:
        raise crowd.failures[0]
    left = sum(thread.is_alive() for thread in threads)
    assert not left, f"{left} of {size} threads were not through after {within(seconds):.0f} s"
    return [crowd.results[number] for number in range(size)]


class Crowd(Generic[T]):
    """Those who are at it: what they found, and the first of their failures at the front."""

    def __init__(self, work: Callable[[int], T], begin: threading.Barrier, stop: threading.Event) -> None:
        self.work, self.begin, self.stop = work, begin, stop
        self.results: dict[int, T] = {}
        self.failures: list[BaseException] = []

    def run(self, number: int) -> None:
        try:
            self.begin.wait()
            self.results[number] = self.work(number)
        except BaseException as failure:
            self.failures.append(failure)
            self.begin.abort()
            self.stop.set()
        finally:
            connections.close_all()
