"""Who is being answered, for the log: set by the doors, read by the formatter (config/logs.py)."""

from contextvars import ContextVar
from typing import NamedTuple


class Answering(NamedTuple):
    """A request's id, and once they are known its tenant (by its schema's name) and the number of its key."""

    request_id: str = ""
    tenant: str = ""
    key_id: int = 0


NOBODY = Answering()
ANSWERING: ContextVar[Answering] = ContextVar("answering", default=NOBODY)
