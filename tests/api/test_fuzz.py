"""Hypothesis sends each schema and each older interface what nobody should: fields gone, null, in quotes, of the wrong
kind, out of every bound, in every script.

No answer is a 5xx, none holds NaN or Infinity, and a refusal has the members of its own interface and no other's.
"""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import dialects
from tests.api.test_problems import MEMBERS
from tests.cast import Api

#: Requests a target; all targets together stay below 25 s.
EXAMPLES = 100
DEEP = 3_000


class Target(NamedTuple):
    """An address, and its body around a transaction: `before` + the transaction as JSON + `after`."""

    path: str
    before: str
    transaction: dict[str, Any]
    after: str
    dialect: bool


def _native(schema: str, transaction: dict[str, Any], more: str = "") -> Target:
    return Target("/v1/decisions", f'{{"schema": "{schema}", "transaction": ', transaction, more + "}", dialect=False)


def _wrapped(asked: dialects.Request, wrapper: str) -> Target:
    return Target(asked.path, f'{{"{wrapper}": ', asked.body[wrapper], "}", dialect=True)


def _flat(asked: dialects.Request) -> Target:
    return Target(asked.path, "", asked.body, "", dialect=True)


def _listed(asked: dialects.Request) -> Target:
    good, *_ = asked.body["transactions"]
    return Target(asked.path, f'{{"transactions": [{json.dumps(good)}, ', good, "]}", dialect=True)


_PAYLOAD = dialects.HYBRID.body["payload"] | {"nameOrig": "C1", "nameDest": "C2", "transaction_id": "t"}
TARGETS = {
    "paysim": _native("paysim", _PAYLOAD),
    "ieee_cis": _native("ieee_cis", dialects.COMMERCIAL.body["transaction_data"] | {"TransactionDT": 86_400.0}),
    "payments": _native("payments", dialects.ENTERPRISE.body),
    "card_activity": _native("card_activity", dialects.DETECT.body),
    "ensemble": _native("payments", dialects.ENTERPRISE.body, ', "model": "ensemble"'),
    "commercial": _wrapped(dialects.COMMERCIAL, "transaction_data"),
    "commercial batch": _listed(dialects.COMMERCIAL_BATCH),
    "hybrid": _wrapped(dialects.HYBRID, "payload"),
    "enterprise": _flat(dialects.ENTERPRISE),
    "enterprise batch": _listed(dialects.ENTERPRISE_BATCH),
    "gateway": _listed(dialects.GATEWAY),
    "detect": _flat(dialects.DETECT),
    "detect ensemble": _flat(dialects.ENSEMBLE),
}

#: Values as they stand in a body; some of them json.dumps would never write.
HOSTILE = [
    *("null", "true", "false", "[]", "{}", '""', '" "', "0", "-0.0", "-1", "0.5", "1e308", "-1e308", "5e-324", "1e400"),
    *("-1e400", "NaN", "Infinity", "-Infinity", "9" * 400, "9" * 30, str(2**53), str(2**63), str(-(2**63)), str(2**64)),
    *('"150000"', '"1e5"', '"NaN"', '"true"', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\u202e"'),
    *('"' + "x" * 5_000 + '"', '"2024-02-30T00:00:00Z"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"'),
    *('"🦊"', '"ÅÄÖ"', '"\\n"', "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "1970", '"1e999"'),
]
values = st.one_of(
    st.sampled_from(HOSTILE),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
    st.integers().map(json.dumps),
    st.text(max_size=40).map(json.dumps),
    st.text(st.characters(codec=None), max_size=10).map(lambda text: json.dumps(text, ensure_ascii=False)),
)


@st.composite
def bodies(draw: st.DrawFn, target: Target) -> bytes:
    """A transaction with up to four fields gone, changed or added, as the bytes of a body."""
    fields = {name: json.dumps(value) for name, value in target.transaction.items()}
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
        fields.pop(name, None)
    names = st.one_of(st.sampled_from(sorted(target.transaction)), st.text(max_size=8))
    fields |= draw(st.dictionaries(names, values, min_size=1, max_size=3))
    written = ", ".join(f"{json.dumps(name)}: {value}" for name, value in fields.items())
    return f"{target.before}{{{written}}}{target.after}".encode("utf-8", "surrogatepass")


def strict(content: bytes) -> Any:
    """JSON as the standard has it. Raises `ValueError` at NaN, Infinity or half of a surrogate pair."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    told = json.loads(content, parse_constant=refuse)
    json.dumps(told, ensure_ascii=False).encode()
    return told


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_whatever_is_sent_is_answered_in_the_interfaces_own_form(stranger: Api, target: Target) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(body=bodies(target))
    def answered(body: bytes) -> None:
        answer = stranger.post(target.path, body)
        told = strict(answer.content)
        assert answer.status_code in (200, 400, 422), (body[:500], answer.content)
        if answer.status_code == 200:
            assert not MEMBERS & set(told) - {"status", "type"}
        elif target.dialect:
            assert (answer["Content-Type"], set(told) - {"errors"}) == ("application/json", {"detail"})
        else:
            assert (answer["Content-Type"], set(told) - {"errors"}) == ("application/problem+json", MEMBERS)
        assert answer.status_code != 422 or "errors" in told or isinstance(told["detail"], list)

    answered()
