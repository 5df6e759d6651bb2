"""The files in which processes count (PROMETHEUS_MULTIPROC_DIR), and what becomes of those whose process is no more.

prometheus_client gives every process files of its own and adds all of them up, for ever: each restart would make
/metrics slower. So the files of the dead are folded into one a kind: counters and histograms are added, of gauges that
say the latest the latest is kept, those of the living (`live…`) are forgotten.

    lock ─► write what is kept anew ─► say which files it stands for ─► put it in place ─► remove those ─► unsay

Killed anywhere, the next to fold goes on from what is said; nothing is counted twice or lost. Readers share the lock.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from prometheus_client.mmap_dict import MmapedDict

#: Stands in a file's name for the number of a process.
FOLDED = "folded"
PLAN = "folding.json"


class Plan(msgspec.Struct, frozen=True):
    """What is being folded: names of files to be put in place, and of those they stand for."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """While nobody folds."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


def fold_dead(folder: Path) -> int:
    """Fold the files of processes that are no more; how many there were. Somebody else's folding is not waited for.

    Processes are told by their numbers: one folder serves one machine, or one container.
    """
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _finish(folder)
            dead = [file for file in sorted(folder.glob("*.db")) if _is_dead(file)]
            if dead:
                _begin(folder, dead)
                _finish(folder)
            return len(dead)
    except BlockingIOError:
        return 0


def _begin(folder: Path, dead: list[Path]) -> None:
    written = []
    for kind in sorted({_kind(file) for file in dead if not _is_of_the_living(file)}):
        mine = [file for file in dead if _kind(file) == kind]
        target = folder / f"{kind}_{FOLDED}.db"
        draft = target.with_suffix(".draft")
        _write(draft, _added([target, *mine] if target.exists() else mine, latest=kind.startswith("gauge")))
        written.append(target.name)
    plan = folder / f"{PLAN}.draft"
    plan.write_bytes(msgspec.json.encode(Plan(tuple(written), tuple(file.name for file in dead))))
    plan.rename(folder / PLAN)


def _finish(folder: Path) -> None:
    """Do what is said in the plan, if there is one. Harmless when repeated."""
    plan = folder / PLAN
    if not plan.exists():
        return
    found = msgspec.json.decode(plan.read_bytes(), type=Plan)
    for name in found.written:
        draft = (folder / name).with_suffix(".draft")
        if draft.exists():
            draft.rename(folder / name)
    for name in found.removed:
        (folder / name).unlink(missing_ok=True)
    plan.unlink()


def _added(files: Iterable[Path], *, latest: bool) -> dict[str, tuple[float, float]]:
    """Key → (value, time): the sum of all files, or the value that was set last."""
    found: dict[str, tuple[float, float]] = {}
    for file in files:
        for key, value, at, _ in MmapedDict.read_all_values_from_file(str(file)):
            known = found.get(key)
            if known is None or (latest and at >= known[1]):
                found[key] = value, at
            elif not latest:
                found[key] = known[0] + value, 0.0
    return found


def _write(file: Path, values: dict[str, tuple[float, float]]) -> None:
    file.unlink(missing_ok=True)  # what a folding that was killed had begun
    kept = MmapedDict(str(file))
    for key, (value, at) in values.items():
        kept.write_value(key, value, at)
    kept.close()


def _kind(file: Path) -> str:
    """counter, histogram, summary, or gauge_ and how its values are put together."""
    return file.stem.rpartition("_")[0]


def _is_of_the_living(file: Path) -> bool:
    return _kind(file).startswith("gauge_live")


def _is_dead(file: Path) -> bool:
    process = file.stem.rpartition("_")[2]
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, as somebody else's
        return False
    return False


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with open(folder / "folding.lock", "a") as lock:
        fcntl.flock(lock, how)
        yield
