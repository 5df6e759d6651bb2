"""Every field of every schema is described from one table: its known values and who looks at it."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest
from django.conf import settings

from apps.api.openapi.document import document
from apps.scoring.engine.explain import Contribution, Reason
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.models import active
from apps.scoring.engine.operations import SCALAR
from apps.scoring.engine.provenance import ORIGINS, Origin, fields_of_features, joined
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.serving.rehearsal import EXAMPLES
from apps.scoring.serving.transaction_fields import TransactionField, of_shelf

FIELDS = of_shelf(settings.ARTIFACTS_DIR)
ALL = [(SCHEMAS[schema], field) for schema, fields in FIELDS.items() for field in fields]
KNOWING = [(schema, field) for schema, field in ALL if field.known]
UNWEIGHED = [(schema, field) for schema, field in ALL if not field.weighed]
NOBODYS = "perpetual_motion"  # a text no field knows


def named(rows: list[tuple[TransactionSchema, TransactionField]]) -> Any:
    return pytest.mark.parametrize(("schema", "field"), rows, ids=[f"{s.name}.{f.name}" for s, f in rows])


@pytest.fixture(scope="module")
def described() -> Mapping[str, Any]:
    return document()["components"]["schemas"]


def test_every_field_has_its_words_in_the_description(described: Mapping[str, Any]) -> None:
    for schema, field in ALL:
        told = described[schema.struct.__name__]["properties"][field.name]
        assert field.meaning and field.takes, (schema.name, field.name)
        assert told["description"] == field.description
        assert told.get("x-extensible-enum") in (None, list(field.known.values) if field.known else None)


@named(KNOWING)
def test_known_values_stand_in_the_description_and_in_the_warning(
    schema: TransactionSchema, field: TransactionField
) -> None:
    assert field.known is not None
    listed = [field.known.listed] if field.known.listed_as else [*field.known.values]
    assert not [value for value in listed if value not in field.description]
    warnings = schema.parse({**EXAMPLES[schema.name], field.name: NOBODYS}).warnings
    told = [warning for warning in warnings if warning.startswith(f"Unknown {field.name} '{NOBODYS}'")]
    assert len(told) == bool(field.known.consequence)
    assert all(value in warning for warning in told for value in listed)


@named(KNOWING)
def test_what_is_known_is_not_warned_of(schema: TransactionSchema, field: TransactionField) -> None:
    assert field.known is not None
    for value in (*field.known.values, *field.known.synonyms):
        warnings = schema.parse({**EXAMPLES[schema.name], field.name: value}).warnings
        assert not [warning for warning in warnings if warning.startswith("Unknown")], value


def looked_up(schema: TransactionSchema) -> Iterator[tuple[str, Mapping[str, float]]]:
    """(field, table) of every text the features turn into a number."""
    found: list[tuple[str, Mapping[str, float]]] = []

    def lookup(table: Mapping[str, float], key: Origin, default: float) -> Origin:
        found.extend((name, table) for name in key.fields if is_kind(str, schema.types[name]))
        return joined(key)

    fields_of_features(schema, ORIGINS._replace(lookup=lookup))
    yield from found


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_known_values_are_those_the_features_are_made_from(schema: TransactionSchema) -> None:
    tables = [*looked_up(schema)]
    assert schema.name == "ieee_cis" or tables
    for name, table in tables:
        known = schema.known_values[name]
        assert {*table} <= {*known.values, *known.synonyms}, name
    weighed = {name for name, _ in tables}
    for name in schema.known_values.keys() & weighed:
        everything = {word for field, table in tables if field == name for word in table}
        assert everything == {*schema.known_values[name].values, *schema.known_values[name].synonyms}, name


OTHERS: Mapping[type, tuple[Any, ...]] = {
    bool: (True, False),
    int: (1, 2),
    float: (0.25, 0.5),
    str: ("first", "second"),
    datetime: ("2026-01-15T10:30:00Z", "2026-02-15T11:30:00Z"),
}


@named(UNWEIGHED)
def test_a_field_no_model_weighs_changes_nothing_a_model_sees(
    schema: TransactionSchema, field: TransactionField
) -> None:
    kind = next(kind for kind in OTHERS if is_kind(kind, schema.types[field.name]))
    seen = [seen_by_models(schema, {**EXAMPLES[schema.name], field.name: value}) for value in OTHERS[kind]]
    assert seen[0] == seen[1]


def seen_by_models(schema: TransactionSchema, content: dict[str, Any]) -> str:
    parsed = schema.parse(content, 1_700_000_000_000)
    row = schema.row(parsed.transaction, parsed.at_ms, [UnknownPast()] * len(schema.roles))
    return repr((row, schema.parties(parsed.transaction), schema.amount(parsed.transaction), parsed.at_ms))


class UnknownPast:
    """A past of which everything is one."""

    def __getattr__(self, name: str) -> float:
        return 1.0


def test_what_a_model_weighs_is_what_its_card_says() -> None:
    for name, schema in SCHEMAS.items():
        for entry in active(settings.ARTIFACTS_DIR, name):
            card = json.loads((settings.ARTIFACTS_DIR / name / entry / "card.json").read_bytes())
            of_features = fields_of_features(schema)
            weighed = {field.name for field in FIELDS[name] if field.weighed}
            assert {field for feature in card["features"] for field in of_features[feature]} <= weighed


def test_some_fields_are_weighed_and_some_are_not() -> None:
    weighed = {field.name: field.weighed for field in FIELDS["card_activity"]}
    assert weighed["Time_Since_Last_Transaction_min"] and weighed["Timestamp"]
    assert not weighed["Transaction_Day"] and not weighed["Hour_sin"]


@pytest.mark.parametrize("struct", [Reason, Contribution])
def test_every_part_of_a_reason_is_explained(described: Mapping[str, Any], struct: type[msgspec.Struct]) -> None:
    properties = described[struct.__name__]["properties"]
    assert [name for name, told in properties.items() if not told.get("description")] == []


def test_every_unit_of_a_reason_is_named_where_units_are_explained(described: Mapping[str, Any]) -> None:
    about = described["Reason"]["properties"]["unit"]["description"]
    units = {feature.unit for schema in SCHEMAS.values() for feature in schema.features} - {"", "money", "index"}
    assert {"km", "seconds"} <= units
    assert [unit for unit in units if unit not in about] == []


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_what_is_told_as_a_length_of_time_has_its_unit(schema: TransactionSchema) -> None:
    spans = [feature for feature in schema.features if "{span}" in feature.up]
    assert [feature.name for feature in spans if feature.unit != "seconds"] == []


def test_origins_are_those_of_the_values_they_are_made_of() -> None:
    a, b = Origin(frozenset("a")), Origin(frozenset("b"))
    assert joined(1.0 - a, b > 2.0, SCALAR).fields == {"a", "b"}
    assert ORIGINS.where(a == 0.0, 1.0, b % 7.0).fields == {"a", "b"}
