"""A row of a block and the same row alone: the same decision, to the bits."""

import gc
import weakref
from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from apps.scoring.engine import made_on
from apps.scoring.engine.asking import ENSEMBLE
from apps.scoring.engine.block import block_of
from apps.scoring.engine.block_pasts import past_columns
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine, UnknownModel
from apps.scoring.engine.models import load_active
from apps.scoring.engine.rules import Condition, Rule
from apps.scoring.engine.schemas import SCHEMAS
from tests.scoring.engine import generated
from tests.scoring.engine.conftest import ARTIFACTS

ROWS = 120


def rule(outcome: str, *conditions: tuple, number: int = 0) -> Rule:
    return Rule(f"own_{outcome}_{number}", outcome, tuple(Condition(*one) for one in conditions))


#: Of every comparison, on numbers, texts and times; some can't be evaluated, and some only on rows others leave.
def rules_of(name: str) -> tuple[Rule, ...]:
    schema = SCHEMAS[name]
    text = next(field for field in schema.fields if field in schema.known_values)
    amount, word = schema.amount_field, schema.known_values[text].values[0]
    rules = [
        rule("allow", (amount, "in", (99.99, 100.0)), (text, "ne", "x")),
        rule("review", (amount, "not_in", (0.0, 2_500.0)), (text, "in", (word, "x"))),
        rule("challenge", (amount, "gt", 19_999.0)),
        rule("fatal_block", (text, "eq", word), (amount, "le", 1.5)),
        rule("block", (amount, "gt", "a text")),
        rule("note", (text, "ge", "m"), (amount, "ne", None, schema.feature_names[-1])),
        rule("review", (amount, "lt", 100.0), (text, "lt", 5.0), number=1),
        rule("review", ("gone", "lt", 100.0), number=2),
        rule("block", (amount, "eq", True), number=1),
        rule("note", (text, "ne", None, "home_country"), number=1),
    ]
    rules += [Rule(f"when_{number}", "review", when=when, **more) for number, (when, more) in enumerate(whens(schema))]
    if schema.moment:
        rules += [
            rule("review", (schema.moment, "gt", "2026-02-01T00:00:00Z"), number=3),
            rule("note", (schema.moment, "lt", "no time"), number=2),
        ]
    return tuple(rules)


def whens(schema) -> list[tuple[str, dict]]:
    """As texts: live, shadows, for a share of the parties; on what is counted, on lists, on what there is not."""
    text = next(field for field in schema.fields if field in schema.known_values)
    amount, word = schema.amount_field, schema.known_values[text].values[0]
    found: list[tuple[str, dict]] = [
        (f'{amount} > 50 && !({text} == "{word}")', {"share": 40}),
        (f"{amount} % 100 == 0 || {text} == null", {"state": "shadow"}),
        (f"{amount} / ({amount} - 99.99) > 1 ? {text} != home_country : {text} in lists.words", {}),
        (f"!({text} in lists.words) && size({text}) > 1", {"state": "shadow"}),
        (f'{text}.contains("a") || {text} in lists.unknown', {}),
        (f"{schema.feature_names[-1]} != {amount} && gone > 5", {"state": "shadow"}),
        (f"{amount} > 0", {"state": "draft"}),
    ]
    if schema.roles:
        found.append(
            (f"{schema.roles[0].name}.count_24h >= 2 || !({schema.roles[0].name}.sum_1h < 100)", {"share": 70})
        )
    return found


POLICIES = {
    "the default": lambda name: Policy(),
    "own rules": lambda name: Policy(version=2, medium=0.01, high=0.05, critical=0.2, review_at=0.02, block_at=0.1,
                                     rules=rules_of(name), home_country="Uzbekistan"),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine({name: load_active(ARTIFACTS, name) for name in SCHEMAS})


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_each_row_of_a_block_is_decided_as_alone(engine, name, policy):
    schema, random, rules = SCHEMAS[name], Random(f"{name} {policy}"), POLICIES[policy](name)
    rows = generated.parsed(schema, ROWS, random)
    pasts = [generated.pasts(schema, random) for _ in rows]
    block, columns = block_of(schema, rows), past_columns(schema, pasts)
    checks = [check for check in rules.list_checks if check.list == "words"]
    listed = np.array([random.random() < 0.5 for _ in rows])
    for model in (*engine.models[name], ENSEMBLE):
        decided = engine.decide_block(block, columns, rules, model, "all", dict.fromkeys(checks, listed))
        for index, (one, past) in enumerate(zip(rows, pasts, strict=True)):
            known = {check: bool(listed[index]) for check in checks}
            alone, row = engine.decide(schema, one, past, rules, model, known), decided.decision(index)
            assert replace(row, made_on=alone.made_on) == alone, (model, index)
            kept, expected = (made_on.unpacked(each.made_on, each.features, schema) for each in (row, alone))
            assert np.array_equal(kept.row, expected.row, equal_nan=True)
            assert np.array_equal(kept.counts, expected.counts, equal_nan=True)
            assert kept.lists == expected.lists
            assert kept.probability == pytest.approx(expected.probability, rel=1e-12)  # numpy's exp


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_a_decided_block_goes_with_its_last_holder(engine, name, policy):
    """What keeps itself waits for the collector of garbage, which is long in coming where few and large objects are
    made: 25 MB a chunk of 20,000 rows."""
    schema, random, rules = SCHEMAS[name], Random(4), POLICIES[policy](name)
    block = block_of(schema, generated.parsed(schema, 10, random))
    pasts = past_columns(schema, [generated.pasts(schema, random) for _ in range(10)])
    engine.decide_block(block, pasts, rules, explain="all")  # what is made once is made
    gc.disable()
    try:
        decided = engine.decide_block(block, pasts, rules, explain="all")
        features = weakref.ref(decided.values.features)
        del decided
        assert features() is None
    finally:
        gc.enable()


def test_without_history_the_block_says_so(engine):
    schema = SCHEMAS["paysim"]
    rows = generated.parsed(schema, 5, Random(1))
    decided = engine.decide_block(block_of(schema, rows), None, Policy(), explain="all")
    for row, one in enumerate(rows):
        alone = engine.decide(schema, one, None, Policy())
        assert replace(decided.decision(row), made_on=alone.made_on) == alone


def test_without_a_model_the_rules_decide(engine):
    schema = SCHEMAS["paysim"]
    rows = generated.parsed(schema, 40, Random(2))
    decided = Engine({}).decide_block(block_of(schema, rows), None, Policy(), explain="all")
    for index, one in enumerate(rows):
        assert decided.decision(index) == Engine({}).decide(schema, one, None, Policy())


def test_only_the_rows_asked_for_are_explained(engine):
    schema = SCHEMAS["paysim"]
    block = block_of(schema, generated.parsed(schema, ROWS, Random(3)))
    none, flagged, every = (
        engine.decide_block(block, None, Policy(), explain=one) for one in ("none", "flagged", "all")
    )
    assert not none.reasons
    assert sorted(flagged.reasons) == flagged.verdicts.flagged.nonzero()[0].tolist()
    assert 0 < len(flagged.reasons) < ROWS == len(every.reasons)
    assert all(every.reasons[row] == told for row, told in flagged.reasons.items())
    assert np.array_equal(none.probability, every.probability)


def test_an_unknown_model_is_refused(engine):
    with pytest.raises(UnknownModel, match="nobody"):
        engine.decide_block(block_of(SCHEMAS["paysim"], []), [], Policy(), "nobody")
