"""A line a minute: how far the run is, what it is at, for how long. A test that hangs is named while it hangs."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

EVERY_SECONDS = 60.0
#: Failures named in a line, the newest: a run that is cut off has said what it found.
SHOWN = 10


class Progress:
    """A plugin of the run, in whichever process tells it; its thread only looks and prints."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal, self._over = terminal, threading.Event()
        self._began = time.monotonic()
        self._all = self._done = 0
        self._failed: list[str] = []
        self._running: dict[str, float] = {}
        threading.Thread(target=self._tell, name="progress", daemon=True).start()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._all = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Each of the processes that share the tests has found them all."""
        self._all = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.append(report.nodeid)
        self._done += report.when == "teardown"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._running.pop(nodeid, None)

    def pytest_sessionfinish(self) -> None:
        self._over.set()

    def _tell(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._terminal.write_line("")
            self._terminal.write_line(self.line(time.monotonic()))

    def line(self, now: float) -> str:
        minutes = (now - self._began) / 60
        at = [f"{now - since:.0f} s at {test}" for test, since in list(self._running.items())]
        failed = f"{len(self._failed)} failed{''.join(f' {test}' for test in self._failed[-SHOWN:])}"
        return "; ".join([f"{minutes:.0f} min: {self._done:,} of {self._all:,} tests done, {failed}", *at])
