"""What is wrong with a body is told in our words, at every door; what the decoder says is not passed on."""

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from apps.decoding import decode
from apps.errors import MOST_TOLD, Problem
from tests.api.bodies import TRANSFER
from tests.cast import Api


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A struct in a struct."""

    size: int


class Every(msgspec.Struct, forbid_unknown_fields=True):
    """One field of each kind that can be refused."""

    plan: Literal["free", "basic"]
    cap: Annotated[str, Meta(pattern="^[0-9]+$", extra={"needs": 'a decimal string such as "31.00"'})] | None = None
    code: Annotated[str, Meta(pattern="^x$")] = "x"
    rows: Annotated[list[Literal["a", "b"]], Meta(min_length=1, max_length=1_000)] | None = None
    some: Annotated[list[Any], Meta(min_length=2)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=3)] = "n"
    hours: Annotated[int, Meta(ge=0, le=168)] = 1
    share: Annotated[float, Meta(gt=0, lt=0.5)] = 0.1
    always: Literal[True] = True
    flag: bool = True
    free: dict[str, Any] = {}
    inner: Inner | None = None


class Texts(msgspec.Struct):
    """Texts of any kind."""

    a: str
    b: str


#: One of each kind of message: body, param, detail.
KINDS: list[tuple[str, str, str]] = [
    ("{}", "plan", "'plan' is missing."),
    ('{"plan": "gold"}', "plan", "'plan' takes one of free, basic; not 'gold'."),
    ('{"plan": 3}', "plan", "'plan' takes text, not a whole number."),
    ('{"cap": "1e9"}', "cap", "'cap' takes a decimal string such as \"31.00\"."),
    ('{"cap": 5}', "cap", "'cap' takes text or null, not a whole number."),
    ('{"code": "y"}', "code", "'code' takes text of another form."),
    ('{"rows": []}', "rows", "'rows' takes at least 1 item."),
    (json.dumps({"rows": ["a"] * 1_001}), "rows", "'rows' takes at most 1,000 items."),
    ('{"rows": ["a", "c"]}', "rows[1]", "'rows[1]' takes one of a, b; not 'c'."),
    ('{"rows": {}}', "rows", "'rows' takes a list or null, not a JSON object."),
    ('{"some": [1]}', "some", "'some' takes at least 2 items."),
    ('{"name": ""}', "name", "'name' takes at least 1 character."),
    ('{"name": "long"}', "name", "'name' takes at most 3 characters."),
    ('{"hours": 169}', "hours", "'hours' takes at most 168."),
    ('{"hours": -1}', "hours", "'hours' takes at least 0."),
    ('{"hours": 1.5}', "hours", "'hours' takes a whole number, not a number."),
    (json.dumps({"hours": 10**30}), "hours", "'hours' takes at most 168."),
    ('{"share": 0}', "share", "'share' takes more than 0."),
    ('{"share": 0.5}', "share", "'share' takes less than 0.5."),
    ('{"always": false}', "always", "'always' takes true; not false."),
    ('{"flag": "yes"}', "flag", "'flag' takes true or false, not text."),
    ('{"flag": null}', "flag", "'flag' takes true or false, not null."),
    ('{"inner": {}}', "inner.size", "'inner.size' is missing."),
    ('{"inner": {"width": 1}}', "inner.width", "There is no field 'width' here."),
    ('{"flagg": true}', "flagg", "There is no field 'flagg' here: did you mean 'flag'?"),
    ("[]", "", "The body takes a JSON object, not a list."),
    ('{"share": 1e400}', "share", "The number is too large for a double."),
    ('{"free": {"a": {"b": [1, 1e400]}}}', "free.a.b[1]", "The number is too large for a double."),
    ('{"free": {"a": -1e400}}', "free.a", "The number is too large for a double."),
]
MALFORMED = [
    (b"", "The body is empty."),
    (b'{"plan"', "The body ends in the middle of its JSON."),
    (b'{"plan": "\xe9"}', "The body is not UTF-8."),
    ('{"plan": "free"}'.encode("utf-16"), "The body is not UTF-8."),
    (b'{"plan": NaN}', "JSON is malformed: invalid character (byte 9)."),
    (b'{"free": {"a": ' + b"[" * 100_000, "The body is nested too deeply."),
]


@pytest.mark.parametrize(("body", "param", "detail"), KINDS, ids=[body[:40] for body, _, _ in KINDS])
def test_each_message_is_told_in_our_words(body: str, param: str, detail: str) -> None:
    with pytest.raises(Problem) as refused:
        decode(body.encode(), Every)
    assert (refused.value.code, refused.value.param, refused.value.detail) == ("field_invalid", param, detail)


def test_all_wrong_fields_are_told_at_once_in_their_order() -> None:
    body = {"cap": 5, "rows": ["a", "c", "d"], "hours": 200, "inner": {"size": "1", "width": 1}, "name": "\u0007"}
    with pytest.raises(Problem) as refused:
        decode(json.dumps(body).encode(), Every)
    wanted = ["cap", "rows[1]", "rows[2]", "hours", "inner.size", "inner.width", "name", "plan"]
    assert [wrong.param for wrong in refused.value.errors] == wanted
    assert refused.value.errors[0] == (refused.value.param, refused.value.detail)


def test_texts_that_no_store_can_hold_are_told_at_once() -> None:
    with pytest.raises(Problem) as refused:
        decode(b'{"size": 1, "a": "\\u0000", "b": "x\\u0007"}', Texts)
    assert [wrong.param for wrong in refused.value.errors] == ["a", "b"]


def test_no_more_are_told_than_a_reader_reads() -> None:
    with pytest.raises(Problem) as refused:
        decode(json.dumps({"plan": "free", "rows": ["c"] * 1_000}).encode(), Every)
    assert len(refused.value.errors) == MOST_TOLD


def test_what_is_no_json_behind_a_wrong_field_is_refused_as_such() -> None:
    for body in (b'{"plan": 3, "cap": NaN}', b'{"plan": 3, "cap"', b'{"plan": 3, "free": ' + b"[" * 100_000):
        with pytest.raises(Problem) as refused:
            decode(body, Every)
        assert refused.value.code == "body_malformed"


@pytest.mark.parametrize(("body", "detail"), MALFORMED, ids=[detail for _, detail in MALFORMED])
def test_what_is_no_json_says_why(body: bytes, detail: str) -> None:
    with pytest.raises(Problem) as refused:
        decode(body, Every)
    assert (refused.value.code, refused.value.detail) == ("body_malformed", detail)


def test_a_key_that_is_half_a_character_breaks_nothing() -> None:
    with pytest.raises(Problem) as refused:
        decode(b'{"free": {"x": 1e400}, "free": {"\\ud800": 1e400}}', Every)
    assert refused.value.param.encode()


@pytest.mark.parametrize(
    ("path", "body", "param", "detail"),
    [
        ("/v1/subscription", {"plan": "gold"}, "plan", "one of free, basic, professional, enterprise; not 'gold'."),
        ("/v1/budgets", {"spend_cap": "1e9"}, "spend_cap", 'takes a decimal string such as "31.00", with at most'),
        ("/v1/budgets", {"thresholds": [80] * 11}, "thresholds", "takes at most 10 items."),
        ("/v1/credits", {"coupon": ""}, "coupon", "takes a code of 1 to 60 letters, digits and signs."),
        ("/v1/decisions/batch", {"schema": "paysim", "transactions": []}, "transactions", "takes at least 1 item."),
        (
            "/v1/decisions/batch",
            {"schema": "paysim", "transactions": [TRANSFER] * 1_001},
            "transactions",
            "takes at most 1,000 items.",
        ),
        ("/v1/auth/token", {"expires_in": 3_601}, "expires_in", "takes at most 3,600."),
        ("/v1/webhooks", {"url": "https://a.example/", "events": ["no"]}, "events[0]", "takes one of "),
    ],
)
def test_every_door_says_it(alice: Api, path: str, body: Any, param: str, detail: str) -> None:
    answer = alice.post(path, body)
    told = answer.json()
    assert (answer.status_code, told["param"]) == (422, param)
    assert detail in told["detail"]
    assert "Expected" not in told["detail"] and "Invalid" not in told["detail"]


def test_a_number_beyond_a_double_is_named_in_its_row(alice: Api) -> None:
    rows = json.dumps([TRANSFER, TRANSFER | {"amount": 0}]).replace('"amount": 0', '"amount": 1e400')
    answer = alice.post("/v1/decisions/batch", b'{"schema": "paysim", "transactions": %s}' % rows.encode())
    assert (answer.status_code, answer.json()["param"]) == (422, "transactions[1].amount")
