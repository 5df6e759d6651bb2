"""The file's time in three, so that what is reported was seen by nothing that was fitted."""

from typing import NamedTuple

from apps.scoring.training import data

HELD_OUT_FROM, LAST_FROM = 60, 75  # percent of the file's period


class Split(NamedTuple):
    """The trees see the first part, stopping and calibration the second, nothing but the report the last."""

    fit: data.Rows
    held_out: data.Rows
    last: data.Rows
    bounds: dict[str, list[int]]  # first and last step of each part


def by_time(rows: data.Rows) -> Split:
    """Raises `UnusableData` when a part has no fraud or no honest row."""
    step = rows.frame["step"].to_numpy()
    first, last = int(step.min()), int(step.max())
    middle, late = (first + percent * (last - first + 1) // 100 for percent in (HELD_OUT_FROM, LAST_FROM))
    parts = [step < middle, (step >= middle) & (step < late), step >= late]
    chosen = [_reweighted(rows.where(part)) for part in parts]
    if not all(part.label.any() and not part.label.all() for part in chosen):
        raise data.UnusableData("Each part of the time split (60 %, 15 %, 25 %) needs frauds and honest rows.")
    bounds = {"fit": [first, middle - 1], "held_out": [middle, late - 1], "last": [late, last]}
    return Split(chosen[0], chosen[1], chosen[2], bounds)


def _reweighted(rows: data.Rows) -> data.Rows:
    """Each part of a sample stands for its own part of the log."""
    if rows.weighted_by != "sample":
        return rows
    return rows._replace(weight=data.sample_weight(rows.frame, rows.label))
