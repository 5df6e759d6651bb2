"""What can't be processed: a clear 4xx that names the field; nothing is stored, nothing is counted."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.bodies import HONEST, TRANSFER, asking
from tests.cast import Api

Nothing = Callable[[Api], bool]


def raw(transaction: str) -> bytes:
    """A transaction as it stands in a body that json.dumps would not write."""
    return b'{"schema": "paysim", "transaction": %s}' % transaction.encode("utf-8", "surrogatepass")


def with_literal(field: str, literal: str) -> bytes:
    """The honest transfer with one field as a literal."""
    rest = {name: value for name, value in TRANSFER.items() if name != field}
    return raw(json.dumps(rest)[:-1] + f', "{field}": {literal}}}')


NOT_JSON = {
    "empty": b"",
    "blank": b"  \n",
    "half": b'{"schema": "paysim"',
    "text": b"amount=5000",
    "two documents": json.dumps(HONEST).encode() + b"{}",
    "trailing comma": b'{"schema": "paysim",}',
    "single quotes": b"{'schema': 'paysim'}",
    "NaN": with_literal("amount", "NaN"),
    "Infinity": with_literal("amount", "Infinity"),
    "-Infinity": with_literal("amount", "-Infinity"),
    "hexadecimal": with_literal("amount", "0x10"),
    "leading zero": with_literal("amount", "007"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(HONEST).encode(),
    "utf-16": json.dumps(HONEST).encode("utf-16"),
    "latin-1": with_literal("transaction_id", '"é"').decode().encode("latin-1"),
    "raw NUL": with_literal("transaction_id", '"a\x00b"'),
    "lone surrogate, escaped": with_literal("transaction_id", '"\\ud800"'),
    "lone surrogate, in bytes": with_literal("transaction_id", '"\ud800"'),
    "deep lists": with_literal("more", "[" * 100_000),
    "deep objects": b'{"a":' * 100_000,
    "deep transaction": with_literal("more", "[" * 5_000 + "]" * 5_000),
}
NO_OBJECT = {"list": b"[]", "number": b"1", "null": b"null", "text": b'"x"', "true": b"true"}
#: name → (body, the field that is wrong)
WRONG_FIELDS: dict[str, tuple[Any, str]] = {
    "no schema": ({"transaction": TRANSFER}, "schema"),
    "schema is a number": ({"schema": 1, "transaction": TRANSFER}, "schema"),
    "no transaction": ({"schema": "paysim"}, "transaction"),
    "transaction is a list": ({"schema": "paysim", "transaction": [TRANSFER]}, "transaction"),
    "transaction is null": ({"schema": "paysim", "transaction": None}, "transaction"),
    "dry_run is text": (asking(dry_run="yes"), "dry_run"),
    "model is a number": (asking(model=1), "model"),
    "model is long": (asking(model="x" * 81), "model"),
    "empty transaction": ({"schema": "paysim", "transaction": {}}, "transaction.amount"),
    **{
        f"no {field}": (
            asking({name: value for name, value in TRANSFER.items() if name != field}),
            f"transaction.{field}",
        )
        for field in TRANSFER
    },
    **{f"{field} is null": (asking(TRANSFER | {field: None}), f"transaction.{field}") for field in TRANSFER},
    **{f"{field} is a list": (asking(TRANSFER | {field: []}), f"transaction.{field}") for field in TRANSFER},
    **{f"{field} is true": (asking(TRANSFER | {field: True}), f"transaction.{field}") for field in TRANSFER},
    "amount in quotes": (asking(TRANSFER | {"amount": "5000"}), "transaction.amount"),
    "amount negative": (asking(TRANSFER | {"amount": -0.01}), "transaction.amount"),
    "amount 1e308": (asking(TRANSFER | {"amount": 1e308}), "transaction.amount"),
    "amount beyond a double": (with_literal("amount", "1e400"), "transaction.amount"),
    "amount of 400 digits": (with_literal("amount", "9" * 400), "transaction.amount"),
    "balance -1e308": (asking(TRANSFER | {"oldbalanceOrg": -1e308}), "transaction.oldbalanceOrg"),
    "step negative": (asking(TRANSFER | {"step": -1}), "transaction.step"),
    "step with a fraction": (asking(TRANSFER | {"step": 1.5}), "transaction.step"),
    "step beyond 64 bits": (with_literal("step", "9" * 30), "transaction.step"),
    "type is a number": (asking(TRANSFER | {"type": 4}), "transaction.type"),
    "type is long": (asking(TRANSFER | {"type": "T" * 33}), "transaction.type"),
    "type with NUL": (asking(TRANSFER | {"type": "TRANSFER\x00"}), "transaction.type"),
    "id is a number": (asking(TRANSFER | {"transaction_id": 123}), "transaction.transaction_id"),
    "id is long": (asking(TRANSFER | {"transaction_id": "x" * 129}), "transaction.transaction_id"),
    "id with NUL": (asking(TRANSFER | {"transaction_id": "a\x00b"}), "transaction.transaction_id"),
    "id with newline": (asking(TRANSFER | {"transaction_id": "a\nb"}), "transaction.transaction_id"),
    "name of spaces": (asking(TRANSFER | {"nameOrig": "\u3000 "}), "transaction.nameOrig"),
    "name with next line": (asking(TRANSFER | {"nameOrig": "C1\x852"}), "transaction.nameOrig"),
    "name with NUL": (asking(TRANSFER | {"nameDest": "\x00"}), "transaction.nameDest"),
}


def said(answer: Any) -> tuple[int, str, str | None]:
    told = answer.json()
    return answer.status_code, told["code"], told["param"]


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_no_json(alice: Api, nothing_happened: Nothing, body: bytes) -> None:
    assert said(alice.post("/v1/decisions", body)) == (400, "body_malformed", None)
    assert nothing_happened(alice)


@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT.keys())
def test_json_but_no_object(alice: Api, nothing_happened: Nothing, body: bytes) -> None:
    answer = alice.post("/v1/decisions", body)
    assert said(answer) == (422, "field_invalid", None)
    assert "object" in answer.json()["detail"]
    assert nothing_happened(alice)


@pytest.mark.parametrize(("body", "field"), WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
def test_the_wrong_field_is_named(alice: Api, nothing_happened: Nothing, body: Any, field: str) -> None:
    assert said(alice.post("/v1/decisions", body)) == (422, "field_invalid", field)
    assert nothing_happened(alice)


@pytest.mark.parametrize("schema", ["", "PAYSIM", "ieee", "x" * 5_000, "\x00", "../paysim"])
def test_unknown_schema_names_those_there_are(alice: Api, nothing_happened: Nothing, schema: str) -> None:
    answer = alice.post("/v1/decisions", {"schema": schema, "transaction": TRANSFER})
    assert said(answer) == (422, "schema_unknown", "schema")
    assert "Schemas: paysim" in answer.json()["detail"]
    assert nothing_happened(alice)


@pytest.mark.parametrize("model", ["resnet", "xgboost@1999.1.1", "@", "../xgboost", "ensemble@1"])
def test_unknown_model_names_those_there_are(alice: Api, nothing_happened: Nothing, model: str) -> None:
    answer = alice.post("/v1/decisions", asking(model=model))
    assert said(answer) == (422, "model_unknown", "model")
    assert "xgboost" in answer.json()["detail"]
    assert nothing_happened(alice)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_other_content_types(alice: Api, nothing_happened: Nothing, kind: str) -> None:
    answer = alice.post("/v1/decisions", HONEST, content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_unsupported")
    assert nothing_happened(alice)


def test_json_with_a_charset_is_json(alice: Api) -> None:
    assert alice.post("/v1/decisions", HONEST, content_type="application/json; charset=utf-8").status_code == 200


def test_over_a_megabyte(alice: Api, nothing_happened: Nothing) -> None:
    answer = alice.post("/v1/decisions", json.dumps(asking(TRANSFER | {"more": "x" * 2**20})).encode())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert nothing_happened(alice)


def test_just_under_a_megabyte(alice: Api) -> None:
    room = 2**20 - len(json.dumps(asking(TRANSFER | {"more": ""})))
    answer = alice.post("/v1/decisions", json.dumps(asking(TRANSFER | {"more": "x" * room})).encode())
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["Unknown fields were ignored: more."]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/usage", "/predict"])
def test_other_methods(alice: Api, method: str, path: str) -> None:
    answer = alice.call(method, path, b"{}")
    assert answer.status_code == 405
    assert ("POST" in answer["Allow"]) == (path != "/v1/usage")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=-1", "limit"), ("limit=ten", "limit"),
        ("limit=1e1", "limit"), ("limit=", "limit"), ("limit=%D9%A3", "limit"), ("schema=nope", "schema"),
        ("status=duplicate", "status"), ("risk_level=LOW", "risk_level"),
        ("recommended_action=x", "recommended_action"),
        ("created_after=yesterday", "created_after"), ("created_before=2026-13-01T00:00:00Z", "created_before"),
        ("created_after=2026-02-30", "created_after"), ("created_after=0001-01-01T00:00:00%2B12:00", "created_after"),
        ("created_before=9999-12-31T23:59:59-12:00", "created_before"), ("transaction_id=", "transaction_id"),
        ("transaction_id=%00", "transaction_id"), ("transaction_id=" + "x" * 129, "transaction_id"), ("page=2", "page"),
    ],
)  # fmt: skip
def test_filters_say_what_they_take(alice: Api, query: str, param: str) -> None:
    assert said(alice.get(f"/v1/decisions?{query}")) == (422, "field_invalid", param)


def cursor_of(*parts: str) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_times_of_any_offset_are_understood(alice: Api) -> None:
    """Python knows offsets up to 24 hours, Postgres up to 16."""
    assert alice.get("/v1/decisions?created_before=2026-01-01T00:00:00-18:09").status_code == 200
    assert alice.get(f"/v1/decisions?cursor={cursor_of('2026-01-01T00:00:00-18:09', 'dec_1')}").status_code == 200


NOT_OURS = [
    *("x", "%00", "bnVsbA", "WyIyMDI2IiwgImEiXQ", "W10", "=", "%ED%A0%80", "WyJhIiwiYiJd"),
    cursor_of("0001-01-01T00:00:00+12:00", "dec_1"),
    cursor_of("2026-01-01T00:00:00", "dec_1"),
    cursor_of("2026-01-01T00:00:00Z", "a\x00b"),
    cursor_of("2026-01-01T00:00:00Z", "b", "c"),
]


@pytest.mark.parametrize("cursor", NOT_OURS)
def test_cursors_that_are_none_of_ours(alice: Api, cursor: str) -> None:
    assert said(alice.get(f"/v1/decisions?cursor={cursor}")) == (400, "cursor_invalid", "cursor")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("start=x", "start"), ("end=2026-02-30", "end"), ("start=2026-02-02&end=2026-02-02", "start"),
        ("start=2026-02-02&end=2026-02-01", "start"), ("start=2020-01-01&end=2026-01-01", "start"),
        ("start=0001-01-01&end=9999-12-31", "start"), ("end=%00", "end"),
    ],
)  # fmt: skip
def test_days_say_what_they_take(alice: Api, query: str, param: str) -> None:
    assert said(alice.get(f"/v1/usage/daily?{query}")) == (422, "field_invalid", param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"schema": "paysim"}, "transactions"),
        ({"schema": "paysim", "transactions": []}, "transactions"),
        ({"schema": "paysim", "transactions": [TRANSFER] * 1_001}, "transactions"),
        ({"schema": "paysim", "transactions": TRANSFER}, "transactions"),
        ({"transactions": [TRANSFER]}, "schema"),
    ],
)
def test_batches_that_are_none(alice: Api, nothing_happened: Nothing, body: Any, param: str) -> None:
    assert said(alice.post("/v1/decisions/batch", body)) == (422, "field_invalid", param)
    assert nothing_happened(alice)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"transaction": {}}', 422), (b'{"payload": []}', 400),
        (b'{"payload": {}}', 400), (b'{"payload": null}', 400), (b'{"payload": {"type": 1}}', 400),
    ],
)  # fmt: skip
def test_hybrid_bodies_are_refused_in_its_own_form(
    alice: Api, nothing_happened: Nothing, body: bytes, status: int
) -> None:
    answer = alice.post("/predict", body)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert {"detail"} <= answer.json().keys() <= {"detail", "errors"}
    assert nothing_happened(alice)


def test_hybrid_body_that_fits_no_shape_is_told_all_three(alice: Api) -> None:
    told = alice.post("/predict", {"transaction": TRANSFER}).json()["detail"]
    assert all(word in told for word in ("transaction_data", "payload", "merchant_id"))
