"""Which messages of each partition are done: what may be committed is all before the first that is not. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Place = tuple[str, int]  # topic, partition


@dataclass
class _Partition:
    open: set[int] = field(default_factory=set)
    next: int = 0  # the offset behind the last one read
    committed: int = -1

    @property
    def committable(self) -> int:
        return min(self.open, default=self.next)


class Positions:
    """Offsets read, done and committed of the partitions we have."""

    def __init__(self) -> None:
        self._partitions: dict[Place, _Partition] = {}

    def read(self, place: Place, offset: int) -> None:
        """A message was read. One before those read already: the topic was made anew, and counts from there."""
        partition = self._partitions.setdefault(place, _Partition())
        if offset < partition.next:
            partition = self._partitions[place] = _Partition()
        partition.open.add(offset)
        partition.next = max(partition.next, offset + 1)

    def done(self, place: Place, offset: int) -> None:
        """Its answer, or its dead letter, is delivered. Of a partition we have no longer it does not count."""
        if partition := self._partitions.get(place):
            partition.open.discard(offset)

    def to_commit(self) -> dict[Place, int]:
        """The offset to go on from, of each partition where it has moved."""
        return {
            place: partition.committable
            for place, partition in self._partitions.items()
            if partition.committable > partition.committed
        }

    def committed(self, offsets: Mapping[Place, int]) -> None:
        for place, offset in offsets.items():
            if partition := self._partitions.get(place):
                partition.committed = offset

    def forget(self, places: Iterable[Place]) -> None:
        """Partitions that others have now."""
        for place in places:
            self._partitions.pop(place, None)
