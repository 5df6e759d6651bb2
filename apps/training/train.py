"""Training a schema's models, as a story: read, split by time, make the features, then for each model fit, calibrate,
prove, measure, write; at last name the active ones."""

import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.scoring.engine import shelf
from apps.scoring.engine.models import active
from apps.scoring.engine.transaction import TransactionSchema
from apps.training import baselines, card, data, fit
from apps.training.data import Rows
from apps.training.dataset import Extra, joined
from apps.training.families.fitted import SEED, Say
from apps.training.recipe import Prepared, Recipe
from apps.training.recipes import RECIPES
from apps.training.reference import write_references
from apps.training.split import Split, by_time

VERSION = "2026.11.2"
GIGABYTE = 1e6  # of ru_maxrss's kilobytes


def train(
    schema: TransactionSchema,
    paths: Sequence[Path],
    out: Path,
    *,
    models: Sequence[str] = (),
    say: Say = print,
    version: str = VERSION,
    recipe: Recipe | None = None,
) -> list[Path]:
    """Train a schema's models (`models`: only these) on labelled files, write them under `out` and make them active.

    Without files a recipe that simulates its own rows does so. Raises `UnusableData` naming what is wrong with the
    files, `NotProved` or `TooLarge` when a model may not be shipped; models written before stay.
    """
    say = _timed(say)
    recipe = recipe or RECIPES[schema.name]
    prepared = prepare(schema, recipe, paths, say)
    simpler = baselines.compared(prepared.measuring)
    say("measured the baselines")
    chosen = [name for name in recipe.plans if not models or name in models]
    written = []
    for name in chosen:
        say(f"{name}: fitting")
        plan = recipe.plans[name]
        trained = card.Trained(name, version, plan, fit.twice(prepared, plan, say), simpler)
        made = card.write(prepared, trained, out)
        written.append(out / schema.name / name / version)
        say(f"{name}: {json.dumps(made['quality']['out_of_time']['metrics'])}")
    write_references(prepared, out, [f"{name}/{version}" for name in chosen], say)
    name_active(out, recipe, schema.name, [f"{name}/{version}" for name in chosen])
    say(f"wrote {', '.join(map(str, written))}")
    return written


def prepare(schema: TransactionSchema, recipe: Recipe, paths: Sequence[Path], say: Say) -> Prepared:
    """Everything the models of a schema share, computed once. Raises `UnusableData`."""
    if not paths and recipe.simulate is None:
        raise data.UnusableData(f"'{schema.name}' needs labelled files.")
    rows = _rows(schema, recipe, paths, say)
    say(f"read {len(rows.label):,} rows, {rows.label.sum():,} frauds")
    files = tuple({"name": path.name, "sha256": data.sha256_of(path)} for path in paths)
    return split_at(_made(schema, recipe, rows, by_time(rows, recipe.tick_ms), files, say), say)


def split_at(prepared: Prepared, say: Say, split: Split | None = None) -> Prepared:
    """The same at a split; where features know a table, beside it what knows no more than the part it is fitted on."""
    recipe, rows, split = prepared.recipe, prepared.rows, split or prepared.split
    if recipe.as_of is None:
        return prepared._replace(split=split)
    known = recipe.as_of(prepared.schema, rows.where(split.fit))
    return prepared._replace(split=split, earlier=_made(known, recipe, rows, split, prepared.files, say))


def _made(
    schema: TransactionSchema, recipe: Recipe, rows: Rows, split: Split, files: tuple[dict[str, str], ...], say: Say
) -> Prepared:
    random = np.random.default_rng(SEED)
    material = recipe.material(schema, rows, random, say)
    say(f"made {material.measured.shape[1]} features")
    typical = recipe.typical(schema, rows, material.measured)
    added, calibrated_on = (
        _together(recipe.added(schema, rows, random), recipe.copied(schema, rows, material, random)) for _ in range(2)
    )
    return Prepared(schema, recipe, rows, split, material, added, calibrated_on, typical, files)


def _rows(schema: TransactionSchema, recipe: Recipe, paths: Sequence[Path], say: Say) -> data.Rows:
    if recipe.compose:
        return recipe.compose(schema, paths, say)
    return data.read(schema, paths) if paths else data.rows(schema, recipe.simulate())  # type: ignore[misc]


def _together(*extras: Extra | None) -> Extra | None:
    some = [one for one in extras if one is not None]
    if not some:
        return None
    return Extra(joined(*(one.block for one in some)), np.concatenate([one.of for one in some]))


def name_active(out: Path, recipe: Recipe, schema: str, fresh: Sequence[str]) -> None:
    """After a whole training the recipe's order; after one of a few models those lines only."""
    by_name = {entry.partition("/")[0]: entry for entry in (*active(out, schema), *fresh)}
    whole = {entry.partition("/")[0] for entry in fresh} >= {name for name, plan in recipe.plans.items() if plan.active}
    order = [*recipe.plans, *by_name] if whole else [*by_name]
    named = [name for name in dict.fromkeys(order) if name in by_name]
    wanted = [name for name in named if name not in recipe.plans or recipe.plans[name].active]
    if wanted:
        shelf.activate(out, schema, [by_name[name] for name in wanted])


def _timed(say: Say) -> Say:
    """Each line with the seconds since the start and the most memory taken so far."""
    start = time.monotonic()

    def tell(line: str) -> None:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIGABYTE
        say(f"[{time.monotonic() - start:6.1f} s, {most:.2f} GB] {line}")

    return tell
