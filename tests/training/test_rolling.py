"""Where rolling origins fall: the last window ends with the file, each has a gap before it, none begins too early."""

import numpy as np
import pandas as pd
import pytest

from apps.scoring.engine.schemas import SCHEMAS
from apps.training import data, replay
from apps.training.data import UnusableData
from apps.training.recipes.ieee_cis import as_of
from apps.training.rolling import origins

DAY = 86_400_000.0


def test_four_origins_each_leave_a_month_out_and_measure_the_next():
    found = origins(np.array([0.0, 200 * DAY]), 30 * DAY, 4)
    assert len(found) == 4
    assert all(one.measured_from - one.fitted_until == 30 * DAY for one in found)
    assert found[-1].measured_until == 200 * DAY + 1.0
    assert [round(one.fitted_until / DAY) for one in found] == [50, 80, 110, 140]


def test_origins_move_together_where_time_is_short():
    found = origins(np.array([0.0, 100 * DAY]), 30 * DAY, 4)
    assert round(found[0].fitted_until / DAY) == 20
    assert [one.fitted_until for one in found] == sorted(one.fitted_until for one in found)


def test_too_short_a_file_is_refused():
    with pytest.raises(UnusableData, match="too short"):
        origins(np.array([0.0, 50 * DAY]), 30 * DAY, 4)


def test_what_features_count_is_counted_in_the_part_that_is_fitted_on():
    """`ieee_cis` counts kinds of card: the features of an elder model must not know payments that came later."""
    schema = SCHEMAS["ieee_cis"]
    frame = pd.DataFrame(
        {"TransactionAmt": 10.0, "TransactionDT": np.arange(90_000.0, 90_008.0), "card1": 17.0, "isFraud": [0, 1] * 4}
    )
    rows = data.rows(schema, frame)
    elder = as_of(schema, rows.where(slice(0, 5)))
    seen = schema.feature_names.index("card_kind_seen")
    assert (replay.without_history(elder, rows)[:, seen] == 5.0).all()
    assert (replay.without_history(schema, rows)[:, seen] == 0.0).all()
