"""The parts of the service that are probed, as one table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """What customers read of a part. `counts`: its incidents count against us in minutes without requests."""

    title: str
    about: str
    counts: bool = True


PARTS: Mapping[str, Part] = {
    "api": Part("Scoring API", "Decisions are made."),
    "portal": Part("Portal", "Pages are answered."),
    "postgres": Part("Storage", "Decisions are stored and can be read."),
    "valkey": Part("Limits and recent activity", "Limits are exact, recent activity is known."),
    "worker": Part("Background work", "Batches, invoices and exports go on."),
    # What is late here is done later: nobody's request fails by it.
    "beat": Part("Schedule", "What is due is begun.", counts=False),
    "recorder": Part("Recording", "Decisions can be read within a minute.", counts=False),
    "stripe": Part("Card payments", "The payment provider can be reached.", counts=False),
}
COUNTED = tuple(name for name, part in PARTS.items() if part.counts)
