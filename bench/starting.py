"""How long `make up` takes from nothing and again, where its CPU seconds go, and how long a killed process is away.

    python -m bench.starting

Wall-clock seconds depend on who else uses the cores; the CPU seconds of all processes (user + system) hardly do.
"""

import os
import re
import shutil
import signal
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from bench.copy import Copy, free_port, started
from bench.measures import family, name_of

TICKS = os.sysconf("SC_CLK_TCK")
#: A killed process is looked for this long; away is from its death to the last answer that failed.
LOOK_SECONDS = 8.0


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="palisade-starting-"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PALISADE_")} | {
        "PALISADE_DATA": str(folder / "data"),
        "PALISADE_API_PORT": str(free_port()),
        "PALISADE_PORTAL_PORT": str(free_port()),
    }
    try:
        for title in ("first start", "second start"):
            with started(environment) as copy:
                print(f"{title}: {copy.ready_seconds:.1f} s to the banner, {cpu(copy)}", flush=True)
                print(_steps(folder / "data" / "up.log"))
        with started(environment) as copy:
            time.sleep(12)  # until every process counts as settled
            for victim, which in (("API master", min), ("API worker", max)):
                pids = [pid for pid in family(copy.process.pid) if name_of(pid) == "api"]
                print(f"{victim} killed: no answer for {away(copy, which(pids)):.2f} s", flush=True)
                time.sleep(12)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cpu(copy: Copy) -> str:
    """CPU seconds by process, its ended children included."""
    spent: Counter[str] = Counter()
    for pid in family(copy.process.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent[name_of(pid)] += sum(int(ticks) for ticks in fields[11:15])
    shares = ", ".join(f"{name} {ticks / TICKS:.1f}" for name, ticks in spent.most_common() if ticks)
    return f"{sum(spent.values()) / TICKS:.1f} CPU seconds: {shares}"


def away(copy: Copy, pid: int) -> float:
    """Seconds from the kill to the end of the last gap in the answers."""
    began = last_failure = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while time.monotonic() - began < LOOK_SECONDS:
        try:
            with urllib.request.urlopen(f"{copy.api}/ready", timeout=LOOK_SECONDS):
                pass
        except OSError:
            last_failure = time.monotonic()
        time.sleep(0.01)
    return last_failure - began


def _steps(log: Path) -> str:
    return "\n".join(re.findall(r"^palisade: +\d.*$", log.read_text(), re.MULTILINE))


if __name__ == "__main__":
    main()
