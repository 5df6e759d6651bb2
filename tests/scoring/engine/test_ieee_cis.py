import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.engine.schemas import card_counts
from apps.scoring.engine.schemas.card_counts import COUNTED_BY
from apps.scoring.engine.schemas.ieee_cis import (
    COLUMNS,
    FEATURES,
    FEW_KNOWN,
    IEEE_CIS,
    OTHER,
    PLAIN,
    READ,
    TEXTS,
    UNKNOWN_AS,
    WORDS,
)
from apps.scoring.engine.transaction import InvalidTransaction
from apps.training import data, replay

DOCUMENTED: dict[str, Any] = {
    "TransactionAmt": 150.0, "ProductCD": "W", "card1": 1234, "card2": 567, "card3": 150, "addr1": 123, "addr2": 456,
}  # fmt: skip
NUMBERS = tuple(name for name in READ if name not in {field for _, field, _ in TEXTS} and name != "TransactionAmt")
NOW = 1_770_000_000_000

number = st.one_of(st.sampled_from([0, -1, 1, 1e9, -1e9, 0.1]), st.integers(0, 20_000), st.floats(-1e9, 1e9))
text = st.one_of(
    st.sampled_from(["W", "C", "gmail.com", "Found", "Windows", "rv:57.0", "", "é"]),
    st.from_regex(r"\A[aZ. ]?[aZ.][aZ. ]{0,3}\Z"),
)
bodies = st.fixed_dictionaries(
    {"TransactionAmt": st.one_of(st.sampled_from([0.01, 31.95, 100, 1e9]), st.floats(1e-6, 1e9))},
    optional={
        **dict.fromkeys(NUMBERS, st.none() | number),
        **{field: st.none() | text for _, field, _ in TEXTS},
        "TransactionDT": st.none() | st.floats(0, 1e10) | st.integers(0, 10**10),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(bodies, min_size=1, max_size=6))
def test_a_row_and_the_same_row_in_a_block_are_equal_to_the_bit(drawn):
    parsed = [IEEE_CIS.parse(body, NOW) for body in drawn]
    rows = [IEEE_CIS.row(one.transaction, one.at_ms, []) for one in parsed]
    columns = IEEE_CIS.columns([one.transaction for one in parsed])
    block = IEEE_CIS.block(columns, np.array([one.at_ms for one in parsed], dtype=np.float64), [])
    assert np.array(rows, dtype=np.float32).tobytes() == block.astype(np.float32).tobytes()
    assert not np.isinf(block.astype(np.float32)).any()


def features(**body: Any) -> dict[str, float]:
    parsed = IEEE_CIS.parse({"TransactionAmt": 150.0, **body}, NOW)
    return dict(zip(IEEE_CIS.feature_names, IEEE_CIS.row(parsed.transaction, parsed.at_ms, []), strict=True))


def test_what_a_file_leaves_out_is_unknown_as_in_a_request():
    bodies = [
        {**DOCUMENTED, "TransactionDT": 90_000},
        {"TransactionAmt": 10.5, "TransactionDT": 90_001, "R_emaildomain": "gmail.com", "id_16": "Found"},
    ]
    rows = data.rows(IEEE_CIS, pd.DataFrame(bodies).assign(isFraud=[0, 1]))
    live = [IEEE_CIS.row(IEEE_CIS.parse(body).transaction, 0, []) for body in bodies]
    assert replay.without_history(IEEE_CIS, rows).tobytes() == np.array(live, dtype=np.float32).tobytes()


def test_the_documented_request_is_understood_and_told_to_be_little():
    parsed = IEEE_CIS.parse(DOCUMENTED, NOW)
    assert parsed.facts == DOCUMENTED and parsed.at_ms == NOW
    assert len(parsed.warnings) == 1 and parsed.warnings[0].startswith(f"Only 7 of the {len(READ)} fields the model")


def test_every_published_column_is_a_field():
    assert len(COLUMNS) == 434 - 1 and set(COLUMNS) == set(IEEE_CIS.fields) - {"TransactionAmt"}
    assert {f"V{index}" for index in range(1, 340)} <= set(COLUMNS)
    assert IEEE_CIS.required == {"TransactionAmt"}


def test_a_body_with_every_field_has_nothing_to_remark():
    texts = {name for name in COLUMNS if _takes_text(name)}
    known = {name: values.values[0] for name, values in IEEE_CIS.known_values.items()}
    body = {name: "T" if name in texts else 1 for name in COLUMNS} | known | {"TransactionAmt": 5}
    assert IEEE_CIS.parse(body).warnings == ()


def _takes_text(name: str) -> bool:
    try:
        IEEE_CIS.parse({"TransactionAmt": 1, name: "T"})
    except InvalidTransaction:
        return False
    return True


@pytest.mark.parametrize("amount", [0, -1, 1e9 + 1, math.nan, math.inf, "150", None, [], True])
def test_an_amount_must_be_a_positive_number(amount):
    with pytest.raises(InvalidTransaction) as refused:
        IEEE_CIS.parse({"TransactionAmt": amount})
    assert refused.value.param == "TransactionAmt"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("card1", "1234"), ("card1", 1e10), ("V258", -1e300), ("C1", math.inf), ("TransactionDT", -1),
        ("TransactionID", 1.5), ("TransactionID", -1), ("ProductCD", 5), ("ProductCD", "W\x00"), ("M1", {}),
        ("R_emaildomain", "x" * 257), ("DeviceInfo", "\ud800"), ("D1", 10**400), ("id_31", ["chrome"]),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(field, value):
    with pytest.raises(InvalidTransaction) as refused:
        IEEE_CIS.parse({"TransactionAmt": 1.0, field: value})
    assert refused.value.param == field and f"'{field}' must be" in refused.value.detail


def test_a_missing_amount_is_named():
    with pytest.raises(InvalidTransaction) as refused:
        IEEE_CIS.parse({"card1": 1234})
    assert refused.value.param == "TransactionAmt" and refused.value.missing


def test_null_is_the_same_as_not_sent():
    assert np.array_equal(list(features(card1=None, C1=None, ProductCD=None).values()), list(features().values()), True)


def test_unicode_text_is_some_other_device():
    assert (
        features(DeviceInfo="Téléphone 手机 😀")["device"]
        == features(DeviceInfo="SM-G950U Build/NRD90M")["device"]
        == -1
    )


def test_unknown_fields_and_products_are_told():
    warnings = IEEE_CIS.parse({**DOCUMENTED, "ProductCD": "Q", "isFraud": 0}).warnings
    assert warnings[0] == "Unknown fields were ignored: isFraud."
    assert warnings[1].startswith("Unknown ProductCD 'Q'")


def test_little_is_told_until_enough_fields_are_known():
    body = {"TransactionAmt": 10, **{f"C{index}": 1 for index in range(1, 15)}, "card1": 1, "card2": 1, "card3": 1}
    assert len(IEEE_CIS.parse(body).warnings) == 1
    assert IEEE_CIS.parse({**body, "addr1": 1, "addr2": 1}).warnings == () and len(body) + 2 == FEW_KNOWN


def test_a_known_text_in_another_case_is_that_one():
    assert features(ProductCD=" c ", R_emaildomain="GMail.com") == pytest.approx(
        features(ProductCD="C", R_emaildomain="gmail.com"), nan_ok=True
    )


def test_the_id_is_the_senders_own_first():
    def told(**body: Any) -> str | None:
        return IEEE_CIS.transaction_id(IEEE_CIS.parse({"TransactionAmt": 1, **body}).transaction)

    assert told() is None and told(transaction_id="") is None
    assert told(TransactionID=2987000) == told(TransactionID=2987000.0) == "2987000"
    assert told(TransactionID=2987000, transaction_id="mine") == "mine"


def test_the_time_is_the_transactions_own_or_the_requests():
    assert IEEE_CIS.parse({"TransactionAmt": 1, "TransactionDT": 90_000}, NOW).at_ms == 90_000_000
    assert IEEE_CIS.parse({"TransactionAmt": 1}, NOW).at_ms == NOW
    assert features(TransactionDT=90_000)["hour_of_day"] == 1.0
    assert math.isnan(features()["hour_of_day"])


def test_what_is_not_sent_is_taken_for_something_of_its_kind():
    """Every field but the amount, which is always sent, and nothing else."""
    assert set(UNKNOWN_AS) == set(IEEE_CIS.feature_names) - {"TransactionAmt"}
    for name, field, table in TEXTS:
        assert UNKNOWN_AS[name] in (OTHER, *table.values()), field


def test_the_counts_of_what_is_not_sent_are_those_of_what_it_is_taken_for():
    """Else leaving a field out could be safer than to tell it, or riskier."""
    for fields in (("card1",), ("addr1",), ("card1", "addr1")):
        told = features(**{**DOCUMENTED, **{field: UNKNOWN_AS[field] for field in fields}})
        left = features(**{name: value for name, value in DOCUMENTED.items() if name not in fields})
        for name in COUNTED_BY:
            assert told[name] == (UNKNOWN_AS[name] if math.isnan(left[name]) else left[name]), (fields, name)


def test_common_cards_and_regions_are_known_and_strange_numbers_are_not():
    assert features(card1=9500, addr1=299)["card_kind_seen"] > 1_000 < features(addr1=299)["region_seen"]
    assert features(card1=-3.5, addr1=1e9)["card_kind_seen"] == features(card1=-3.5, addr1=1e9)["region_seen"] == 0.0
    assert math.isnan(features()["card_kind_seen"]) and math.isnan(features()["region_seen"])


def test_counts_survive_their_file_and_forget_the_rare(tmp_path):
    keys = np.array([5.0, 5.0, 5.0, 7.0, 7.0])
    counts = card_counts.counts_of(dict.fromkeys(COUNTED_BY, keys))
    card_counts.write(counts, tmp_path / "counts.npz")
    assert card_counts.read(tmp_path / "counts.npz") == counts == {name: {5.0: 3.0} for name in COUNTED_BY}


def test_features_read_only_known_fields_and_speak_in_sentences():
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert feature.field in IEEE_CIS.fields and feature.code.replace("_", "").isalnum()
        assert feature.up.endswith(".") and feature.down.endswith(".") and feature.up != feature.down
    assert set(PLAIN) <= set(IEEE_CIS.fields)
    assert set(WORDS) <= set(IEEE_CIS.feature_names)
