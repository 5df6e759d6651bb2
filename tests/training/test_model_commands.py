"""The commands around models, as an operator types them."""

import json
from io import StringIO
from shutil import copytree

import pytest
from django.core.management import CommandError, call_command

from apps.training.recipes import RECIPES
from tests.training.training_data import small


@pytest.fixture
def shelf_copy(trained, tmp_path):
    """The shelf where it may be spoiled."""
    copytree(trained / "paysim", tmp_path / "paysim")
    return tmp_path


@pytest.fixture(autouse=True)
def small_recipes(monkeypatch):
    monkeypatch.setitem(RECIPES, "paysim", small("paysim"))


def run(*arguments, **options):
    said = StringIO()
    call_command(*arguments, stdout=said, stderr=StringIO(), **options)
    return said.getvalue()


def evaluated(trained, **options):
    return json.loads(
        run("evaluate_model", "paysim", data=[trained / "log.csv"], artifacts=trained, json=True, **options)
    )


def test_evaluate_takes_the_champion_when_no_model_is_named(trained):
    report = evaluated(trained)
    assert (report["rows"], report["frauds"], report["model"]) == (3300, 300, "xgboost@2026.1.1")


@pytest.mark.parametrize("name", ["random_forest", "logistic_regression@2026.1.1", "without_balances", "ensemble"])
def test_evaluate_takes_any_model_on_the_shelf(trained, name):
    report = evaluated(trained, model=name)
    assert report["model"].startswith(name)
    assert 0.5 < report["auc_roc"] <= 1.0


def test_evaluate_replays_an_earlier_log_first(trained):
    informed = evaluated(trained, history=[trained / "log.csv"], model="logistic_regression")
    assert informed["rows"] == 3300
    assert informed["brier"] != evaluated(trained, model="logistic_regression")["brier"]


def test_evaluate_says_it_in_lines_too(trained):
    said = run("evaluate_model", "paysim", data=[trained / "log.csv"], artifacts=trained)
    assert "average_precision" in said
    assert "95 %" in said


@pytest.mark.parametrize("name", ["catboost", "xgboost@1999.1.1", "../paysim/xgboost"])
def test_evaluate_names_the_models_there_are(trained, name):
    with pytest.raises(CommandError, match=r"without_balances@2026\.1\.1"):
        evaluated(trained, model=name)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda log: log.drop(columns="amount"), "'amount' is missing"),
        (lambda log: log.assign(amount="much"), "'amount' must hold numbers"),
        (lambda log: log.assign(isFraud="maybe"), "'isFraud' must hold 0 and 1"),
        (lambda log: log.assign(type=None), "'type' has empty cells"),
    ],
)
def test_commands_name_the_wrong_column(trained, log, tmp_path, spoil, named):
    spoil(log).to_csv(tmp_path / "wrong.csv", index=False)
    for command, folder in (("train_model", {"out": tmp_path}), ("evaluate_model", {"artifacts": trained})):
        with pytest.raises(CommandError, match=named):
            run(command, "paysim", data=[tmp_path / "wrong.csv"], **folder)


def test_train_names_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CommandError, match="nowhere"):
        run("train_model", "paysim", data=[tmp_path / "nowhere.csv"], out=tmp_path)


def test_train_needs_files_where_nothing_is_simulated(tmp_path):
    with pytest.raises(CommandError, match="needs labelled files"):
        run("train_model", "paysim", out=tmp_path)


def test_train_tells_its_progress_and_makes_the_models_active(trained, tmp_path):
    said = run("train_model", "paysim", data=[trained / "log.csv"], out=tmp_path, model=["logistic_regression"],
               model_version="2026.3.1")  # fmt: skip
    assert "GB] read 3,300 rows" in said
    assert "out_of_time" not in said
    assert (tmp_path / "paysim" / "ACTIVE").read_text() == "logistic_regression/2026.3.1\n"


def test_train_names_the_families_there_are(trained, tmp_path):
    with pytest.raises(CommandError, match="random_forest"):
        run("train_model", "paysim", data=[trained / "log.csv"], out=tmp_path, model=["catboost"])


def test_models_lists_champion_versions_metrics_size_and_licence(trained):
    listed = json.loads(run("models", artifacts=trained, json=True))["paysim"]
    assert [one["status"] for one in listed] == ["champion", "active", "active", "active", "inactive"]
    assert listed[0]["metrics"]["average_precision"] > 0.5
    assert listed[0]["bytes"] > 1000
    assert "CC BY-SA 4.0" in listed[0]["licence"]
    assert "champion  xgboost@2026.1.1" in run("models", artifacts=trained)


def test_a_promoted_model_is_the_champion_and_the_others_stay(shelf_copy):
    run("promote_model", "paysim", "lightgbm", artifacts=shelf_copy)
    named = (shelf_copy / "paysim" / "ACTIVE").read_text().split()
    assert [entry.partition("/")[0] for entry in named] == [
        "lightgbm", "xgboost", "random_forest", "logistic_regression",
    ]  # fmt: skip


def wrong_hash(directory):
    (directory / "model.onnx").write_bytes((directory / "model.onnx").read_bytes() + b" ")


def wrong_example(directory):
    """An example that claims another score, with its hash renewed: only scoring it can tell."""
    from hashlib import sha256

    example = json.loads((directory / "example.json").read_text())
    (directory / "example.json").write_text(json.dumps({**example, "margin": example["margin"] + 0.01}))
    card = json.loads((directory / "card.json").read_text())
    card["files"]["example.json"] = sha256((directory / "example.json").read_bytes()).hexdigest()
    (directory / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("spoil", "reason"), [(wrong_hash, "not the file the card vouches for"), (wrong_example, "the example scores")]
)
def test_a_spoiled_model_is_not_promoted(shelf_copy, spoil, reason):
    before = (shelf_copy / "paysim" / "ACTIVE").read_bytes()
    spoil(shelf_copy / "paysim" / "lightgbm" / "2026.1.1")
    with pytest.raises(CommandError, match=reason):
        run("promote_model", "paysim", "lightgbm@2026.1.1", artifacts=shelf_copy)
    assert (shelf_copy / "paysim" / "ACTIVE").read_bytes() == before


@pytest.mark.parametrize("name", ["catboost", "lightgbm@1.0.0", "lightgbm@../xgboost"])
def test_an_unknown_model_is_not_promoted(shelf_copy, name):
    before = (shelf_copy / "paysim" / "ACTIVE").read_bytes()
    with pytest.raises(CommandError, match="there are: "):
        run("promote_model", "paysim", name, artifacts=shelf_copy)
    assert (shelf_copy / "paysim" / "ACTIVE").read_bytes() == before


def test_check_deploy_warns_of_a_model_for_research_only(shelf_copy, settings):
    from config.checks import active_models_may_be_used

    settings.ARTIFACTS_DIR = shelf_copy
    assert active_models_may_be_used(None) == []
    card = shelf_copy / "paysim" / "xgboost" / "2026.1.1" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "research_only": True}))
    (warning,) = active_models_may_be_used(None)
    assert "paysim/xgboost/2026.1.1" in warning.msg
