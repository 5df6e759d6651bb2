"""Training PaySim's model, as a story: read, split by time, add what the log lacks, fit, calibrate, measure, write."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.training import blocks, card, data, fit, quality
from apps.scoring.training.split import by_time

VERSION = "2026.11.1"

Say = Callable[[str], None]


def train(schema: TransactionSchema, paths: list[Path], out: Path, say: Say = print, version: str = VERSION) -> Path:
    """Train on labelled files and write the artifact under `out`; returns its directory, made active.

    Raises `UnusableData` naming what is wrong with the files.
    """
    rows = data.read(schema, paths)
    say(f"read {len(rows.label):,} rows, {rows.label.sum():,} frauds")
    split = by_time(rows)
    random = np.random.default_rng(fit.SEED)
    fitting, held_out = blocks.for_fitting(schema, split.fit, random), blocks.real(schema, split.held_out, random)
    say(f"fitting on {len(fitting.label):,} rows, simulated ones included")
    booster = fit.trees(fitting, held_out, tuple(feature.monotone for feature in schema.features), say)
    calibration = fit.platt(fit.margins(booster, held_out.features), held_out.label, held_out.weight)
    say(f"{booster.num_boosted_rounds()} trees; calibration a={calibration.a:.3f} b={calibration.b:.3f}")
    found = quality.measured(schema, split, booster, calibration, random)
    say(f"out of time, steps {split.bounds['last']}: {json.dumps(found['out_of_time']['metrics'])}")
    directory = out / schema.name / card.NAME / version
    card.write(card.Trained(schema, version, paths, split, booster, calibration, found), directory)
    (out / schema.name / "ACTIVE").write_text(f"{card.NAME}/{version}\n")
    say(f"wrote {directory}")
    return directory
