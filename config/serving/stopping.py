"""Whether this process is about to stop: `/ready` says so before it does, so that balancers send nothing new.

SIGTERM ─► draining: /ready answers 503, requests are answered as ever, each answer closes its connection
        ─► after PALISADE_DRAIN_SECONDS: accepts what has knocked, nothing more; answers what has come; ends
"""

import os
from threading import Event

_draining = Event()


#: Seconds from the last accept until connections that are silent are closed: what was sent with the knock is heard.
SETTLE_SECONDS = 0.25


def drain_seconds() -> int:
    """How long to go on after SIGTERM: longer than balancers take to see that `/ready` fails."""
    return int(os.environ.get("PALISADE_DRAIN_SECONDS") or 0)


def begin() -> None:
    _draining.set()


def begun() -> bool:
    return _draining.is_set()
