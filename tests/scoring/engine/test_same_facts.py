"""The same facts have the same hash, and the same request the same fingerprint, however they were written."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction
from apps.scoring.serving import ids
from tests.scoring.engine.conftest import EXAMPLES
from tests.spelled import FULL, LARGEST, written

NUMBERS = [(name, field) for name, one in SCHEMAS.items() for field in one.fields if is_kind(int, one.types[field])]
#: Hundreds of draws an example: from a seed, which costs hypothesis one.
CHANCES = st.integers(0, 2**32 - 1).map(random.Random)
IDS = [(name, field) for name, field in NUMBERS if field.endswith(("ID", "Count"))]


def hashed(schema: str, raw: bytes) -> str:
    return ids.body_hash(schema, SCHEMAS[schema].parse(raw).facts)


@pytest.mark.parametrize("schema", FULL)
@given(chance=CHANCES)
def test_the_same_facts_have_one_hash_however_they_are_written(schema: str, chance: random.Random) -> None:
    plain, other = (written(FULL[schema], random.Random(0)), written(FULL[schema], chance))
    nulls = {field: None for field in SCHEMAS[schema].fields if field not in FULL[schema] and chance.random() < 0.2}
    nulls = {field: None for field in nulls if field not in SCHEMAS[schema].required}
    also = written(FULL[schema] | nulls, chance)
    assert hashed(schema, plain.encode()) == hashed(schema, other.encode()) == hashed(schema, also.encode())


@pytest.mark.parametrize("schema", FULL)
@given(chance=CHANCES, wrapped=st.booleans())
def test_the_same_request_has_one_fingerprint_however_it_is_written(
    schema: str, chance: random.Random, wrapped: bool
) -> None:
    said: Any = (
        {"schema": schema, "transactions": [FULL[schema], {"big": 10**30, "x": None}]} if wrapped else FULL[schema]
    )
    first = ids.fingerprint("/v1/decisions", "model=a&x=", written(said, random.Random(0)).encode())
    assert ids.fingerprint("/v1/decisions/", "x=&model=%61", written(said, chance).encode()) == first


def test_other_facts_have_another_hash() -> None:
    base = FULL["payments"] | {"timestamp": "2026-01-05T10:00:00Z", "user_id": "Zoë", "amount": 1000}
    changes: list[dict[str, Any]] = [
        {}, {"timestamp": "2026-01-05T10:00:00.000001Z"}, {"timestamp": "2026-01-05T10:00:00+01:00"},
        {"user_id": "zoë"}, {"user_id": "Zoë "}, {"amount": 1000.01}, {"amount": 0}, {"card_present": False},
        {"card_present": None}, {"distance_from_home_km": None}, {"transaction_id": "o1"},
    ]  # fmt: skip
    assert len({hashed("payments", json.dumps(base | change).encode()) for change in changes}) == len(changes)


def test_another_request_has_another_fingerprint() -> None:
    asked = [
        ("/v1/decisions", "", b'{"a": 1}'), ("/v1/decisions", "", b'{"a": 1.5}'), ("/v1/decisions", "", b'{"a": "1"}'),
        ("/v1/decisions", "", b'{"a": true}'), ("/v1/decisions", "", b'{"a": null}'), ("/v1/decisions", "", b"{}"),
        ("/v1/decisions", "", b'{"a": [1, 2]}'), ("/v1/decisions", "", b'{"a": [2, 1]}'), ("/predict", "", b'{"a": 1}'),
        ("/v1/decisions", "model=a", b'{"a": 1}'), ("/v1/decisions", "model=b", b'{"a": 1}'),
        ("/v1/decisions", "", b'{"a": 9007199254740993}'), ("/v1/decisions", "", b'{"a": 9007199254740992}'),
        ("/v1/decisions", "", b'{"a": "x"}'), ("/v1/decisions", "", b'{"a": "X"}'), ("/v1/decisions", "", b'{"b": 1}'),
    ]  # fmt: skip
    assert len({ids.fingerprint(*one) for one in asked}) == len(asked)


def test_a_body_nested_without_end_has_a_fingerprint_too() -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert ids.fingerprint("/predict", "", deep) == ids.fingerprint("/predict/", "", deep)


# --- integers that not every reader of JSON keeps ---

BEYOND = ("9007199254740992", "9007199254740993", "9007199254740993.0", "9.007199254740993e15", "9007199254740992.0",
          "9007199254740991.5", "1e16", "18446744073709551616", "1" + "0" * 40, "1e300")  # fmt: skip


@pytest.mark.parametrize("literal", BEYOND)
@pytest.mark.parametrize(("schema", "field"), IDS)
def test_an_integer_beyond_2_to_the_53_is_refused_with_the_bound(schema: str, field: str, literal: str) -> None:
    raw = json.dumps(EXAMPLES[schema] | {field: "?"}).replace('"?"', literal).encode()
    with pytest.raises(InvalidTransaction) as refused:
        SCHEMAS[schema].parse(raw)
    assert refused.value.param == field
    assert "9,007,199,254,740,991" in refused.value.detail


@pytest.mark.parametrize("literal", ["9007199254740991", "9007199254740991.0", "9.007199254740991e15"])
@pytest.mark.parametrize(("schema", "field"), IDS)
def test_the_largest_integer_is_itself_however_it_is_written(schema: str, field: str, literal: str) -> None:
    raw = json.dumps(EXAMPLES[schema] | {field: "?"}).replace('"?"', literal).encode()
    assert SCHEMAS[schema].parse(raw).facts[field] == LARGEST


@pytest.mark.parametrize("literal", ["9007199254740993.0", "1e300", "-1", "-1.0", "0.5", "1" + "0" * 40])
@pytest.mark.parametrize(("schema", "field"), NUMBERS)
def test_no_other_whole_number_is_rounded_to_one_that_is_taken(schema: str, field: str, literal: str) -> None:
    raw = json.dumps(EXAMPLES[schema] | {field: "?"}).replace('"?"', literal).encode()
    with pytest.raises(InvalidTransaction) as refused:
        SCHEMAS[schema].parse(raw)
    assert refused.value.param == field


# --- times ---


@pytest.mark.parametrize(("schema", "field"), [(one.name, one.moment) for one in SCHEMAS.values() if one.moment])
@pytest.mark.parametrize("said", [1764325800, 1764325800.5, "1764325800", "2026-11-28", "now", True])
def test_what_is_no_time_is_refused_in_words(schema: str, field: str, said: Any) -> None:
    with pytest.raises(InvalidTransaction) as refused:
        SCHEMAS[schema].parse(EXAMPLES[schema] | {field: said})
    assert refused.value.param == field
    assert "ISO 8601" in refused.value.detail
    assert ("count of seconds" in refused.value.detail) == (str(said)[:4] == "1764")
