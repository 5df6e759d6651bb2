"""Become one process of the Procfile: `python -m config.local.procfile recorder`, for systemd and other supervisors."""

import os
import sys
from collections.abc import Mapping

from config.local.embedded import CHECKOUT
from config.local.niceness import give_way, niceness_of
from config.local.supervisor import read_procfile


def commands(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """The Procfile's processes, and the stream's where brokers are named."""
    files = ["Procfile", *(["Procfile.stream"] if environment.get("PALISADE_STREAM_BROKERS") else [])]
    return {name: line for file in files for name, line in read_procfile(CHECKOUT / file, environment).items()}


def main(name: str) -> None:
    """Replace this process by the one of that name."""
    known = commands(os.environ)
    if name not in known:
        sys.exit(f"palisade: the Procfile has no '{name}', but {', '.join(known)}.")
    give_way(0, niceness_of(name, os.environ))
    os.execvp(known[name][0], known[name])  # noqa: S606 - a line of our own file


if __name__ == "__main__":
    main(*sys.argv[1:])
