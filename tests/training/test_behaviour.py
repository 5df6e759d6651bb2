import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command
from sklearn.metrics import roc_auc_score

from apps.scoring.engine.history import Replay
from apps.scoring.engine.schemas.card_activity import CARD_ACTIVITY, USD_PER_UNIT
from apps.scoring.engine.schemas.payments import PAYMENTS
from apps.training import data, replay
from apps.training.behaviour import TYPOLOGIES, payments
from apps.training.behaviour import card_activity as simulate
from apps.training.behaviour.people import BURN_IN_DAYS
from apps.training.behaviour.typologies import IMPOSSIBLE

LARGEST_HONEST_USD = 60_000.0


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return simulate(users=400, days=60, seed=3)


def honest(rows):
    return rows[rows["is_fraud"] == 0]


def dollars(rows):
    return rows["Transaction_Amount"] * rows["Transaction_Currency"].map(USD_PER_UNIT)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    first = simulate(users=60, days=20, seed=5)
    assert first.equals(simulate(users=60, days=20, seed=5))
    assert not first["Transaction_Amount"].equals(simulate(users=60, days=20, seed=6)["Transaction_Amount"])


@pytest.mark.parametrize(("users", "days", "seed"), [(1, 1, 0), (2, 3, 1), (5, 1, 2)])
def test_a_handful_of_users_gives_rows_of_the_same_shape_or_none(users, days, seed, rows):
    assert list(simulate(users, days, seed)) == list(rows)


def test_rows_are_in_order_of_time_with_ids_of_their_own(rows):
    assert rows["Timestamp"].is_monotonic_increasing
    assert rows["transaction_id"].is_unique
    assert (rows["Timestamp"].max() - rows["Timestamp"].min()) < pd.Timedelta(days=BURN_IN_DAYS + 60)
    assert (rows["Timestamp"].dt.hour == rows["Transaction_Hour"]).all()


def test_every_row_is_a_transaction_the_schema_accepts_without_a_remark(rows):
    for fact in rows.sample(300, random_state=1)[list(CARD_ACTIVITY.fields)].to_dict("records"):
        when = fact.pop("Timestamp")
        sent = {name: value for name, value in fact.items() if value == value}
        parsed = CARD_ACTIVITY.parse({**sent, "Timestamp": when.isoformat()})
        assert parsed.warnings == ()
        assert parsed.at_ms == when.value // 1_000_000


def test_frauds_are_rare_of_every_typology_and_none_before_the_burn_in(rows):
    assert 0.005 < rows["is_fraud"].mean() < 0.05
    assert set(rows["typology"]) <= {"", *IMPOSSIBLE, *(kind.name for kind in TYPOLOGIES)}
    assert rows[rows["is_fraud"] == 1]["typology"].nunique() >= len(TYPOLOGIES) - 2
    assert (honest(rows)["typology"] == "").all()
    assert rows[rows["weight"] == 0]["is_fraud"].sum() == 0


def test_shares_of_typologies_sum_to_one_and_each_says_where_it_is_from():
    assert sum(kind.share for kind in TYPOLOGIES) == pytest.approx(1.0)
    assert all(kind.source for kind in TYPOLOGIES)


def test_a_payment_is_told_as_its_users_sender_tells_payments():
    told = payments(users=60, days=20, seed=5)
    optional = [name for name in PAYMENTS.fields if name in told and name not in PAYMENTS.required]
    for fact in told.sample(200, random_state=1)[["user_id", "amount", "merchant_id", *optional]].to_dict("records"):
        when = fact.pop("timestamp")
        sent = {name: value for name, value in fact.items() if value is not None and value == value}
        assert PAYMENTS.parse({**sent, "timestamp": when.isoformat()}).warnings == ()
    tells = told[["foreign_transaction", "used_chip", "online_order"]].notna().groupby(told["user_id"]).nunique()
    assert (tells == 1).all(axis=None)
    assert told["foreign_transaction"].notna().mean() < 0.9


def test_amounts_differ_by_orders_of_magnitude_between_currencies(rows):
    middle = honest(rows).groupby("Transaction_Currency")["Transaction_Amount"].median()
    assert middle["UZS"] / middle["USD"] > 1000


def test_counts_and_times_follow_from_the_users_own_rows(rows):
    one = rows[rows["User_ID"] == rows["User_ID"].mode()[0]]
    minutes = one["Timestamp"].diff().dt.total_seconds().to_numpy()[1:] / 60.0
    assert np.allclose(one["Time_Since_Last_Transaction_min"].to_numpy()[1:], minutes, atol=0.06)
    when, window = one["Timestamp"], pd.Timedelta(days=BURN_IN_DAYS)
    before = [((when < at) & (when >= at - window)).sum() for at in when]
    assert (np.abs(one["Previous_Transaction_Count"].to_numpy() - before) <= 1).all()


def test_honest_people_pay_abroad_and_far_away(rows):
    usual = rows.groupby("User_ID")["Transaction_Location"].transform(lambda places: places.mode()[0])
    abroad = honest(rows)[(rows["Transaction_Location"] != usual)[rows["is_fraud"] == 0]]
    assert len(abroad) > rows["is_fraud"].sum()
    assert (honest(rows)["Distance_Between_Transactions_km"] > 1000).sum() > 100


def test_honest_people_change_their_devices(rows):
    first_use = ~honest(rows).duplicated(["User_ID", "Device_ID"])
    assert first_use.sum() > 1.5 * rows["User_ID"].nunique()


def test_honest_people_pay_small_amounts_in_quick_succession_and_fail(rows):
    small = honest(rows)[dollars(honest(rows)) < 6]
    testing = rows["typology"] == "card_testing"
    assert (small["Time_Since_Last_Transaction_min"] < 6).sum() > testing.sum()  # what looks like it from afar
    assert 0.02 < (honest(rows)["Transaction_Status"] == "Failed").mean() < 0.08


def test_honest_people_spend_a_lot_at_times_and_never_beyond_measure(rows):
    spent, taken = dollars(honest(rows)), dollars(rows[rows["is_fraud"] == 1])
    assert (spent > 500).sum() > (taken > 500).sum()
    assert spent.max() <= LARGEST_HONEST_USD * 1.01 < taken.max()


def test_no_single_number_tells_frauds_apart(rows):
    numbers = rows[["Distance_Between_Transactions_km", "Time_Since_Last_Transaction_min", "Transaction_Velocity",
                    "Previous_Transaction_Count", "Transaction_Hour"]].assign(usd=dollars(rows))  # fmt: skip
    found = [roc_auc_score(rows["is_fraud"], numbers[name]) for name in numbers]
    assert max(max(auc, 1 - auc) for auc in found) < 0.93


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_the_command_writes_a_file(tmp_path, name):
    out = tmp_path / name
    call_command("simulate_card_activity", out=out, users=20, days=5, seed=1)
    written = pd.read_csv(out) if name.endswith("csv") else pd.read_parquet(out)
    assert len(written) == len(simulate(20, 5, 1))


def test_a_written_file_is_read_for_training_as_it_was(tmp_path):
    rows = simulate(users=60, days=10, seed=2)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = data.read(CARD_ACTIVITY, [tmp_path / "rows.csv"])
    assert found.label.tolist() == rows["is_fraud"].astype(bool).tolist()
    for name in ("Authentication_Method", "Transaction_Amount", "Transaction_Location"):
        assert found.frame[name].tolist() == rows[name].tolist()


def test_a_request_has_the_features_it_is_trained_with():
    rows = simulate(users=40, days=10, seed=4)
    trained = replay.features(CARD_ACTIVITY, data.rows(CARD_ACTIVITY, rows))
    pasts = Replay(CARD_ACTIVITY.roles)
    for index, fact in enumerate(rows[list(CARD_ACTIVITY.fields)].to_dict("records")):
        sent = {name: value for name, value in fact.items() if value == value}
        one = CARD_ACTIVITY.parse({**sent, "Timestamp": fact["Timestamp"].isoformat()})
        parties, dollars = CARD_ACTIVITY.parties(one.transaction), CARD_ACTIVITY.amount(one.transaction)
        seen = pasts.observe(parties, one.at_ms, dollars, index + 1)
        row = CARD_ACTIVITY.row(one.transaction, one.at_ms, [seen[role.name] for role in CARD_ACTIVITY.roles])
        assert np.array(row, dtype=np.float32).tobytes() == trained[index].tobytes()


def test_the_command_refuses_what_it_cannot_write(tmp_path):
    with pytest.raises(CommandError, match="--out"):
        call_command("simulate_card_activity", out=tmp_path / "rows.xlsx")
    with pytest.raises(CommandError, match="--users"):
        call_command("simulate_card_activity", out=tmp_path / "rows.csv", users=0)
