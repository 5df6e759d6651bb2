"""Starting Python programs without starting Python: a fork of this process, which has their libraries in memory.

Five processes that each import Django, psycopg, Celery and numpy spend 3–4 s of CPU apiece on it, at once, on two
cores. `preload` imports them once; what `fork` makes of a command begins with all of that and a second's work less
after every death. Only libraries that read no settings are preloaded: each program sets Django up for itself. Never
onnxruntime: importing it starts a thread, and a fork has none of its parent's threads.
"""

import atexit
import ctypes
import gc
import importlib
import os
import runpy
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from config.local.niceness import give_way

#: What most of the Procfile's programs import and what takes long. A test holds that each can be had without settings.
LIBRARIES = (
    "celery.bin.beat",
    "celery.bin.celery",
    "celery.bin.worker",
    "cryptography.fernet",
    "cryptography.hazmat.primitives.ciphers.aead",
    "django.contrib.admin",
    "django.core.handlers.wsgi",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.db.models",
    "django.forms",
    "django.template",
    "django.views.debug",
    "environ",
    "hiredis",
    "kombu.transport.redis",
    "msgspec",
    "numpy",
    "psycopg",
    "redis",
    "rest_framework.compat",
    "whitenoise.middleware",
)

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl  # looked up here: nothing may be imported between fork and exec


@dataclass(frozen=True)
class Process:
    """A child that was started, not yet reaped: its number is its own. `output` is the end we read of what it says."""

    pid: int
    output: int

    def has_ended(self) -> bool:
        """Without reaping it: while the number is taken, its process group can't be somebody else's."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap(self) -> int:
        """Its exit status, minus the signal's number if one ended it; from here on its number may be another's."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.output)
        return status


def preload() -> None:
    """Import the libraries, once; from then on the collector leaves them alone, so their pages stay shared."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would not survive the fork
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()


def start(command: Sequence[str], environment: Mapping[str, str], folder: Path, niceness: int = 0) -> Process:
    """The command as a child in its own process group that is stopped when we die. Raises OSError."""
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    output, text = os.pipe()
    sys.stdout.flush()
    parent, masked = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, command, environment, folder, text, parent, niceness)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        os.close(text)
    return Process(pid, output)


def _become(
    program: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, output: int, parent: int,
    niceness: int,
) -> NoReturn:  # fmt: skip
    """In the child: from here on the program, whatever happens never again a copy of the supervisor."""
    status = 1
    try:
        os.setpgid(0, 0)
        give_way(0, niceness)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        _forget_the_parent(output)
        os.chdir(folder)
        if os.getppid() == parent:  # it died before we asked to be told
            status = _run(program, command, environment)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _forget_the_parent(output: int) -> None:
    """Nothing of its signals, files, locks and last acts: a lock lives as long as anybody has its file open."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(ours, standard)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    atexit._clear()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(program: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The program's exit status, when it is Python of ours; any other takes this process over and never returns."""
    arguments = python_arguments(program, command)
    if arguments is None:
        os.execve(program, list(command), dict(environment))  # noqa: S606
    os.environ.clear()
    os.environ.update(environment)
    _show_as(f"{' '.join(command)} [{environment.get('PALISADE_DATA', '')}]")
    sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        return _status_of(end)
    finally:
        _finish()
    return 0


def python_arguments(program: str, command: Sequence[str]) -> list[str] | None:
    """The script and its arguments, of `python FILE …` or of a script installed beside our own interpreter."""
    if _is_our_python(program):
        return list(command[1:]) if len(command) > 1 and command[1].endswith(".py") else None
    with open(program, "rb") as file:
        first = file.readline(4096).decode(errors="replace").strip()
    ours = first.startswith("#!") and _is_our_python(first[2:])
    return [program, *command[1:]] if ours else None


def _is_our_python(program: str) -> bool:
    """By its folder: every virtual environment's `python` is a link to the same file."""
    path, own = Path(program), Path(sys.executable)
    return path.parent == own.parent and path.name.startswith("python")


def _status_of(end: SystemExit) -> int:
    """As the interpreter does it: a number is the status, nothing is 0, anything else is said and is 1."""
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
    return end.code if isinstance(end.code, int) else int(end.code is not None)


def _finish() -> None:
    """What the interpreter does at its end, as far as Python code sees it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def _show_as(title: str) -> None:
    """What `ps` shows: over the memory of the arguments and the environment we were started with, both copied before.

    The kernel reads on beyond the arguments where they don't end with a NUL (proc(5), setproctitle's way).
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[48])  # arg_start, env_end: fields 48 and 51 of the file
    text = title.encode(errors="replace")[: end - begin - 1]
    ctypes.memmove(begin, text.ljust(end - begin, b"\0"), end - begin)
