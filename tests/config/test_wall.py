"""The outer wall of a run, and the ground that no module may leave anything on."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.local.embedded import CHECKOUT
from tests.leftovers import Ground, said
from tests.pace import within
from tests.together import together

#: A process of a session of its own, which outlives whoever began it.
ORPHAN = "import subprocess; subprocess.Popen(['sleep', '{}'], start_new_session=True)"


def behind_the_wall(seconds: float, *command: str) -> subprocess.CompletedProcess[str]:
    wall = [sys.executable, "-m", "tests.wall", str(seconds), *command]
    return subprocess.run(wall, cwd=CHECKOUT, capture_output=True, text=True, timeout=within(60))


@pytest.mark.parametrize("status", [0, 3])
def test_wall_gives_back_the_status_of_its_command(status: int) -> None:
    assert behind_the_wall(30, "sh", "-c", f"exit {status}").returncode == status


def test_wall_ends_a_command_that_does_not_end_and_says_so() -> None:
    done = behind_the_wall(0.3, "sleep", "86399")
    assert done.returncode == 124
    assert "not through after" in done.stdout
    assert not running("sleep 86399")


def test_nothing_outlives_the_wall_not_even_an_orphan_of_another_session() -> None:
    assert behind_the_wall(30, sys.executable, "-c", ORPHAN.format(86398)).returncode == 0
    assert not running("sleep 86398")


def running(command: str) -> list[Path]:
    return [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and said(int(folder.name)) == command]


def test_orphan_of_a_test_is_named_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.leftovers.GRACE", 0.1)
    ground = Ground()
    subprocess.run([sys.executable, "-c", ORPHAN.format(86397)], check=True, timeout=within(30))
    assert any("sleep 86397" in one for one in ground.check())
    assert Ground().check() == []
    assert not running("sleep 86397")


def test_thread_of_a_test_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.leftovers.GRACE", 0.1)
    ground, stop = Ground(), threading.Event()
    threading.Thread(target=stop.wait, args=(within(60),), name="forgotten", daemon=True).start()
    assert ground.check() == ["thread forgotten"]
    stop.set()


def test_together_raises_the_first_failure_and_tells_the_others_to_stop() -> None:
    stop = threading.Event()

    def work(number: int) -> None:
        if number == 3:
            raise KeyError("first")
        assert stop.wait(within(30))

    with pytest.raises(KeyError, match="first"):
        together(8, work, stop=stop)


def test_together_ends_when_its_time_is_over() -> None:
    forever = threading.Event()
    with pytest.raises(AssertionError, match="2 of 2 threads were not through"):
        together(2, lambda _: forever.wait(within(30)), seconds=0.1)
    forever.set()
