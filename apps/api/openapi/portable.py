"""Rewrites JSON Schema into the part of it that client generators read. Pure.

msgspec writes what the standard allows; openapi-python-client, openapi-typescript and datamodel-code-generator each
stumble over some of it. `portable` says the same in words all three know, and `tests/api/test_clients.py` generates a
client with each and calls every operation.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
#: A field, and the values it may have.
Meaning = tuple[str, tuple[Any, ...]]

_TYPES: Mapping[type, str] = {bool: "boolean", str: "string", int: "integer", float: "number"}


def portable(schema: Any) -> Any:
    """A schema and all within it; examples stay as they are."""
    if isinstance(schema, list):
        return [portable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: part if name in ("example", "examples") else portable(part) for name, part in schema.items()}
    return _nullable(_typed(_named_once(_without_tuples(inner))))


def tagged(base: Json, tag: str, member: str, variants: Mapping[str, Any], name_of: Mapping[str, str]) -> Json:
    """Schemas in which `tag` tells what `member` is: `base` once a variant, and their union under a discriminator.

    `variants`: value of the tag → schema of the member; `name_of`: value of the tag → name of its schema. The union
    stands under the name "".
    """
    found: Json = {}
    for value, schema in variants.items():
        properties = base["properties"] | {tag: base["properties"][tag] | {"const": value}, member: schema}
        found[name_of[value]] = base | {"title": name_of[value], "properties": properties}
    refs = {value: f"#/components/schemas/{name_of[value]}" for value in variants}
    union = {
        "title": base["title"],
        "description": base["description"],
        "oneOf": [{"$ref": ref} for ref in refs.values()],
    }
    return found | {"": union | {"discriminator": {"propertyName": tag, "mapping": refs}}}


def with_named_enumerations(components: Mapping[str, Json]) -> Json:
    """The components and each enumeration of theirs as one more: a generator would number them. One that several
    structs share is named after their field (`RiskLevel`), all others after struct and field (`InvoiceStatus`)."""
    owners: dict[Meaning, list[str]] = {}
    for owner, schema in components.items():
        for field, enumeration in _enumerations(schema):
            owners.setdefault((field, tuple(enumeration["enum"])), []).append(owner)
    names = {meaning: _name_of(meaning, owners, components) for meaning in owners}
    named: Json = {}
    for schema in components.values():
        for field, enumeration in _enumerations(schema):
            name = names[field, tuple(enumeration["enum"])]
            named[name] = {"title": name, "type": enumeration.pop("type"), "enum": enumeration.pop("enum")}
            enumeration["$ref"] = f"#/components/schemas/{name}"
    return dict(sorted({**components, **named}.items()))


def _name_of(meaning: Meaning, owners: Mapping[Meaning, list[str]], taken: Container[str]) -> str:
    """Its field's name when more structs share it than any other of that field, else the first struct's and field's."""
    field, mine = meaning[0], owners[meaning]
    plain = "".join(part[0].upper() + part[1:] for part in field.split("_"))
    others = (len(its) for (name, _), its in owners.items() if name == field and its is not mine)
    if len(mine) > max(1, *others, 0) and plain not in taken:
        return plain
    return mine[0] + plain if mine[0] + plain not in taken else f"{mine[0]}{plain}Value"


def _enumerations(schema: Json) -> Iterator[tuple[str, Json]]:
    """Field → the enumeration in it: its own, its items' or that of one kind of it."""
    for field, schema_of_field in schema.get("properties", {}).items():
        items = schema_of_field.get("items") if isinstance(schema_of_field.get("items"), dict) else {}
        for part in (schema_of_field, items, *schema_of_field.get("anyOf", ())):
            if isinstance(part.get("enum"), list) and "type" in part:
                yield field, part


def _without_tuples(schema: Json) -> Json:
    """An array says of what: a tuple is one of its members' kinds, as many as it has."""
    if schema.get("type") != "array":
        return schema
    kinds = schema.pop("prefixItems", None)
    if kinds is None:
        return {"items": {}} | schema
    different = [kind for number, kind in enumerate(kinds) if kind not in kinds[:number]]
    return schema | {"items": different[0] if len(different) == 1 else {"anyOf": different}}


def _named_once(schema: Json) -> Json:
    """A single value is a constant: as an enumeration it would become a class in each place it stands."""
    values = schema.get("enum")
    if not isinstance(values, list) or len(values) != 1:
        return schema
    return {name: part for name, part in schema.items() if name != "enum"} | {"const": values[0]}


def _typed(schema: Json) -> Json:
    """An enumeration and a constant say their type."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list) or "type" in schema:
        return schema
    kinds = {_TYPES[type(value)] for value in values}
    return {"type": kinds.pop()} | schema if len(kinds) == 1 else schema


def _nullable(schema: Json) -> Json:
    """A plain value or null is one schema of two types: as a union its bounds would become a class of their own."""
    kinds = schema.get("anyOf", [])
    if len(kinds) != 2 or kinds[1] != {"type": "null"} or {"enum", "const", "properties"} & set(kinds[0]):
        return schema
    if not isinstance(kinds[0].get("type"), str):
        return schema
    rest = {name: part for name, part in schema.items() if name != "anyOf"}
    return kinds[0] | {"type": [kinds[0]["type"], "null"]} | rest
