"""A line a minute: how far the run is, what it is at, for how long. A test that hangs is named while it hangs."""

import threading
import time

import pytest

EVERY_SECONDS = 60.0


class Progress:
    """A plugin of the run; its thread only looks and prints."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal, self._over = terminal, threading.Event()
        self._began = time.monotonic()
        self._all = self._done = self._failed = 0
        self._test, self._since = "", self._began
        threading.Thread(target=self._tell, name="progress", daemon=True).start()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._all = len(session.items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._test, self._since = nodeid, time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed += report.failed
        self._done += report.when == "teardown"

    def pytest_sessionfinish(self) -> None:
        self._over.set()

    def _tell(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._terminal.write_line("")
            self._terminal.write_line(self.line(time.monotonic()))

    def line(self, now: float) -> str:
        minutes, at = (now - self._began) / 60, now - self._since
        return (
            f"{minutes:.0f} min: {self._done:,} of {self._all:,} tests done, {self._failed} failed; "
            f"{at:.0f} s at {self._test}"
        )
