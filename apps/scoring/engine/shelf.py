"""The shelf models stand on: `<root>/<schema>/<model>/<version>/`, which of them are active, and who is champion.

`<root>/<schema>/ACTIVE` names one "<model>/<version>" a line, the champion first. It is only ever replaced whole.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apps.scoring.engine.models import LoadedModel, ModelRefused, active, load_model, verify_example


def versions(root: Path, schema: str) -> Iterator[str]:
    """Every "<model>/<version>" that has a card, sorted."""
    for card in sorted((root / schema).glob("*/*/card.json")):
        yield f"{card.parent.parent.name}/{card.parent.name}"


def find(root: Path, schema: str, wanted: str | None) -> str:
    """The "<model>/<version>" meant by "model@version", by "model" (the active version, else the newest) or by None
    (the champion). Raises `ModelRefused` naming what there is."""
    named, kept = active(root, schema), list(versions(root, schema))
    name, _, version = (wanted or "").partition("@")
    if version:
        candidates = [f"{name}/{version}"]
    elif wanted:
        candidates = [entry for entry in (*named, *kept[::-1]) if entry.startswith(f"{name}/")]
    else:
        candidates = list(named)
    if not candidates or candidates[0] not in kept:
        known = ", ".join(entry.replace("/", "@") for entry in kept) or "none"
        raise ModelRefused(f"'{schema}' has no model '{wanted or 'champion'}'; there are: {known}")
    return candidates[0]


def loaded(root: Path, schema: str, entry: str) -> LoadedModel:
    """The model, its hashes, features and example checked. Raises `ModelRefused`."""
    model = load_model(root / schema / entry)
    verify_example(model)
    if (model.card.schema, f"{model.name}/{model.version}") != (schema, entry):
        raise ModelRefused(f"{entry} holds the card of {model.card.schema}'s {model.name}/{model.version}")
    return model


def card(root: Path, schema: str, entry: str) -> dict[str, Any]:
    """The whole card, for people."""
    return json.loads((root / schema / entry / "card.json").read_bytes())


def note(root: Path, schema: str, wanted: str, name: str, found: Any) -> None:
    """Write into the card's `quality` what was measured of a model later. Raises `ModelRefused` when there is none."""
    entry = find(root, schema, wanted)
    whole = card(root, schema, entry)
    whole["quality"][name] = found
    path = root / schema / entry / "card.json"
    fresh = path.with_name(f".card.{os.getpid()}")
    fresh.write_text(json.dumps(whole, indent=1))
    fresh.replace(path)


def size(root: Path, schema: str, entry: str) -> int:
    """Bytes of all its files."""
    return sum(file.stat().st_size for file in (root / schema / entry).iterdir())


def promote(root: Path, schema: str, wanted: str) -> str:
    """Make a model the champion; the other families stay as they are. Raises `ModelRefused`, and then changes nothing.

    Returns the "<model>/<version>" it is.
    """
    entry = find(root, schema, wanted)
    loaded(root, schema, entry)
    others = [line for line in active(root, schema) if line.partition("/")[0] != entry.partition("/")[0]]
    activate(root, schema, [entry, *others])
    return entry


def activate(root: Path, schema: str, entries: Sequence[str]) -> None:
    """Replace `ACTIVE` at once: whoever reads it finds the old one or the new one."""
    path = root / schema / "ACTIVE"
    fresh = path.with_name(f".ACTIVE.{os.getpid()}")
    fresh.write_text("".join(f"{entry}\n" for entry in entries))
    fresh.replace(path)
