"""What looks at an installation are given, and what they find."""

from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from apps.valkey import Valkey


class Level(IntEnum):
    """How grave it is."""

    FINE = 0
    WARNING = 1
    WRONG = 2


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do where it is not well."""

    about: str
    level: Level
    says: str
    do: str = ""


class Patient(NamedTuple):
    """What looks are given."""

    valkey: Valkey
    now: datetime
