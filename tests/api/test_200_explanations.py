"""200: why. Contributions sum to the score, the drawing is a drawing, before and after the decision is recorded."""

import math
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from tests.api.bodies import DRAINED, TRANSFER, VANISHED, asking
from tests.cast import Api


@pytest.mark.parametrize("transaction", [TRANSFER, DRAINED, VANISHED, TRANSFER | {"type": "GIFT"}])
@pytest.mark.parametrize("recorded", [False, True])
def test_contributions_sum_to_the_log_odds(
    alice: Api, drain: Callable[[], int], transaction: dict[str, object], recorded: bool
) -> None:
    decision = alice.post("/v1/decisions", asking(transaction)).json()
    if recorded:
        drain()
    told = alice.get(f"/v1/decisions/{decision['id']}/explanation").json()
    total = told["base_value"] + sum(item["contribution"] for item in told["contributions"])
    assert total == pytest.approx(told["log_odds"], abs=1e-5)
    assert 1 / (1 + math.exp(-told["log_odds"])) == pytest.approx(decision["fraud_probability"], abs=1e-5)
    sizes = [abs(item["contribution"]) for item in told["contributions"]]
    assert sizes == sorted(sizes, reverse=True)


def test_reasons_are_the_largest_contributions(alice: Api) -> None:
    decision = alice.post("/v1/decisions", asking(DRAINED)).json()
    told = alice.get(f"/v1/decisions/{decision['id']}/explanation").json()["contributions"]
    assert [reason["code"] for reason in decision["reasons"]] == [
        item["code"] for item in told[: len(decision["reasons"])]
    ]


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_waterfall_is_well_formed(alice: Api, slash: str) -> None:
    named = DRAINED | {"transaction_id": "<a&b>\"'"}
    decision = alice.post("/v1/decisions", asking(named)).json()
    answer = alice.get(f"/v1/decisions/{decision['id']}/explanation.svg{slash}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    drawing = ElementTree.fromstring(answer.content)  # noqa: S314 - our own
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    title = drawing[0].text or ""
    assert decision["id"] in title
    probability = f"{decision['fraud_probability']:.1%}"[:4]
    assert title.startswith(f"Fraud {probability}") and "critical: block" in title and "Amount 180,000" in title
    assert int(drawing.get("width", "0")) <= 375  # readable on a telephone


@pytest.mark.parametrize("kind", ["explanation", "explanation.svg"])
def test_a_decision_nobody_made_has_none(alice: Api, kind: str) -> None:
    assert alice.get(f"/v1/decisions/dec_nothing/{kind}").status_code == 404
