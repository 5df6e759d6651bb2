"""Several processes share the tests, a file at a time (`pytest -n auto --dist loadfile --no-loadscope-reorder`).

Each lays the whole ground of tests/conftest.py for itself: servers, data folder, database, cast. So a test may stop its
servers, and a fixture of the session is there once a process. Files that share something running, or long in the
making, go to one process together.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

#: Processes: no more than this, each has a gigabyte and servers of its own.
MOST = 4
#: Begun first, so that at the end no process is left alone with one of them.
LONGEST = (
    "survival/test_storm.py",
    "api/test_contract.py",
    "config/test_up.py",
    "survival/test_races.py",
    "serving/test_slow_clients.py",
    "billing/test_served.py",
    "training/test_training.py",
    "training/test_model_commands.py",
)
#: Parts of paths: whatever has one is given out with all that has it.
TOGETHER = ("survival/test_races.py", "survival/test_storm.py"), ("config/serving/",), ("clients/",), ("training/",)


class Scheduling(LoadFileScheduling):
    """By file, but for those that share what their first one has begun."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((parts[0] for parts in TOGETHER if any(part in file for part in parts)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return min(len(os.sched_getaffinity(0)), MOST)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """What the first process has set for itself is not inherited: Django must not read it before ours is laid."""
    for name in ("DJANGO_SETTINGS_MODULE", "PALISADE_DATA"):
        del os.environ[name]
