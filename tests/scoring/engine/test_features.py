import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.scoring.engine.history import PastColumns
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.schemas.paysim import PaySimTransaction
from apps.scoring.engine.windows import QUIET, UNKNOWN, Activity

PAYSIM = SCHEMAS["paysim"]
money = st.one_of(st.sampled_from([0.0, 0.01, 5000.0, 1e12]), st.floats(-1e12, 1e12, allow_nan=False))
transactions = st.builds(
    PaySimTransaction,
    amount=st.one_of(st.sampled_from([0.0, 5000.0]), st.floats(0, 1e12, allow_nan=False)),
    oldbalanceOrg=money,
    newbalanceOrig=money,
    oldbalanceDest=money,
    newbalanceDest=money,
    step=st.integers(0, 1_000_000),
    type=st.sampled_from(["TRANSFER", "CASH_OUT", "PAYMENT", "CASH_IN", "DEBIT", "NEW"]),
)
counts = st.floats(0, 256)
activities = st.one_of(st.just(UNKNOWN), st.just(QUIET), st.builds(Activity, *[counts] * 10))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(transactions, activities, activities, activities), min_size=1, max_size=8))
def test_a_row_and_the_same_row_in_a_block_are_equal_to_the_bit(drawn):
    rows = [PAYSIM.row(one, 0, pasts) for one, *pasts in drawn]
    columns = PAYSIM.columns([one for one, *_ in drawn])
    pasts = [PastColumns([one[role] for one in drawn]) for role in (1, 2, 3)]
    block = PAYSIM.block(columns, np.zeros(len(drawn)), pasts)
    assert np.array(rows, dtype=np.float32).tobytes() == block.astype(np.float32).tobytes()
    known = np.isfinite(block[:, :14])
    assert known.sum() >= known.size - 2 * len(rows)  # only the two shares of a balance may be unknown


def features(paysim, **changed):
    return dict(zip(PAYSIM.feature_names, PAYSIM.row(paysim(**changed).transaction, 0, [UNKNOWN] * 3), strict=True))


def test_a_ledger_that_agrees_to_the_cent_has_no_gap(paysim):
    found = features(paysim, amount=0.1, oldbalanceOrg=0.3, newbalanceOrig=0.2, oldbalanceDest=0.7, newbalanceDest=0.8)
    assert (found["origin_gap"], found["destination_gap"], found["excess_loss"]) == (0.0, 0.0, 0.0)


def test_an_origin_that_loses_more_has_an_excess(paysim):
    assert features(paysim, amount=1000.0, oldbalanceOrg=5000.0, newbalanceOrig=2500.0)["excess_loss"] == 1.5


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({"amount": 950.0}, 0.05),
        ({"amount": 999.5}, 0.0),  # less than a thousandth is nothing
        ({"amount": 1000.0}, 0.0),
        ({"amount": 500.0, "newbalanceOrig": 100.0}, 0.1),  # the balance afterwards says less than the amount does
        ({"amount": 0.0}, 1.0),
        ({"amount": 700.0, "type": "CASH_IN"}, 1.0),
        ({"amount": 1000.02}, math.nan),  # the origin can't pay it
    ],
)
def test_what_is_left_of_a_balance(paysim, changed, left):
    body = {"oldbalanceOrg": 1000.0, "newbalanceOrig": 1000.0 - changed["amount"], **changed}
    assert features(paysim, **body)["share_left"] == pytest.approx(left, nan_ok=True)


@pytest.mark.parametrize(("hour", "into"), [(8, 0), (14, 0), (21, 0), (22, 1), (0, 3), (2, 5), (3, 5), (7, 1)])
def test_how_deep_in_the_night(paysim, hour, into):
    assert features(paysim, step=48 + hour)["hours_into_night"] == into


def test_a_balance_that_can_not_pay_is_told(paysim):
    told = paysim(type="TRANSFER", amount=50_000.0, oldbalanceOrg=100.0, newbalanceOrig=0.0).warnings
    assert "balance of 100 can't pay 50,000" in told[0]
    assert paysim(type="CASH_IN", amount=50_000.0, oldbalanceOrg=100.0, newbalanceOrig=50_100.0).warnings == ()


def test_an_unmoved_destination_says_nothing_of_a_payment(paysim):
    still = {"oldbalanceDest": 0.0, "newbalanceDest": 0.0}
    assert features(paysim, type="PAYMENT", **still)["destination_unmoved"] == 0.0
    assert features(paysim, type="TRANSFER", **still)["destination_unmoved"] == 1.0


def test_without_history_its_features_are_unknown(paysim):
    found = features(paysim)
    assert all(math.isnan(value) for name, value in found.items() if name.startswith(("orig_", "dest_")))


def amounts_past(paysim, **changed):
    return [party.name for party in PAYSIM.parties(paysim(**changed).transaction) if party.role == "amount"]


def test_an_exact_amount_has_a_past_where_stolen_money_moves(paysim):
    assert amounts_past(paysim, amount=43235.71) == ["43235.71"]
    assert amounts_past(paysim, amount=43235.71, type="CASH_OUT") == ["43235.71"]
    assert amounts_past(paysim, amount=43235.71, type="PAYMENT") == []


@pytest.mark.parametrize("amount", [0.0, 0.001, 100.0, 10_000_000.0])
def test_a_round_or_tiny_amount_has_no_past(paysim, amount):
    assert amounts_past(paysim, amount=amount) == []
