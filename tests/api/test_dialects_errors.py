"""Refusals of the older interfaces: {"detail": …} and the wrong fields, with the right status."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.api_keys import keys
from apps.api_keys.services import get_gate, revoke_key
from tests.api.bodies import TRANSFER, asking
from tests.api.dialects import ALL, BATCHES, COMMERCIAL, DETECT, ENTERPRISE, Request
from tests.cast import Api, Cast, new_key

Nothing = Callable[[Api], bool]
each = pytest.mark.parametrize("asked", ALL.values(), ids=ALL.keys())
each_batch = pytest.mark.parametrize("asked", BATCHES.values(), ids=BATCHES.keys())


def refused(answer: Any) -> int:
    """The status of a refusal in the dialects' form."""
    assert answer["Content-Type"] == "application/json"
    assert {"detail"} <= answer.json().keys() <= {"detail", "errors"}
    assert answer.json()["detail"]
    return int(answer.status_code)


@each
def test_who_may_not_is_told_so(cast: Cast, alice: Api, asked: Request) -> None:
    revoked, text = new_key(cast.alice.tenant)
    revoke_key(key=revoked, gate=get_gate(), now=timezone.now())
    _, reader = new_key(cast.alice.tenant, scopes=("read",))
    _, elsewhere = new_key(cast.alice.tenant, networks=["203.0.113.0/24"])
    unknown = keys.generate(cast.alice.tenant.handle, livemode=True)
    statuses = [refused(Api(key=key).post(asked.path, asked.body)) for key in (text, unknown, "x", reader, elsewhere)]
    assert statuses == [401, 401, 401, 403, 403]
    answer = Api().post(asked.path, asked.body)
    assert (refused(answer), answer["WWW-Authenticate"]) == (401, 'Bearer realm="palisade"')


@each
def test_too_much_is_told_so(cast: Cast, use_up: Callable[[Api], None], bob: Api, asked: Request) -> None:
    slow = Api(cast.alice, new_key(cast.alice.tenant, rate_per_minute=1)[1])
    slow.post(asked.path, asked.body)
    answer = slow.post(asked.path, asked.body)
    assert (refused(answer), answer["X-RateLimit-Remaining"]) == (429, "0")
    assert int(answer["Retry-After"]) >= 1
    bob.get("/v1/usage")
    use_up(bob)
    assert refused(bob.post(asked.path, asked.body)) == 429


@each
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"\xff", 400), (b'{"a":' * 90_000, 400), (b"[]", 422), (b"{}", 422), (b"1", 422)],
)
def test_bodies_that_are_none(alice: Api, nothing_happened: Nothing, asked: Request, body: bytes, status: int) -> None:
    assert refused(alice.post(asked.path, body)) == status
    assert nothing_happened(alice)


@each
def test_other_forms_and_sizes(alice: Api, asked: Request) -> None:
    assert refused(alice.post(asked.path, asked.body, content_type="text/csv")) == 415
    limit = 25 if asked in BATCHES.values() else 1
    assert refused(alice.post(asked.path, b" " * (limit * 2**20 + 1))) == 413
    assert refused(alice.call("PUT", asked.path, b"{}")) == 405
    assert refused(alice.post(asked.path, asked.body, idempotency_key="")) == 400


@each_batch
@pytest.mark.parametrize("rows", [[], {}, None, "x", 1, [[]], [None], [1], "many"])
def test_lists_that_are_none(alice: Api, nothing_happened: Nothing, asked: Request, rows: Any) -> None:
    many = asked.body["transactions"][:1] * 1_001 if rows == "many" else rows
    assert refused(alice.post(asked.path, {"transactions": many})) == 422
    assert nothing_happened(alice)


@each_batch
def test_a_wrong_row_refuses_all_and_is_named(alice: Api, nothing_happened: Nothing, asked: Request) -> None:
    good = asked.body["transactions"][0]
    amount = "TransactionAmt" if "TransactionAmt" in good else "amount"
    answer = alice.post(asked.path, {"transactions": [good, good | {amount: -1}, good]})
    assert refused(answer) == 422
    assert answer.json()["detail"].startswith(f"transactions[1]: '{amount}' must be")
    assert nothing_happened(alice)


@pytest.mark.parametrize("body", [{}, {"transaction": TRANSFER}, TRANSFER, {"amount": 100.0}, asking()])
def test_a_body_of_no_shape_is_told_the_three(alice: Api, body: Any) -> None:
    answer = alice.post("/predict", body)
    assert refused(answer) == 422
    assert all(word in answer.json()["detail"] for word in ("transaction_data", "payload", "merchant_id"))


@pytest.mark.parametrize("field", ["amount", "user_id", "merchant_id"])
def test_enterprise_names_what_is_missing(alice: Api, field: str) -> None:
    body = {name: value for name, value in ENTERPRISE.body.items() if name != field}
    answer = alice.post("/predict", body)
    assert refused(answer) == 422
    assert answer.json()["detail"].startswith(f"'{field}' is missing")


@pytest.mark.parametrize(
    "data", [None, [], "x", 1, {}, {"TransactionAmt": 0}, {"TransactionAmt": -5}, {"TransactionAmt": "150"}]
)
def test_commercial_names_what_is_wrong(alice: Api, nothing_happened: Nothing, data: Any) -> None:
    answer = alice.post("/predict", {"transaction_data": data})
    assert refused(answer) == 422
    assert answer.json()["detail"].startswith("transaction_data: ")
    assert nothing_happened(alice)


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
@pytest.mark.parametrize(
    ("version", "status"),
    [("v2", 400), ("", 400), ("resnet", 400), ("xgboost@1", 400), (1, 422), ("x" * 81, 422)],
)
def test_commercial_refuses_unknown_versions(
    alice: Api, nothing_happened: Nothing, path: str, version: Any, status: int
) -> None:
    body = COMMERCIAL.body if path == "/predict" else {"transactions": [{"TransactionAmt": 5.0}]}
    answer = alice.post(path, body | {"model_version": version})
    assert refused(answer) == status
    assert status != 400 or "xgboost" in answer.json()["detail"]
    assert nothing_happened(alice)


@pytest.mark.parametrize("model", ["invalid_model", "", "ensemble", "xgboost@1", "\x00", "%F0%28"])
def test_detect_refuses_unknown_models(alice: Api, nothing_happened: Nothing, model: str) -> None:
    answer = alice.post(f"/detect?model={model}", DETECT.body)
    assert refused(answer) == 400
    assert answer.json()["detail"].endswith("Available models: random_forest, logistic_regression, xgboost, lightgbm")
    assert nothing_happened(alice)


WRONG: dict[str, tuple[Any, str, str]] = {
    "null": (None, "none is not an allowed value", "type_error.none.not_allowed"),
    "text": ("150000", "value is not a valid float", "type_error.float"),
    "list": ([], "value is not a valid float", "type_error.float"),
    "negative": (-1, "'Transaction_Amount' must be a number", "value_error"),
}


@pytest.mark.parametrize(("value", "said", "kind"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("path", ["/detect", "/detect/ensemble"])
def test_detect_tells_a_wrong_field_in_its_form(alice: Api, path: str, value: Any, said: str, kind: str) -> None:
    (error,) = alice.post(path, DETECT.body | {"Transaction_Amount": value}).json()["detail"]
    assert (error["loc"], error["type"]) == (["body", "Transaction_Amount"], kind)
    assert error["msg"].startswith(said)


def test_detect_tells_every_wrong_field_at_once(alice: Api) -> None:
    body = DETECT.body | {"User_ID": "x", "Transaction_Location": 7, "Transaction_Hour": 24}
    del body["Merchant_ID"], body["Device_ID"]
    errors = alice.post("/detect", body).json()["detail"]
    assert [(error["loc"][1], error["type"]) for error in errors] == [
        ("User_ID", "type_error.integer"),
        ("Transaction_Location", "type_error.str"),
        ("Merchant_ID", "value_error.missing"),
        ("Device_ID", "value_error.missing"),
        ("Transaction_Hour", "value_error"),
    ]


def test_detect_takes_whole_numbers_as_pandas_writes_them(alice: Api) -> None:
    assert alice.post("/detect", DETECT.body | {"User_ID": 12345.0}).json()["User_ID"] == 12345


def test_native_refusals_never_look_like_a_dialects(alice: Api) -> None:
    told = alice.post("/v1/decisions", asking({})).json()
    assert told["code"] == "field_invalid"
    assert len(told) > 1
