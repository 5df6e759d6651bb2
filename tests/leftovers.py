"""What a module of tests leaves behind: threads, processes, connections to PostgreSQL. None may; what does is ended.

The run adopts its orphans (PR_SET_CHILD_SUBREAPER): the worker of a server that was killed is found as well as the
server. What the whole session shares (the embedded servers, a live API) is there before the module and is not counted.
"""

import ctypes
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psycopg
from django.db import connections

from config.local import embedded
from config.local.servers import is_gone
from tests.pace import within

_PR_SET_CHILD_SUBREAPER = 36
#: Seconds that what is ending may take to end.
GRACE = 10.0


def adopt_orphans() -> None:
    """From here on whoever loses its parent below us becomes our child."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(*pids: int) -> set[int]:
    """Everybody below these processes who has not ended."""
    below: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                below.setdefault(int(parent), []).append(int(folder.name))
    found, look = set(), [*pids]
    while look:
        children = below.get(look.pop(), [])
        found.update(children)
        look.extend(children)
    return {one for one in found if not is_gone(one)}


def said(pid: int) -> str:
    """Its command line."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


class Ground:
    """What there is before a module; `check` says what has come to it, after ending that."""

    #: What fixtures of the session have started meanwhile.
    kept_threads: set[threading.Thread] = set()
    kept_processes: set[int] = set()

    def __init__(self) -> None:
        self.threads, self.processes = set(threading.enumerate()), descendants(os.getpid())

    @classmethod
    def keep(cls) -> None:
        """Whatever runs now is the session's."""
        cls.kept_threads, cls.kept_processes = set(threading.enumerate()), descendants(os.getpid())

    def check(self) -> list[str]:
        connections.close_all()
        gc.collect()  # a thread's forgotten connection is a cycle: closed when it is collected
        gc.freeze()  # what is left now is the run's: models, views, tables
        return [*self._threads(), *self._processes(), *_connections()]

    def _threads(self) -> list[str]:
        left = _those_left(lambda: set(threading.enumerate()) - self.threads - self.kept_threads)
        return [f"thread {one.name}" for one in left]

    def _processes(self) -> list[str]:
        left = _those_left(lambda: descendants(os.getpid()) - self.processes - _with_all_below(self.kept_processes))
        commands = [f"process {pid}: {said(pid)}" for pid in left]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return commands


def _with_all_below(kept: set[int]) -> set[int]:
    """These, the session's own servers, which a test may have stopped and started again, and whom they have started."""
    above = kept | {pid for server in embedded.servers() if (pid := server.pid())}
    return above | descendants(*above)


def _connections() -> list[str]:
    """This process's, all of which were closed a moment ago."""
    if not embedded.servers() or not embedded.postgres().alive():
        return []
    folder = str(embedded.postgres().sockets)
    with psycopg.connect(host=folder, user="palisade", dbname="postgres", autocommit=True) as own:
        left = _those_left(lambda: own.execute(_OTHERS).fetchall())
        for pid, _ in left:
            own.execute("SELECT pg_terminate_backend(%s)", [pid])
    return [f"connection to PostgreSQL: {query}" for _, query in left]


#: Of this process: config/settings/test.py gives its connections that name.
_OTHERS = "SELECT pid, left(query, 80) FROM pg_stat_activity WHERE application_name = 'tests'"


def _those_left(look: Callable[[], Iterable]) -> list:
    deadline = time.monotonic() + within(GRACE)
    while (left := list(look())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
