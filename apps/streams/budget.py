"""How many messages are decided at once, so that none waits longer than the budget. Pure.

A message waits for the fetch and the gathering (a tenth of the budget each), for the batch before its own and for its
own. So a batch may take two fifths of the budget: 250 ms → gathered for 25 ms, decided within 100 ms.
"""

MOST = 500
FIRST = 50
#: How much the newest batch counts for in the time a message takes.
WEIGHT = 0.2


class Budget:
    """The size of the next batch, by what the last ones took. `seconds`: how long a message may wait for its answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.size = FIRST
        self._each: float | None = None

    @property
    def gathering(self) -> float:
        """Seconds a batch is gathered at most."""
        return self.seconds / 10

    def took(self, messages: int, seconds: float) -> None:
        """A batch of that many was decided and delivered in that time."""
        each = seconds / messages
        self._each = each if self._each is None else self._each + WEIGHT * (each - self._each)
        self.size = min(max(int(self.seconds * 0.4 / max(self._each, 1e-6)), 1), MOST)
