"""The cards of the models that decide, as people read them: what each was trained on and what it is worth."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from msgspec import Meta

from apps.scoring.engine import shelf
from apps.scoring.engine.asking import ENSEMBLE_THRESHOLD
from apps.scoring.engine.models import LoadedModel, ModelRefused, Models, active
from apps.scoring.engine.schemas import SCHEMAS

FAMILIES = {
    "xgboost": "gradient-boosted trees (XGBoost)",
    "lightgbm": "gradient-boosted trees (LightGBM)",
    "random_forest": "random forest",
    "logistic_regression": "logistic regression",
}
Status = Literal["available", "unavailable"]
Number = float | None


class TrainedOn(msgspec.Struct, frozen=True):
    """The data a model learnt from."""

    name: str
    rows: int
    frauds: int
    period: Annotated[list[Any], Meta(description="First and last: dates, or steps of the log.")]
    licence: str
    research_only: Annotated[bool, Meta(description="The data's licence allows research alone.")]


class Quality(msgspec.Struct, frozen=True):
    """What a model is worth on later time that a model fitted alike never saw."""

    period: list[Any]
    rows: int
    frauds: int
    metrics: dict[str, Number]
    intervals_95: Annotated[dict[str, tuple[Number, Number]], Meta(description="Bootstrap.")]


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model that may be asked for by name, or `name@version`."""

    object: Literal["model"] = "model"
    schema: str
    name: str
    version: str
    family: str
    champion: Annotated[bool, Meta(description="Asked when a request names no model.")]
    status: Annotated[Status, Meta(description="unavailable: refused at loading, it scores nothing.")]
    threshold: Number
    features: Annotated[int, Meta(description="How many it looks at.")]
    file: str
    trained_on: TrainedOn | None
    quality: Quality | None


class EnsembleCard(msgspec.Struct, frozen=True, kw_only=True):
    """All models of a schema asked together, by the name `ensemble`."""

    object: Literal["ensemble"] = "ensemble"
    schema: str
    name: Literal["ensemble"] = "ensemble"
    method: Literal["majority"] = "majority"
    threshold: float = ENSEMBLE_THRESHOLD
    members: tuple[str, ...]


def for_research_only(schema: str) -> bool:
    """Whether any active model of a schema was trained on data for research alone."""
    cards = dict(on_shelf())[schema]
    return any(card.trained_on is not None and card.trained_on.research_only for card in cards)


def of_all(models: Models) -> Iterator[ModelCard | EnsembleCard]:
    """Every schema's models, the champion first, and its ensemble."""
    for schema, by_name in models.items():
        yield from of_schema(schema, models)
        if by_name:
            yield EnsembleCard(schema=schema, members=tuple(by_name))


def on_shelf() -> Iterator[tuple[str, list[ModelCard]]]:
    """The cards of every schema's active models, the champion first, where no model is loaded."""
    for schema in SCHEMAS:
        entries = [one for one in active(settings.ARTIFACTS_DIR, schema) if _stands(schema, one)]
        cards = [_read(settings.ARTIFACTS_DIR, schema, entry) for entry in entries]
        yield schema, [msgspec.structs.replace(card, champion=number == 0) for number, card in enumerate(cards)]


def _stands(schema: str, entry: str) -> bool:
    return (settings.ARTIFACTS_DIR / schema / entry / "card.json").exists()


def of_schema(schema: str, models: Models) -> list[ModelCard]:
    """The models of a schema, the champion first."""
    found = models.get(schema, {})
    return [_card(schema, name, model, champion=i == 0) for i, (name, model) in enumerate(found.items())]


def _card(schema: str, name: str, model: LoadedModel | ModelRefused, *, champion: bool) -> ModelCard:
    if isinstance(model, ModelRefused):
        return _blank(schema, name, champion=champion)
    card = _read(settings.ARTIFACTS_DIR, schema, f"{name}/{model.version}")
    return msgspec.structs.replace(card, champion=champion)


@lru_cache(maxsize=256)
def _read(root: Path, schema: str, entry: str) -> ModelCard:
    """A card as the API shows it; read once, for a version never changes."""
    value = shelf.card(root, schema, entry)
    return ModelCard(
        schema=schema,
        name=value["name"],
        version=value["version"],
        family=_family(value.get("family", value["name"])),
        champion=False,
        status="available",
        threshold=value["threshold"],
        features=len(value["features"]),
        file=f"{schema}/{entry}/model.onnx",
        trained_on=_trained_on(value),
        quality=msgspec.convert(value["quality"]["out_of_time"], Quality),
    )


def _trained_on(value: Mapping[str, Any]) -> TrainedOn:
    data = value["data"]
    files = ", ".join(file["name"] for file in data["files"])
    return TrainedOn(
        name=data.get("title") or files,
        rows=data["rows"],
        frauds=data["frauds"],
        period=data["period"],
        licence=data["licence"],
        research_only=value["research_only"],
    )


def _blank(schema: str, name: str, *, champion: bool) -> ModelCard:
    """A model that was refused: its card is not to be believed."""
    return ModelCard(
        schema=schema,
        name=name,
        version="",
        family=_family(name),
        champion=champion,
        status="unavailable",
        threshold=None,
        features=0,
        file="",
        trained_on=None,
        quality=None,
    )


def _family(name: str) -> str:
    return FAMILIES.get(name, name)
