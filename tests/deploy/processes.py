"""The Procfile's processes as words, to hold what starts them elsewhere against it."""

from collections.abc import Mapping, Sequence

from config.local.embedded import CHECKOUT
from config.local.supervisor import read_procfile

DEPLOY = CHECKOUT / "deploy"


def procfile() -> Mapping[str, Sequence[str]]:
    """Name → command, without where beat keeps its place: that is each one's own matter."""
    return {name: comparable(command) for name, command in read_procfile(CHECKOUT / "Procfile", {}).items()}


def comparable(command: Sequence[str]) -> list[str]:
    kept = list(command)
    if "--schedule" in kept:
        del kept[kept.index("--schedule") + 1]
    return kept
