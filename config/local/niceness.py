"""Who gives way where processors are scarce: what somebody waits for goes before what may come a little later.

Measured on two cores, 16 connections, alternated sixteen times: the API's p99 falls by a fifth, nothing lags behind. A
recorder of 15 beside one of 5, seventeen times: by another sixth; it records as many rows, in larger batches. It
has 12, and so goes before what nobody waits for.
Imports no Django.
"""

import os
from collections.abc import Mapping

#: Niceness by process of the Procfile, and of the embedded PostgreSQL; the others have none.
NICENESS = {
    "postgresql": 5, "recorder": 12, "deliver": 12, "money": 12, "heavy": 15, "batches": 15, "models": 15, "beat": 15,
}  # fmt: skip


def niceness_of(name: str, environment: Mapping[str, str]) -> int:
    """How nice a process is; 0 where `PALISADE_GIVE_WAY` is 0: beside what fills the processors it would starve."""
    return 0 if environment.get("PALISADE_GIVE_WAY") == "0" else NICENESS.get(name, 0)


def give_way(process: int, niceness: int) -> None:
    """Make a process so nice (0: this one), unless it is nicer than that."""
    if niceness > os.getpriority(os.PRIO_PROCESS, process):
        os.setpriority(os.PRIO_PROCESS, process, niceness)
