"""The folder an own model is trained in: a tenant's decisions as arrays and what is asked, written by a process that
knows the tenant, read by one that knows nothing else."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

#: What a folder holds: its arrays, what is to be done with them, what comes of it, and the own champion's files, if
#: there is one.
ARRAYS, ASKED, OUT, REPORT, CHAMPION = "decisions.npz", "asked.json", "out", "report.json", "champion"


class Asked(NamedTuple):
    """What is to be trained. `artifacts`: the folder of the shared models; `since_ms`: decisions dated before it are
    their parties' past alone."""

    schema: str
    model_id: str
    families: tuple[str, ...]
    artifacts: Path
    maturity_days: float | None = None
    since_ms: int | None = None


class Decisions(NamedTuple):
    """n decisions in order of event time.

    `features` float32[n, F] of the schema, as they were; `parties` int64[n, P] numbers of the parties (-1: not named);
    `is_fraud` bool[n], by the label that holds; `fraud_known` int64[n] seconds (`FOR_GOOD`: none); `frauds` int64[m,
    3]: the row of a label of fraud, since when and until when (a correction) it was known.
    """

    features: np.ndarray
    at_ms: np.ndarray
    hundredths: np.ndarray
    parties: np.ndarray
    is_fraud: np.ndarray
    fraud_known: np.ndarray
    frauds: np.ndarray

    def dated_before(self, at_ms: int) -> "Decisions":
        """Those of before a moment; they are in order of time."""
        count = int(np.searchsorted(self.at_ms, at_ms, "left"))
        of_each = {name: getattr(self, name)[:count] for name in self._fields if name != "frauds"}
        return self._replace(**of_each, frauds=self.frauds[self.frauds[:, 0] < count])


def read(folder: Path) -> tuple[Asked, Decisions]:
    """What was put into a folder."""
    said: dict[str, Any] = json.loads((folder / ASKED).read_text())
    said |= {"families": tuple(said["families"]), "artifacts": Path(said["artifacts"])}
    asked = Asked(**said)
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        return asked, Decisions(**{name: arrays[name] for name in Decisions._fields})


def write(folder: Path, asked: Asked, decisions: Decisions) -> None:
    """Put into a folder what is to be trained on."""
    (folder / ASKED).write_text(json.dumps(asked._asdict() | {"artifacts": str(asked.artifacts)}))
    np.savez(folder / ARRAYS, **decisions._asdict())
