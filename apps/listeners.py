"""What one room says and others hear, without knowing each other: the composition root (config/apps.py) connects them.

No more than a list of functions called one after the other, in the caller's transaction; what fails, fails the caller.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


class Listeners(Generic[Subject]):
    """Who hears of one kind of change."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Subject], object]] = []

    def connect(self, listener: Callable[[Subject], object]) -> None:
        """Call `listener(subject)` at every change from now on. Harmless when repeated."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def notify(self, subject: Subject) -> None:
        """Tell all of them that it changed."""
        for listener in self._listeners:
            listener(subject)
