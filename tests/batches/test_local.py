"""A file scored from a terminal: results beside what was sent, in its order, whatever the format and the workers."""

import csv
import io
import json
import subprocess
import sys
from multiprocessing import resource_tracker
from pathlib import Path

import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command

from apps.batches import local, progress
from apps.batches.history import FileHistory
from apps.batches.local import Asked, score_file
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.history import Replay
from apps.scoring.engine.models import load_active
from apps.scoring.engine.past_events import transaction_hash
from apps.scoring.engine.schemas import SCHEMAS
from tests.batches.files import HONEST, NAMES, TYPED, csv_file, json_file, parquet_file
from tests.pace import within
from tests.scoring.engine.conftest import ARTIFACTS

DRAINED = {**HONEST, "amount": "180000", "oldbalanceOrg": "180000", "newbalanceOrig": "0", "newbalanceDest": "180000"}
ROWS = [
    {"note": "a, b", **HONEST}, {"note": 'says "no"', **DRAINED}, {"note": "4111 1111 1111 1111", **HONEST},
    {"note": "", **HONEST, "amount": "-1"}, {"note": "é", **DRAINED, "nameOrig": "C1"},
]  # fmt: skip
OURS = ["fraud_probability", "risk_score", "risk_level", "recommended_action", "reasons", "problem"]
SENTENCE = "'amount' must be a number from 0 to 1,000,000,000,000."


def scored(tmp_path: Path, content: bytes, out: str = "out.csv", name: str = "in", **asked):
    (tmp_path / name).write_bytes(content)
    told = []
    given = Asked(tmp_path / name, tmp_path / out, "paysim", ARTIFACTS, 0, problems=tmp_path / "wrong.csv")
    summary = score_file(given._replace(**asked), told.append)
    return summary, (tmp_path / out).read_bytes(), told


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_results_stand_behind_the_files_own_columns(tmp_path):
    summary, content, told = scored(tmp_path, csv_file(ROWS))
    assert summary == (5, 2, 1)
    assert (told[-1].doing, told[-1].rows, told[-1].total) == ("scored", 5, 5)
    rows = table(content)
    assert list(rows[0]) == ["note", *NAMES, *OURS]
    assert [row["note"] for row in rows] == ["a, b", 'says "no"', "4111 11** **** 1111", "", "é"]
    assert [row["amount"] for row in rows] == ["5000", "180000", "5000", "-1", "180000"]
    assert [row["problem"] for row in rows] == ["", "", "", SENTENCE, ""]
    assert [row["recommended_action"] for row in rows] == ["approve", "block", "approve", "", "block"]
    assert [bool(row["reasons"]) for row in rows] == [False, True, False, False, True]
    assert (tmp_path / "wrong.csv").read_text() == f'row,column,problem,kind\n4,amount,"{SENTENCE}",field_invalid\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.csv", "wrong.csv"]


def test_a_card_number_in_a_column_nobody_reads_is_masked(tmp_path):
    assert b"4111 1111 1111 1111" not in scored(tmp_path, csv_file(ROWS))[1]


def typed(name: str, cell: str) -> float | str:
    return float(cell) if isinstance(TYPED[name], float) else cell


def test_each_row_is_decided_as_the_replayed_file_is(tmp_path):
    """Row by row through `Replay` and `Engine.decide`, in order of event time."""
    rows = [{**DRAINED, "nameDest": f"C{n % 3}", "step": str(40 - n)} for n in range(30)]
    answers = table(scored(tmp_path, csv_file(rows), explain="all")[1])
    schema, replay = SCHEMAS["paysim"], Replay(SCHEMAS["paysim"].roles)
    engine = Engine({"paysim": load_active(ARTIFACTS, "paysim")})
    for place in reversed(range(30)):
        one = schema.parse({name: typed(name, cell) for name, cell in rows[place].items()})
        parties, amount = schema.parties(one.transaction), one.transaction.amount
        seen = replay.observe(parties, one.at_ms, amount, transaction_hash(str(place)))
        decision = engine.decide(schema, one, seen, Policy())
        answer = answers[place]
        assert float(answer["fraud_probability"]) == decision.fraud_probability
        assert (int(answer["risk_score"]), answer["risk_level"]) == (decision.risk_score, decision.risk_level)
        assert answer["reasons"] == " | ".join(f"{one.code}: {one.text}" for one in decision.reasons)


@pytest.fixture
def no_tracker_left():
    """Python keeps a process that tracks what its workers share; it ends with the interpreter, or here."""
    yield
    resource_tracker._resource_tracker._stop()


def test_workers_and_chunks_change_nothing(tmp_path, monkeypatch, no_tracker_left):
    content = csv_file([{**DRAINED, "amount": str(1_000 * n), "nameDest": f"C{n % 5}"} for n in range(60)])
    alone = scored(tmp_path, content)[1]
    monkeypatch.setattr(local, "CHUNK_ROWS", 25)
    assert scored(tmp_path, content)[1] == alone
    assert scored(tmp_path, content, workers=2)[1] == alone


def test_json_lines_come_back_with_their_own_values(tmp_path):
    rows = [{**TYPED, "tags": ["a", {"b": None}]}, {**TYPED, "amount": "5"}, {"late": True, **TYPED}]
    summary, content, _ = scored(tmp_path, json_file(rows), "out.jsonl")
    answers = [json.loads(line) for line in content.splitlines()]
    assert summary.problems == 1
    assert [{name: one for name, one in answer.items() if name not in OURS} for answer in answers] == rows
    assert answers[1]["problem"].endswith("1,000,000,000,000, without quotes.")
    assert answers[2]["risk_level"] == "low"


def test_json_lines_are_written_as_a_table_with_every_member_there_was(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "CHUNK_ROWS", 1)
    rows = table(scored(tmp_path, json_file([TYPED, {**TYPED, "type": 'a "b"', "more": [1, 2]}]))[1])
    assert [row["type"] for row in rows] == ["TRANSFER", 'a "b"']
    assert [row["more"] for row in rows] == ["", "[1,2]"]


@pytest.mark.parametrize("out", ["out.csv", "out.jsonl", "out.parquet"])
def test_a_file_of_wrong_rows_alone_has_a_problem_a_row(tmp_path, out):
    summary, content, _ = scored(tmp_path, csv_file([{**HONEST, "step": "no"}, {**HONEST, "amount": ""}]), out)
    assert (summary, bool(content)) == ((2, 0, 2), True)


def test_parquet_keeps_its_types(tmp_path):
    content = parquet_file({name: [cell] * 3 for name, cell in TYPED.items()} | {"when": [1, None, 3]})
    scored(tmp_path, content, "out.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert found.column_names == [*NAMES, "when", *OURS]
    assert found.column("amount").to_pylist() == [5000.0] * 3
    assert found.column("when").to_pylist() == [1, None, 3]
    assert found.column("risk_level").to_pylist() == ["low"] * 3


def test_results_scored_again_keep_both_answers_apart(tmp_path):
    once = scored(tmp_path, csv_file([HONEST]))[1]
    (row,) = table(scored(tmp_path, once)[1])
    assert list(row) == [*NAMES, *OURS, *(f"palisade_{name}" for name in OURS)]
    assert row["risk_score"] == row["palisade_risk_score"]


def test_a_file_that_can_not_be_read_leaves_nothing(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(CommandError, match="is it the right schema"):
        call_command("score", tmp_path / "in.csv", schema="paysim", out=tmp_path / "out.csv", local=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_the_terminal_says_what_came_of_it_and_ends_with_3_for_problems(tmp_path, capsys):
    (tmp_path / "in.csv").write_bytes(csv_file(ROWS))
    with pytest.raises(SystemExit) as ended:
        call_command("score", tmp_path / "in.csv", schema="paysim", out=tmp_path / "out.csv", local=True, workers=1)
    assert ended.value.code == 3
    assert capsys.readouterr().out.endswith("2 flagged, 1 problems.\n")


def test_an_unknown_model_and_a_folder_that_is_not_there_are_told(tmp_path):
    (tmp_path / "in.csv").write_bytes(csv_file([HONEST]))
    wrong = {"has no model 'gone'": {"model": "gone"}, "No such": {"out": tmp_path / "no" / "o"}}
    for sentence, changed in wrong.items():
        asked = {"schema": "paysim", "out": tmp_path / "out.csv", "local": True, "workers": 1, **changed}
        with pytest.raises(CommandError, match=sentence):
            call_command("score", tmp_path / "in.csv", **asked)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (("read", 40_000, None, 2.0), "read    40,000 rows  20,000 rows/s"),
        (("scored", 50, 100, 2.0), f"scored  {'█' * 15}{'░' * 15}  50%  50 rows  25 rows/s  2 s left"),
        (("scored", 100, 100, 125.0), f"scored  {'█' * 30} 100%  100 rows  1 rows/s"),
    ],
)
def test_the_bar_tells_how_far_how_fast_and_how_long(told, line):
    assert progress.line_of(*told) == line


def test_a_history_of_nobody_is_none(tmp_path):
    assert FileHistory(SCHEMAS["ieee_cis"], tmp_path).pasts(0, 5) == []


def test_a_worker_does_without_pandas_and_gives_memory_back():
    """pyarrow would import it for nothing: in a process of its own, as a worker is."""
    code = (
        "import sys; from apps.batches.lean_arrow import keep_arrow_lean; keep_arrow_lean(); import pyarrow;"
        "pyarrow.array([1.5]).fill_null(0);"
        "print('pandas' in sys.modules, pyarrow.default_memory_pool().backend_name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ARTIFACTS.parent, timeout=within(60)
    )
    assert done.stdout == "False system\n", done.stderr
