"""The answers shown in the README and in the description are what such requests are answered: fields, words, action.

Figures and versions move with every training and are not held.
"""

import json
import re
from typing import Any

import pytest

from apps.api.openapi import examples
from config.local.embedded import CHECKOUT
from tests.cast import Api

README = (CHECKOUT / "README.md").read_text()
#: What is the same each time such a request is sent.
HELD = ("status", "risk_level", "recommended_action", "fraud_type", "degraded", "warnings", "billed_units")


def of_readme() -> tuple[dict[str, Any], dict[str, Any]]:
    """The request and the answer that stand first in the README; "…" stands for what is left out."""
    (found,) = re.findall(r"curl .*?-d '\n(.*?)'\n(.*?)```", README, re.DOTALL)[:1]
    request, answer = (json.loads(re.sub(r",\s*…", "", part)) for part in found)
    return request, answer


SAMPLES = {
    "README": of_readme(),
    "description": (examples.DECISION["drained"]["value"], examples.DECIDED["drained"]["value"]),
}


@pytest.mark.parametrize(("request_", "sample"), SAMPLES.values(), ids=SAMPLES)
def test_a_sample_is_what_is_answered(alice: Api, request_: dict[str, Any], sample: dict[str, Any]) -> None:
    answer = alice.post("/v1/decisions", request_).json()
    assert sample.keys() <= answer.keys()
    assert [name for name in HELD if name in sample and sample[name] != answer[name]] == []
    assert sample["decisive"]["kind"] == answer["decisive"]["kind"]
    assert [rule for rule in sample["rules"] if rule not in answer["rules"]] == []
    assert sample["model"].keys() <= answer["model"].keys()
    told = {reason["code"]: reason for reason in answer["reasons"]}
    for reason in sample["reasons"]:
        assert reason | {"contribution": 0} == {
            name: value for name, value in told[reason["code"]].items() if name in reason
        } | {"contribution": 0}


def test_the_description_shows_whole_answers(alice: Api) -> None:
    request, sample = SAMPLES["description"]
    assert sample.keys() == alice.post("/v1/decisions", request).json().keys()
