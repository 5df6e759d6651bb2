"""Two JSON members of one name are refused, wherever they stand, and nothing else is."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.decoding import check_members, decode
from apps.errors import Problem
from apps.scoring.serving.decision_requests import BatchRequest, DecisionRequest, understood


class Body(msgspec.Struct):
    name: str
    more: dict[str, Any] = {}


DOUBLES = [
    (DecisionRequest, '{"schema": "paysim", "transaction": {"amount": 1, "amount": 1}}', "amount"),
    (DecisionRequest, '{"schema": "paysim", "schema": "paysim", "transaction": {"amount": 1}}', "schema"),
    (DecisionRequest, '{"schema": "paysim", "model": null, "model": null, "transaction": {"amount": 1}}', "model"),
    (DecisionRequest, '{"schema": "paysim", "transaction": {"amount": 1, "x": {"y": 1, "y": 2}}}', "y"),
    (DecisionRequest, '{"schema": "paysim", "transaction": {"t": "10:00", "t": "\\u003a"}}', "t"),
    (DecisionRequest, '{"schema": "paysim", "transaction": {"a\\u0062": 1, "ab": 2}}', "ab"),
    *(
        (DecisionRequest, f'{{"schema": "paysim", "transaction": {{"t": "10:00", "b"{space}: 1, "b": 2}}}}', "b")
        for space in (" ", "\t", "\n", "\r", "  ")
    ),
    (DecisionRequest, '{"schema": "paysim", "transaction": {"t": "\\":", "b" : 1, "b" : 2}}', "b"),
    (BatchRequest, '{"schema": "paysim", "transactions": [{"amount": 1}, {"amount": 1, "amount": 1}]}', "amount"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "named"), DOUBLES)
def test_a_member_that_stands_twice_is_refused_and_named(kind: Any, body: str, named: str) -> None:
    with pytest.raises(Problem) as refused:
        understood(body.encode(), kind)
    assert (refused.value.code, refused.value.param) == ("field_invalid", named)
    assert f"'{named}' stands twice" in refused.value.detail


def test_bodies_of_other_endpoints_too() -> None:
    with pytest.raises(Problem, match="stands twice"):
        decode(b'{"name": "a", "name": "b"}', Body)
    assert decode(b'{"name": "a: b", "more": {"c": ["d:e"]}}', Body).name == "a: b"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(':\\"u003ab ', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(':\\"ab', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(':\\"ab', max_size=3), _JSON, max_size=4),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.sampled_from([":", ": ", " :", "\t:", "\n:", "\r:"]),
)
def test_sound_bodies_pass_however_they_are_written(
    said: dict[str, Any], ascii: bool, indent: int | None, colon: str
) -> None:
    body = json.dumps(said, ensure_ascii=ascii, indent=indent, separators=(", ", colon)).encode()
    check_members(body, msgspec.json.decode(body))
    if said:
        name = json.dumps(next(iter(said)))
        doubled = body.rstrip()[:-1] + f", {name}: 0}}".encode()
        with pytest.raises(Problem):
            check_members(doubled, msgspec.json.decode(doubled))


@pytest.mark.parametrize("depth", range(850, 1_050, 20))
def test_a_body_nested_deeply_is_taken_or_refused_and_no_fault_of_ours(depth: int) -> None:
    deep = b'{"schema": "paysim", "transaction": {"x": ' + b'{"y": ' * depth + b"1" + b"}" * (depth + 2)
    try:
        understood(deep, DecisionRequest)
    except Problem as refused:
        assert refused.detail == "The body is nested too deeply."


def test_a_number_too_large_where_nothing_reads_it_is_no_double() -> None:
    assert decode(b'{"name": "a", "unread": 1e999}', Body).name == "a"
    with pytest.raises(Problem, match="stands twice"):
        decode(b'{"name": "a", "unread": 1e999, "unread": 1}', Body)
