"""Programs that begin as a fork: they find what a process of their own would find, and nothing of ours."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from config.local import preloading
from config.local.embedded import CHECKOUT
from config.local.niceness import NICENESS, niceness_of
from config.local.supervisor import read_procfile
from tests.pace import within

#: What the child sees, one JSON object.
LOOK = """
import atexit, json, os, signal, sys
atexit.register(print, "at exit")
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "name": __name__, "folder": os.getcwd(), "environment": dict(os.environ),
    "files": [one for one in os.listdir("/proc/self/fd") if int(one) > 2 and os.path.exists(f"/proc/self/fd/{one}")],
    "input": sys.stdin.read(), "group": os.getpgid(0) == os.getpid(),
    "handled": [n for n in signal.valid_signals() if callable(signal.getsignal(n)) and n != signal.SIGINT],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "shown": open("/proc/self/cmdline").read(),
}))
"""


def run(script: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Its exit status and what it said."""
    script.write_text(textwrap.dedent(text))
    process = preloading.start([sys.executable, str(script), *arguments], ENVIRONMENT, CHECKOUT)
    with open(process.output, closefd=False) as said:
        text = said.read()
    return process.reap(), text


ENVIRONMENT = {"PATH": os.environ["PATH"], "PALISADE_DATA": "/some/where", "ONLY": "this"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a script sees while its parent holds a file, handles a signal and blocks none."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with open(os.devnull):
            status, said = run(tmp_path_factory.mktemp("seen") / "look.py", LOOK, "one", "two")
    finally:
        signal.signal(signal.SIGUSR1, before)
    first, last = said.splitlines()
    assert (status, last) == (0, "at exit")
    return json.loads(first)


def test_script_finds_its_arguments_folder_and_environment(seen: dict[str, Any]) -> None:
    script = Path(seen["argv"][0])
    assert seen["argv"][1:] == ["one", "two"]
    assert (seen["name"], seen["path"], seen["folder"]) == ("__main__", str(script.parent), str(CHECKOUT))
    assert seen["environment"] == ENVIRONMENT


def test_script_has_nothing_of_the_parents_files_signals_and_input(seen: dict[str, Any]) -> None:
    assert (seen["files"], seen["handled"], seen["blocked"], seen["input"]) == ([], [], [], "")
    assert seen["group"]


def test_script_is_shown_by_its_command_and_its_data_folder(seen: dict[str, Any]) -> None:
    shown = seen["shown"].rstrip("\0")
    assert shown.endswith("look.py one two [/some/where]")


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("pass", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('a sentence')", 1, "a sentence\n"),
        ("raise KeyError('lost')", 1, "KeyError: 'lost'\n"),
        ("import os; print('half'); os.kill(os.getpid(), 15)", -15, "half\n"),
        ("import threading; threading.Timer(0.1, print, ['later']).start()", 0, "later\n"),
    ],
)
def test_script_ends_as_the_interpreter_ends_it(tmp_path: Path, text: str, status: int, said: str) -> None:
    found = run(tmp_path / "end.py", text)
    assert found[0] == status
    assert found[1].endswith(said)


def test_program_that_is_no_python_of_ours_is_run_as_it_is() -> None:
    process = preloading.start(["sh", "-c", "echo $ONLY; exit 4"], ENVIRONMENT, CHECKOUT)
    with open(process.output, closefd=False) as said:
        assert said.read() == "this\n"
    assert process.reap() == 4


def test_process_that_gives_way_is_nice_and_its_parent_is_not() -> None:
    process = preloading.start(["nice"], ENVIRONMENT, CHECKOUT, niceness=7)
    with open(process.output, closefd=False) as said:
        assert int(said.read()) == 7
    assert process.reap() == 0
    assert os.getpriority(os.PRIO_PROCESS, 0) < 7


def test_who_gives_way_is_a_process_of_the_procfile_or_the_database() -> None:
    assert NICENESS.keys() - {"postgresql"} < read_procfile(CHECKOUT / "Procfile", {}).keys()
    assert niceness_of("beat", {}) > niceness_of("recorder", {}) > niceness_of("api", {}) == 0
    assert {niceness_of(name, {"PALISADE_GIVE_WAY": "0"}) for name in NICENESS} == {0}


def test_program_that_is_not_installed_is_an_error_of_the_caller() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program is not installed"):
        preloading.start(["no-such-program"], ENVIRONMENT, CHECKOUT)


@pytest.mark.parametrize(
    ("command", "is_ours"),
    [
        (["celery", "-A", "config", "worker"], True),
        (["python", "manage.py", "record"], True),
        (["python", "-m", "config.local.up"], False),
        (["sh", "-c", "exit"], False),
    ],
)
def test_python_of_ours_is_known_by_the_folder_of_its_interpreter(command: list[str], is_ours: bool) -> None:
    folder = Path(sys.executable).parent
    program = folder / command[0] if command[0] != "sh" else Path("/bin/sh")
    assert (preloading.python_arguments(str(program), command) is not None) == is_ours


def _after_preloading(look: str) -> str:
    """What an interpreter of its own says after it has preloaded."""
    code = f"from config.local import preloading; preloading.preload(); import os, sys; {look}"
    clean = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CHECKOUT, env=clean, capture_output=True, text=True, timeout=within(60))
    assert done.stderr == ""
    return done.stdout


def test_libraries_ask_for_no_settings_and_leave_no_thread() -> None:
    """A thread would be missing in every fork; settings would be the same for all of them."""
    assert _after_preloading("print(len(os.listdir('/proc/self/task')))") == "1\n"


def test_libraries_hold_nothing_of_the_house_and_nothing_that_only_some_need() -> None:
    """The house's modules read settings, prometheus_client its folder; the others cost seconds."""
    loaded = set(_after_preloading("print(*{name.partition('.')[0] for name in sys.modules})").split())
    assert "django" in loaded
    assert not {"apps", "prometheus_client", "pandas", "sklearn", "xgboost", "shap", "onnxruntime", "stripe"} & loaded
