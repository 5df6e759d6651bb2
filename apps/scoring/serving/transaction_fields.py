"""Every field of every schema as its sender reads of it: what it takes, its known values, and who looks at it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from apps.scoring.engine import shelf
from apps.scoring.engine.known_values import KnownValues
from apps.scoring.engine.models import LoadedModel, Models, active
from apps.scoring.engine.provenance import fields_of_features, fields_of_rules
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema

MOST_RULES_NAMED = 5


class TransactionField(NamedTuple):
    """One field. `rules`: the built-in rules that ask for it."""

    name: str
    required: bool
    meaning: str
    takes: str
    known: KnownValues | None
    weighed: bool
    rules: tuple[str, ...]

    @property
    def use(self) -> str:
        """Who looks at it."""
        if self.weighed:
            return "Weighed by the models."
        if not self.rules:
            return "No model weighs it; rules of your own can ask for it."
        named = ", ".join(self.rules[:MOST_RULES_NAMED])
        more = f" and {len(self.rules) - MOST_RULES_NAMED} more" if len(self.rules) > MOST_RULES_NAMED else ""
        return f"No model weighs it; built-in rules ask for it: {named}{more}."

    @property
    def description(self) -> str:
        """All there is to say of it in one paragraph, values and rules as code."""
        return " ".join(filter(None, (self.meaning, self.known_text, self.use)))

    @property
    def known_text(self) -> str:
        """The known values; "" for a field that has none."""
        if self.known is None:
            return ""
        if self.known.listed_as:
            return f"Known: {self.known.listed}."
        listed = ", ".join(f"`{value}`" for value in self.known.values)
        also = ", ".join(f"`{word}` ({value})" for word, value in self.known.synonyms.items())
        return f"Known: {listed}." + (f" Also understood: {also}." if also else "")


def fields_of(schema: TransactionSchema, features: Iterable[str]) -> list[TransactionField]:
    """A schema's fields in their order; `features` are those that its models weigh."""
    origins, rules = fields_of_features(schema), fields_of_rules(schema)
    weighed = frozenset().union(*(origins[feature] for feature in features))
    return [
        TransactionField(
            name=name,
            required=name in schema.required,
            meaning=schema.meaning(name),
            takes=schema.needs(name),
            known=schema.known_values.get(name),
            weighed=name in weighed,
            rules=rules.get(name, ()),
        )
        for name in schema.fields
    ]


def of_shelf(root: Path) -> Mapping[str, list[TransactionField]]:
    """Every schema's fields, weighed by the models that are active in a folder of models."""
    return {name: fields_of(schema, _weighed(root, name)) for name, schema in SCHEMAS.items()}


def of_models(models: Models) -> Mapping[str, list[TransactionField]]:
    """Every schema's fields, weighed by models that are loaded."""
    return {
        name: fields_of(
            schema,
            {
                feature
                for model in models[name].values()
                if isinstance(model, LoadedModel)
                for feature in model.card.features
            },
        )
        for name, schema in SCHEMAS.items()
    }


def _weighed(root: Path, schema: str) -> set[str]:
    """The features on the cards of a schema's active models."""
    return {feature for entry in active(root, schema) for feature in shelf.card(root, schema, entry)["features"]}
