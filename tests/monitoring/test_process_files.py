"""What processes count is added up over all of them, the dead ones included, in as few files as there are kinds."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from apps.monitoring import process_files
from config.local.embedded import CHECKOUT
from tests.pace import within

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a process that counts these numbers."""
    started: list[subprocess.Popen[str]] = []

    def counting(*numbers: float) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.monitoring.counting", *map(str, numbers)],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "counted\n"
        return process

    yield counting
    for process in started:
        kill(process)


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=within(10))


def told(folder: Path) -> dict[str, float]:
    """What /metrics would tell: each sample under its name and labels."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    with process_files.reading(folder):
        samples = [sample for metric in registry.collect() for sample in metric.samples]
    return {f"{one.name}{''.join(sorted(one.labels.values()))}": one.value for one in samples}


def test_sums_are_right_over_several_processes_and_after_one_dies(start: Start, tmp_path: Path) -> None:
    one, _ = start(1, 2), start(4)
    assert told(tmp_path)["calls_totalsome"] == 7
    kill(one)
    assert process_files.fold_dead(tmp_path) == 4  # counter, histogram, two kinds of gauge
    after = told(tmp_path)
    assert after["calls_totalsome"] == 7
    assert (after["call_seconds_count"], after["call_seconds_sum"], after["call_seconds_bucket2.0"]) == (3, 7, 2)
    start(8)
    assert told(tmp_path)["calls_totalsome"] == 15


def test_gauges_of_the_dead_are_forgotten_and_what_was_last_said_is_kept(start: Start, tmp_path: Path) -> None:
    one, other = start(5), start(6)
    assert told(tmp_path)["alive"] == 2
    kill(other)
    process_files.fold_dead(tmp_path)
    assert (told(tmp_path)["alive"], told(tmp_path)["last"]) == (1, 6)
    kill(one)
    process_files.fold_dead(tmp_path)
    assert "alive" not in told(tmp_path)
    assert told(tmp_path)["last"] == 6  # not 5, which was folded later and said before


def test_files_stay_few_however_often_processes_are_replaced(start: Start, tmp_path: Path) -> None:
    for number in range(1, 5):
        kill(start(number))
        process_files.fold_dead(tmp_path)
    assert sorted(file.name for file in tmp_path.glob("*.db")) == [
        "counter_folded.db", "gauge_mostrecent_folded.db", "histogram_folded.db"
    ]  # fmt: skip
    assert told(tmp_path)["calls_totalsome"] == 10


@pytest.mark.parametrize("step", ["rename", "unlink"])
def test_folding_that_is_killed_at_any_step_counts_nothing_twice(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    kill(start(3))
    process_files.fold_dead(tmp_path)
    kill(start(4))
    counted = 0
    while True:  # killed after ever more calls of the step, until it comes through
        counted += 1
        if not _killed(tmp_path, monkeypatch, step, counted):
            break
    assert counted > 2
    assert told(tmp_path)["calls_totalsome"] == 7
    assert process_files.fold_dead(tmp_path) == 0


class Killed(Exception):
    """Stands in for SIGKILL."""


def _killed(folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, calls: int) -> bool:
    left, real = [calls], getattr(Path, step)

    def stepping(path: Path, *arguments: object, **more: object) -> object:
        left[0] -= 1
        if not left[0]:
            raise Killed
        return real(path, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, stepping)
        try:
            process_files.fold_dead(folder)
        except Killed:
            return True
    return False


def test_who_reads_while_another_folds_sees_all_or_all(start: Start, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        kill(start(number))
    seen: list[float] = []

    def look() -> None:
        seen.extend(told(tmp_path)["calls_totalsome"] for _ in range(30))

    reader = Thread(target=look, daemon=True)
    reader.start()
    process_files.fold_dead(tmp_path)
    reader.join(within(20))
    assert set(seen) == {6}


def test_who_folds_while_another_reads_or_folds_leaves_it_for_later(start: Start, tmp_path: Path) -> None:
    kill(start(1))
    with process_files.reading(tmp_path):
        assert process_files.fold_dead(tmp_path) == 0
    assert process_files.fold_dead(tmp_path) == 4
