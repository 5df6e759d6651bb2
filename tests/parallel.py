"""Several processes share the tests, a file at a time (`pytest -n auto --dist loadfile --no-loadscope-reorder`).

Each lays the whole ground of tests/conftest.py for itself: servers, data folder, database, cast. So a test may stop its
servers, and a fixture of the session is there once a process.
"""

import os

import pytest

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
