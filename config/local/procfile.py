"""Become one process of the Procfile: `python -m config.local.procfile recorder`, for systemd and other supervisors."""

import os
import sys

from config.local.embedded import CHECKOUT
from config.local.supervisor import read_procfile


def main(name: str) -> None:
    """Replace this process by the one of that name."""
    commands = read_procfile(CHECKOUT / "Procfile", os.environ)
    if name not in commands:
        sys.exit(f"palisade: the Procfile has no '{name}', but {', '.join(commands)}.")
    os.execvp(commands[name][0], commands[name])  # noqa: S606 - a line of our own file


if __name__ == "__main__":
    main(*sys.argv[1:])
