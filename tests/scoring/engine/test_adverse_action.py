"""Adverse-action notices: every reason has a sentence, and no sentence has a field, a feature or a figure in it."""

import re

import pytest

from apps.scoring.engine.adverse_action import FAMILIES, IN_ALL, MOST_SENTENCES, OWN_RULE, SENTENCES, notice, sentence
from apps.scoring.engine.explain import NOTHING_UNUSUAL, Reason
from apps.scoring.engine.schemas import SCHEMAS

OF_THE_UNKNOWN = ("NOT_SENT", "NO_HISTORY")
CODES = sorted(
    {feature.code for schema in SCHEMAS.values() for feature in schema.features}
    | {rule.reason_code for schema in SCHEMAS.values() for rule in schema.rules}
    | set(OF_THE_UNKNOWN)
)
SAID = [*SENTENCES.values(), *FAMILIES.values(), OWN_RULE, IN_ALL]


def reason(code: str, contribution: float | None = 1.0) -> Reason:
    direction = "down" if contribution is not None and contribution < 0 else "up"
    return Reason(code, "amount", None, contribution, direction, "For whoever knows fields.")  # type: ignore[arg-type]


@pytest.mark.parametrize("code", CODES)
def test_every_reason_of_every_schema_has_a_sentence(code: str) -> None:
    assert sentence(code)


def test_no_sentence_is_of_a_reason_that_nobody_gives() -> None:
    assert set(SENTENCES) - set(CODES) == set()
    assert [begins for begins in FAMILIES if not any(code.startswith(begins) for code in CODES)] == []


@pytest.mark.parametrize("said", sorted(set(SAID)))
def test_a_sentence_speaks_to_the_customer_and_names_no_field_and_no_figure(said: str) -> None:
    names = {name for schema in SCHEMAS.values() for name in (*schema.fields, *schema.feature_names)}
    told = {name for name in names if ("_" in name or name[1:] != name[1:].lower()) and name in said}
    assert told == set()
    assert not re.search(r"[{}_]|score|feature|model|probability|user\b", said)
    assert said[0].isupper() and said.endswith(".") and len(said) <= 120


def test_the_weightiest_come_first_each_once_and_no_more_than_four() -> None:
    said = notice([reason("PREVIOUS_COUNT"), reason("KNOWN_USER"), *map(reason, ("ABROAD", "PACE", "CHIP", "PIN"))])
    assert len(said) == MOST_SENTENCES == len(set(said))
    assert said[0] == SENTENCES["KNOWN_USER"]


def test_what_lowered_the_risk_is_no_reason_and_without_any_it_is_all_together() -> None:
    assert notice([reason("AMOUNT", -1.0), NOTHING_UNUSUAL]) == (IN_ALL,)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("DRAINED_ACCOUNT", SENTENCES["DRAINED_ACCOUNT"]),
        ("OUR_SECRET_LIST", OWN_RULE),
        ("ID_THIEVES_OF_MAY", OWN_RULE),  # begins as a family of ours does
    ],
)
def test_a_rule_of_the_tenants_own_keeps_its_words_to_itself(code: str, said: str) -> None:
    assert notice([reason(code, None)]) == (said,)
