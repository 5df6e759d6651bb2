"""`manage.py policy_publish`: what it publishes decides, what is wrong with it is named and changes nothing."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from apps.accounts.models import Tenant
from apps.scoring.engine.rule_programs import programs_of
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import load
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)


def _published(slug: str, *options: str) -> dict:
    out = StringIO()
    call_command("policy_publish", "--tenant", slug, "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_what_is_not_given_stays_as_it_was(cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"medium": 0.2, "rules": [_rule("amount")]}))
    first = _published("alice", "--file", str(file))
    second = _published("alice", "--home-country", "Kenya")
    tenant = Tenant.objects.get(slug="alice")
    policy = load(tenant.schema_name, second["policy_version"])
    assert second["policy_version"] == first["policy_version"] + 1 == tenant.policy_version
    assert (policy.medium, policy.home_country, policy.rules[0].id) == (0.2, "Kenya", "large")


def test_a_built_in_rule_is_switched_by_the_file(cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"built_in": [{"id": "black_hole", "outcome": "off"}]}))
    version = _published("alice", "--file", str(file))["policy_version"]
    policy = load(Tenant.objects.get(slug="alice").schema_name, version)
    assert "black_hole" not in [rule.id for rule in programs_of(policy, SCHEMAS["paysim"]).rules]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"medium": 0.9, "high": 0.5}, "medium <= high"),
        ({"colour": 1}, "unknown: colour"),
        ({"rules": [{"id": "large", "outcome": "review", "all": []}]}, "length"),
        ({"rules": [{"id": "x", "outcome": "review", "all": [{"field": "shoe", "op": "gt", "value": 1}]}]}, "'shoe'"),
        ([], "the whole file"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(cast: Cast, tmp_path: Path, said: object, named: str) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(said))
    before = Tenant.objects.get(slug="alice").policy_version
    with pytest.raises(CommandError, match=named):
        _published("alice", "--file", str(file))
    assert Tenant.objects.get(slug="alice").policy_version == before


def test_the_policy_in_the_guide_is_published_as_it_stands(cast: Cast, tmp_path: Path) -> None:
    guide = (settings.BASE_DIR / "docs" / "api.md").read_text()
    file = tmp_path / "policy.json"
    file.write_text(guide.partition("## Your policy")[2].partition("```json")[2].partition("```")[0])
    version = _published("alice", "--file", str(file))["policy_version"]
    policy = load(Tenant.objects.get(slug="alice").schema_name, version)
    assert (policy.block_at, [rule.id for rule in policy.rules]) == (0.6, ["known_mules", "large_abroad"])


def _rule(field: str) -> dict:
    return {"id": "large", "outcome": "review", "all": [{"field": field, "op": "gt", "value": 1e6}]}
