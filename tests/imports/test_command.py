"""`manage.py import_rules`: tells a file's plan, and takes it over for a tenant."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.cast import Api

RULES = "Block if :amount_in_usd: > 500\nReview if :risk_score: > 65\n"


def run(file: Path, *options: str) -> str:
    out = StringIO()
    call_command("import_rules", str(file), *options, stdout=out)
    return out.getvalue()


def test_plan_of_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text(RULES)
    told = run(file)
    assert "radar_1_block: block when log_amount > 6.21660610108" in told and "left out: rule radar_2_review" in told
    file.write_text(json.dumps({"ruleDetails": [{"ruleId": "a", "expression": "$amount > 5", "outcomes": ["review"]}]}))
    assert json.loads(run(file, "--from", "detector", "--json"))["plan"]["rules"][0]["when"] == "amount > 5.0"


@pytest.mark.django_db
def test_plan_is_taken_over_for_a_tenant(alice: Api, tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_text(RULES)
    assert "1 drafts" in run(file, "--tenant", alice.tenant.slug, "--apply")
    assert [rule["state"] for rule in alice.get("/v1/rules").json()["data"]] == ["draft"]


@pytest.mark.django_db
def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "none")
    file = tmp_path / "rules.txt"
    file.write_text(RULES)
    with pytest.raises(CommandError, match="no tenant"):
        run(file, "--tenant", "nobody", "--apply")
