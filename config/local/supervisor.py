"""Keeps the processes of a Procfile running: one thread, one loop, five looks a second.

Every process gets a process group of its own, so Ctrl-C at the terminal reaches the supervisor alone, and whatever a
process leaves behind is found and ended with its group. A process that dies after 10 s of life is started again at
once; one that dies sooner after a pause that doubles from 0.2 s to 5 s. Python programs begin as forks of this process
(preloading.py). When the supervisor itself is killed, the kernel sends its children SIGTERM (PR_SET_PDEATHSIG) and they
stop their own workers, as they do when asked by us.
"""

import os
import re
import selectors
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.local import preloading
from config.local.niceness import niceness_of

FIRST_PAUSE, LONGEST_PAUSE, SETTLED_AFTER = 0.2, 5.0, 10.0
#: Seconds a process may take to finish what it does before it is killed.
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.2


def read_procfile(file: Path, environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Name → command. `$VAR` and `${VAR:-default}` stand for the environment's values, each within one argument."""
    lines = [line.partition(":") for line in file.read_text().splitlines() if line.strip() and line[0] != "#"]
    return {name.strip(): [_expand(word, environment) for word in shlex.split(rest)] for name, _, rest in lines}


def _expand(word: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return environment.get(match["braced"] or match["bare"]) or match["default"] or ""

    return re.sub(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<bare>\w+))", value, word)


@dataclass
class Pause:
    """How long to wait before the next start."""

    seconds: float = FIRST_PAUSE
    started: float = 0.0
    until: float = 0.0

    def start(self, now: float) -> None:
        self.started = now

    def died(self, now: float) -> None:
        if now - self.started > SETTLED_AFTER:
            self.until, self.seconds = now, FIRST_PAUSE
            return
        self.until = now + self.seconds
        self.seconds = min(self.seconds * 2, LONGEST_PAUSE)


class Child:
    """One line of the Procfile: its process while there is one, its output, its pause."""

    def __init__(self, name: str, command: Sequence[str], *, once: bool = False) -> None:
        self.name, self.command, self.once = name, command, once
        self.pause = Pause()
        self.process: preloading.Process | None = None
        self._unfinished = b""

    def start(self, environment: Mapping[str, str], folder: Path, now: float) -> None:
        self.process = preloading.start(self.command, environment, folder, niceness_of(self.name, environment))
        os.set_blocking(self.output, False)
        self.pause.start(now)

    @property
    def output(self) -> int:
        assert self.process  # noqa: S101 - only asked while it runs
        return self.process.output

    def has_ended(self) -> bool:
        return self.process is not None and self.process.has_ended()

    def signal(self, number: int) -> None:
        """To the process alone: gunicorn and Celery know how to stop their own workers."""
        if self.process:
            os.kill(self.process.pid, number)

    def end_group(self) -> None:
        """What it left behind: gunicorn's workers, when gunicorn itself was killed."""
        assert self.process  # noqa: S101
        os.killpg(self.process.pid, signal.SIGKILL)

    def reap(self) -> int:
        assert self.process  # noqa: S101
        process, self.process = self.process, None
        return process.reap()

    def read_lines(self) -> tuple[list[bytes], bool]:
        """The lines written since the last time, and whether there may be more."""
        try:
            chunk = os.read(self.output, 65536)
        except BlockingIOError:
            chunk = b""
        *lines, self._unfinished = (self._unfinished + chunk).split(b"\n")
        if not chunk and self._unfinished:
            lines, self._unfinished = [*lines, self._unfinished], b""
        return lines, bool(chunk)


class Supervisor:
    """Runs the children until `stop` is called, then ends them, the last one first."""

    def __init__(self, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], folder: Path) -> None:
        self.children = [Child(name, command) for name, command in commands.items()]
        self.environment, self.folder = environment, folder
        self._outputs = selectors.DefaultSelector()
        self._width = max(len(name) for name in [*commands, "palisade"])
        self._stopping = False

    def run(self, each_look: Callable[[], None]) -> None:
        """`each_look` is called five times a second: there is one thread, and it must not be kept waiting."""
        try:
            while not self._stopping:
                self._start_those_due()
                self._pass_on_output_for(LOOK_SECONDS)
                self._bury_the_dead()
                each_look()
        finally:
            self._end_all()

    def stop(self) -> None:
        self._stopping = True

    def run_once(self, name: str, command: Sequence[str]) -> None:
        """Start a process that ends by itself and is not started again."""
        self.children.append(Child(name, command, once=True))

    def say(self, line: str, name: str = "palisade") -> None:
        self._print(name, line.encode())

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None and now >= child.pause.until:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        try:
            child.start(self.environment, self.folder, now)
        except OSError as trouble:
            child.pause.died(now)
            self.say(f"can't be started: {trouble}; again in {child.pause.until - now:.1f} s", child.name)
        else:
            self._outputs.register(child.output, selectors.EVENT_READ, child)

    def _pass_on_output_for(self, seconds: float) -> None:
        """All of that time, or until asked to stop: much output must not make the looks more frequent."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stopping:
            self._pass_on_output(left)

    def _pass_on_output(self, seconds: float) -> None:
        if not self._outputs.get_map():
            time.sleep(seconds)
        for key, _ in self._outputs.select(seconds):
            if not self._print_new_lines(key.data):
                self._outputs.unregister(key.fd)

    def _print_new_lines(self, child: Child) -> bool:
        lines, more = child.read_lines()
        for line in lines:
            self._print(child.name, line)
        return more

    def _bury_the_dead(self) -> None:
        for child in list(self.children):
            if child.has_ended():
                status = self._bury(child)
                if child.once:
                    self.children.remove(child)
                    continue
                now = time.monotonic()
                child.pause.died(now)
                self.say(f"ended ({_reason(status)}); again in {child.pause.until - now:.1f} s", child.name)

    def _bury(self, child: Child) -> int:
        """With its group, and after its last words were passed on."""
        child.end_group()
        while self._print_new_lines(child):
            pass
        if child.output in self._outputs.get_map():
            self._outputs.unregister(child.output)
        return child.reap()

    def _end_all(self) -> None:
        running = [child for child in reversed(self.children) if child.process]
        for child in running:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while running and time.monotonic() < deadline:
            self._pass_on_output(0.05)
            running = [child for child in running if not self._buried(child)]
        for child in running:
            self.say(f"did not stop within {STOP_SECONDS:.0f} s and is killed", child.name)
            self._bury(child)

    def _buried(self, child: Child) -> bool:
        if child.has_ended():
            self._bury(child)
        return child.process is None

    def _print(self, name: str, line: bytes) -> None:
        """A terminal that has gone away is a reason to stop, not to fall over."""
        try:
            sys.stdout.buffer.write(name.ljust(self._width).encode() + b" | " + line + b"\n")
            sys.stdout.buffer.flush()
        except OSError:
            self.stop()


def _reason(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
