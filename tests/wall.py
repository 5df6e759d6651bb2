"""The outer wall of a run: `python -m tests.wall SECONDS COMMAND…` ends, whatever the command does.

The wall adopts whoever loses its parent below it. When the command has ended, or its time is over, everybody who is
left below is killed, so that no server outlives the run. Its status is the command's, or 124 as timeout(1) has it.
Imports nothing of the house but the search for processes, and no Django.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.pace import within

_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1
TIME_IS_OVER = 124


def main(seconds: str, *command: str) -> int:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # the terminal tells the command as well
    process = subprocess.Popen(command, preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        return process.wait(within(float(seconds)))
    except subprocess.TimeoutExpired:
        print(f"wall: not through after {within(float(seconds)):.0f} s, and ended: {' '.join(command)}", flush=True)
        return TIME_IS_OVER
    finally:
        end_all_below()


def end_all_below() -> None:
    """Again and again: those who lose their parents come to us, where they are found."""
    while children := Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
