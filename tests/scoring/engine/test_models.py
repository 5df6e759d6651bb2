import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import xgboost

from apps.scoring.engine.models import LoadedModel, ModelRefused, load_active, load_model, verify_example
from tests.pace import within
from tests.scoring.engine.conftest import ARTIFACTS

HERE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def directory(model):
    return ARTIFACTS / "paysim" / model.name / model.version


@pytest.fixture(scope="module")
def rows(schema):
    """10,000 rows over every order of magnitude, some features unknown. float32[10000, F]"""
    random = np.random.default_rng(7)
    drawn = np.exp(random.uniform(-3, 16, (10_000, len(schema.features)))) * random.choice([-1, 0, 1], (10_000, 1))
    drawn[:, 0] = random.integers(0, 6, 10_000)
    drawn[:, 6] = random.integers(0, 24, 10_000)
    drawn[random.random(drawn.shape) < 0.1] = np.nan
    return drawn.astype(np.float32)


@pytest.fixture
def copy(directory, tmp_path):
    """The artifact where it may be spoiled."""
    return copytree(directory, tmp_path / "paysim" / "xgboost" / directory.name)


def test_a_row_scores_as_it_does_in_a_block(model, rows):
    block = model.score_block(rows[:500])
    assert [model.score(rows[index : index + 1]) for index in range(500)] == block.tolist()


def test_onnx_equals_the_native_model(model, rows, directory):
    native = xgboost.Booster(model_file=directory / "model.ubj")
    expected = native.predict(xgboost.DMatrix(rows, missing=np.nan), output_margin=True)
    assert np.abs(model.score_block(rows) - expected).max() < 1e-5


def test_contributions_sum_to_the_margin(model, rows):
    added = model.contributions(rows[:2000]).sum(axis=1) / model.card.calibration.a
    assert np.abs(model.card.base_margin + added - model.score_block(rows[:2000])).max() < 1e-3


def test_a_repeated_amount_says_nothing_to_the_champion(model, schema, rows):
    again = rows[:2000].copy()
    columns = [schema.feature_names.index(name) for name in ("same_amount_count_1h", "same_amount_since_last")]
    again[:, columns] = [50.0, 0.0]
    assert np.array_equal(model.score_block(rows[:2000]), model.score_block(again))


@pytest.mark.parametrize("name", ["model.onnx", "model.ubj", "trees.npz", "example.json"])
def test_a_changed_file_is_refused(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelRefused, match=name):
        load_model(copy)


def changed(copy, **entries):
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, **entries}))


def test_another_feature_order_is_refused(copy, schema):
    changed(copy, features=list(reversed(schema.feature_names)))
    with pytest.raises(ModelRefused, match="features"):
        load_model(copy)


@pytest.mark.parametrize(
    "entries", [{"schema": "nothing"}, {"calibration": {"a": -1.0, "b": 0.0}}, {"files": {}}, {"threshold": "half"}]
)
def test_a_card_that_vouches_for_nothing_is_refused(copy, entries):
    changed(copy, **entries)
    with pytest.raises(ModelRefused):
        load_model(copy)


def test_a_missing_file_is_refused(copy):
    (copy / "trees.npz").unlink()
    with pytest.raises(ModelRefused, match=r"trees\.npz is missing"):
        load_model(copy)


def test_the_example_scores_as_it_did(model):
    verify_example(model)
    wrong = LoadedModel(model.card, model._session, model._explainer, model.example)
    wrong.example = type(model.example)(model.example.features, model.example.margin + 1, 0.5)
    with pytest.raises(ModelRefused, match="example"):
        verify_example(wrong)


def test_a_refused_model_stands_among_the_active_ones_with_its_reason(copy, tmp_path):
    (tmp_path / "paysim" / "ACTIVE").write_text(f"xgboost/{copy.name}\n")
    assert isinstance(load_active(tmp_path, "paysim")["xgboost"], LoadedModel)
    (copy / "model.onnx").write_bytes(b"")
    assert isinstance(load_active(tmp_path, "paysim")["xgboost"], ModelRefused)
    assert load_active(tmp_path, "nothing") == {}


def test_serving_imports_nothing_heavy():
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from apps.scoring.engine import engine, explain, models, waterfall\n"
        "assert models.load_active(Path('ml_artifacts'), 'paysim')['xgboost'].score\n"
        "heavy = {'pandas', 'sklearn', 'xgboost', 'shap', 'django', 'redis', 'scipy', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, timeout=within(60))
