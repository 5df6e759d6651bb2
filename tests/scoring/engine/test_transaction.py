import json
import math

import msgspec
import pytest

from apps.scoring.engine.operations import SCALAR
from apps.scoring.engine.parties import Party
from apps.scoring.engine.transaction import InvalidTransaction
from tests.scoring.engine.conftest import HONEST


def refused(schema, raw):
    with pytest.raises(InvalidTransaction) as caught:
        schema.parse(raw)
    return caught.value


def test_bytes_and_dict_are_parsed_alike(schema):
    assert schema.parse(json.dumps(HONEST).encode()) == schema.parse(HONEST)
    assert schema.parse(HONEST).facts == HONEST


@pytest.mark.parametrize(
    "order", [("amount", "oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest", "step", "type")]
)
def test_the_first_missing_field_is_named_in_the_documented_order(schema, order):
    for index, name in enumerate(order):
        problem = refused(schema, {field: HONEST[field] for field in order[:index]})
        assert (problem.param, problem.missing) == (name, True)
        assert f"'{name}'" in problem.detail


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "5000"), ("amount", -0.01), ("amount", math.nan), ("amount", math.inf), ("amount", 1.1e12),
        ("amount", 10**400), ("amount", True), ("amount", None), ("amount", []), ("oldbalanceOrg", -1.1e12),
        ("newbalanceDest", "0"), ("step", -1), ("step", 1_000_001), ("step", 1.5), ("step", "1"), ("type", 4),
        ("type", "T" * 33), ("nameOrig", "a\x00b"), ("nameDest", "x" * 129), ("transaction_id", "a\ud800"),
        ("transaction_id", "line\nbreak"), ("nameOrig", 7),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_fields_name(schema, field, value):
    problem = refused(schema, {**HONEST, field: value})
    assert problem.param == field
    assert not problem.missing


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"amount": NaN}', b'{"a": 1e999}'],
)
def test_hostile_bodies_are_refused_and_nothing_else(schema, raw):
    assert refused(schema, raw).detail


def test_the_first_of_several_problems_is_named(schema):
    assert refused(schema, {**HONEST, "newbalanceDest": "x", "oldbalanceOrg": None}).param == "oldbalanceOrg"


def test_unknown_fields_are_ignored_and_named_briefly(schema):
    extra = {"z" * 60: 1, "b\x00": 2, **{f"more{index}": 0 for index in range(8)}}
    parsed = schema.parse({**HONEST, **extra})
    (warning,) = parsed.warnings
    assert "and 5 more" in warning
    assert "z" * 41 not in warning
    assert parsed.facts == HONEST
    warning.encode()


def test_an_unknown_type_is_accepted_with_a_warning(schema):
    (warning,) = schema.parse({**HONEST, "type": "INVALID_TYPE"}).warnings
    assert "accuracy may be lower" in warning


def test_a_known_type_in_another_case_is_that_type(schema):
    assert schema.parse({**HONEST, "type": "transfer"}).facts["type"] == "TRANSFER"


def test_parties_are_those_named_by_what_they_are_recognised_by(schema, paysim):
    assert schema.parties(paysim().transaction) == ()
    assert schema.parties(paysim(nameOrig="C1", nameDest="").transaction) == (Party("nameOrig", "c1", ""),)
    assert schema.parties(paysim(nameDest="M2").transaction) == (Party("nameDest", "m2", ""),)
    both = schema.parties(paysim(nameOrig="C1", nameDest="M2").transaction)
    assert both == (Party("nameOrig", "c1", "m2"), Party("nameDest", "m2", "c1"))


def test_the_schema_speaks_of_itself(schema, paysim):
    transaction = paysim(transaction_id="t1").transaction
    assert schema.event_time_ms(transaction, 0, SCALAR) == 15 * 3_600_000
    assert schema.amount(transaction) == 5000.0
    assert schema.transaction_id(transaction) == "t1"
    properties = msgspec.json.schema(schema.struct)["$defs"]["PaySimTransaction"]["properties"]
    assert properties["amount"]["minimum"] == 0
    assert all("description" in field or "anyOf" in field for field in properties.values())
