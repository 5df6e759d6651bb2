"""Fair scheduling of deliveries: round-robin by tenant, then by recipient, within bounds. Pure.

Turns go round: one to each tenant, then another to each; within a tenant one to each recipient. Nobody may hold more
than their bound, and the less is free the less one tenant may take of it: who comes last still finds a place. What was
slow the last time shares half of the places with everything else that is slow.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """Tries in flight at once: of all, of one tenant, to one recipient. `slow_seconds`: what takes longer is slow."""

    at_once: int
    tenant: int
    recipient: int
    slow_seconds: float = 2.0


class Waiting(NamedTuple):
    """A delivery that is due. `recipient`: a webhook's id; for e-mail, which one server of ours takes, always empty."""

    id: str
    tenant: int
    recipient: str


#: Recipients whose last try was slow, at most so many of them are remembered.
REMEMBERED = 10_000


class Turns:
    """The scheduler of one channel: the deliveries in flight, and which of those that wait go next."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._held: dict[str, Waiting] = {}
        self._tenants: Counter[int] = Counter()
        self._recipients: Counter[tuple[int, str]] = Counter()
        self._slow: OrderedDict[tuple[int, str], None] = OrderedDict()

    @property
    def free(self) -> int:
        return self.bounds.at_once - len(self._held)

    def choose(self, waiting: Iterable[Waiting]) -> list[Waiting]:
        """Those whose turn it is; each holds a place from now on, until `end`."""
        rows = self._rows(waiting)
        chosen: list[Waiting] = []
        while rows and self.free:
            for tenant in sorted(rows, key=lambda row: self._tenants[row]):
                one = self._next(rows[tenant])
                if one is None:
                    del rows[tenant]
                    continue
                self._begin(one)
                chosen.append(one)
        return chosen

    def end(self, one: Waiting, seconds: float | None = None) -> None:
        """Its place is free again. `seconds` the try took, None: it was not tried."""
        del self._held[one.id]
        _one_less(self._tenants, one.tenant)
        _one_less(self._recipients, one[1:])
        if seconds is not None:
            self._remember(one, seconds)

    def _rows(self, waiting: Iterable[Waiting]) -> dict[int, deque[Waiting]]:
        """By tenant: the first of each recipient, then the second of each, and so on; who holds less comes first."""
        place: Counter[tuple[int, str]] = Counter()
        placed: list[tuple[int, Waiting]] = []
        for one in waiting:
            if one.id not in self._held:
                placed.append((place[one[1:]] + self._recipients[one[1:]], one))
                place[one[1:]] += 1
        rows: defaultdict[int, deque[Waiting]] = defaultdict(deque)
        for _, one in sorted(placed, key=lambda pair: pair[0]):
            rows[one.tenant].append(one)
        return dict(rows)

    def _next(self, row: deque[Waiting]) -> Waiting | None:
        while row:
            one = row.popleft()
            if self._may(one):
                return one
        return None

    def _may(self, one: Waiting) -> bool:
        held = self._tenants[one.tenant]
        fair = max(1, self.bounds.tenant * (self.free + held) // self.bounds.at_once)
        return (
            self.free > 0
            and held < fair
            and self._recipients[one[1:]] < self.bounds.recipient
            and (one[1:] not in self._slow or self._held_by_slow() < self.bounds.at_once // 2)
        )

    def _held_by_slow(self) -> int:
        return sum(self._recipients[recipient] for recipient in self._recipients if recipient in self._slow)

    def _begin(self, one: Waiting) -> None:
        self._held[one.id] = one
        self._tenants[one.tenant] += 1
        self._recipients[one[1:]] += 1

    def _remember(self, one: Waiting, seconds: float) -> None:
        self._slow.pop(one[1:], None)
        if seconds > self.bounds.slow_seconds:
            self._slow[one[1:]] = None
            if len(self._slow) > REMEMBERED:
                self._slow.popitem(last=False)


def _one_less(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
