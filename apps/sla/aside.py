"""Work that may hang, done aside: waited for so long and no longer.

A store that was stopped, not ended, answers nothing and refuses nothing, and no time-out of ours reaches into its
connection. While such work hangs the next is not begun: it is late at once.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from django.db import connection

Made = TypeVar("Made")


class Late(Exception):
    """The work was not done in time; it may still be."""


class Aside:
    """One piece of work at a time, each in a thread of its own with a connection of its own to Postgres."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._thread: threading.Thread | None = None

    def do(self, work: Callable[[], Made]) -> Made:
        """Do it within the seconds. Raises `Late`, and what the work raises."""
        if self._thread is not None and self._thread.is_alive():
            raise Late(f"what was begun before still hangs after {self._seconds:g} s")
        made: list[Made] = []
        raised: list[Exception] = []

        def run() -> None:
            try:
                made.append(work())
            except Exception as failure:  # raised again where it was asked for
                raised.append(failure)
            finally:
                connection.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        self._thread.join(self._seconds)
        if self._thread.is_alive():
            raise Late(f"no answer within {self._seconds:g} s")
        if raised:
            raise raised[0]
        return made[0]
