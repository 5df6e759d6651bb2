"""What doctor finds when something is wrong, each made wrong in earnest; and nothing when all is well."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.services import RECEIPTS, record_check
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.api_keys.services import get_gate
from apps.monitoring import figures
from apps.operations.doctor import Finding, Level, examine
from apps.operations.models import Backup
from apps.scoring.engine.decide import OwnModels, Policy
from apps.scoring.lists.publishing import HEADER
from apps.scoring.models import OwnModel, ValueList
from apps.scoring.policies import publish
from apps.simulation.models import Simulation
from apps.valkey import Valkey, server
from tests.api.bodies import HONEST
from tests.cast import Api, Cast
from tests.live import free_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def well(cast: Cast, valkey: Valkey, settings: Any, tmp_path: Any) -> None:
    """An installation in which nothing is wrong."""
    now = timezone.now()
    figures.take(valkey, "often", now)
    settings.BACKUP_DIR = str(tmp_path)
    (tmp_path / "one.backup").write_bytes(b"abc")
    Backup.objects.create(made_at=now, file=str(tmp_path / "one.backup"), size=3)


def found(valkey: Valkey, level: Level = Level.WRONG) -> dict[str, Finding]:
    return {one.about: one for one in examine(valkey, timezone.now()) if one.level >= level and one.about != "Disk"}


def test_nothing_is_found_where_all_is_well(well: None, valkey: Valkey) -> None:
    assert found(valkey, Level.WARNING) == {}


def test_stores_that_are_away_are_told_and_the_rest_is_looked_at(well: None) -> None:
    away = server(f"redis://127.0.0.1:{free_port()}/0", 0.2)
    said = found(away, Level.WARNING)
    assert said["Valkey"].level is Level.WRONG
    assert said["Recorder"].says == "Not looked at: Valkey is away."
    assert "PostgreSQL" not in said


def test_recorder_that_is_away(well: None, valkey: Valkey, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alice.post("/v1/decisions", HONEST).status_code == 200
    monkeypatch.setattr("apps.operations.doctor.RECORDER_AWAY", -1)
    assert "manage.py record" in found(valkey)["Recorder"].do


def test_clock_that_is_away_and_worker_that_is_away(well: None, valkey: Valkey) -> None:
    figures.take(valkey, "often", timezone.now() - timedelta(minutes=10))
    assert "beat" in found(valkey)["Clock"].do
    asked = f'{{"headers": {{"asked_at": {time.time() - 600}}}}}'
    valkey.command("LPUSH", "money", asked)
    assert "money" in found(valkey)["Workers"].says


def test_migrations_that_wait(well: None, valkey: Valkey, cast: Cast) -> None:
    schema = cast.bob.tenant.schema_name
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {schema}.django_migrations SET app = 'gone' WHERE app = 'review'")
        try:
            assert schema in found(valkey)["Migrations"].says
        finally:
            cursor.execute(f"UPDATE {schema}.django_migrations SET app = 'review' WHERE app = 'gone'")


@pytest.mark.parametrize(
    ("setting", "value", "about", "said"),
    [
        ("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend", "Mail", "can't be reached"),
        ("STRIPE_API_KEY", "sk_live_x", "Stripe", "STRIPE_WEBHOOK_SECRET is missing"),
        ("STRIPE_API_KEY", "pk_live_x", "Stripe", "no secret key"),
    ],
)
def test_settings_that_are_wrong(
    well: None, valkey: Valkey, settings: Any, setting: str, value: str, about: str, said: str
) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    setattr(settings, setting, value)
    assert any(said in one.says for one in examine(valkey, timezone.now()) if one.about == about)


def test_backups_that_are_old_failed_or_gone(well: None, valkey: Valkey) -> None:
    Backup.objects.update(made_at=timezone.now() - timedelta(days=3))
    assert "None was made since" in found(valkey)["Backups"].says
    Backup.objects.update(made_at=timezone.now(), file="/nowhere")
    assert found(valkey, Level.WARNING)["Backups"].level is Level.WARNING
    Backup.objects.create(made_at=timezone.now(), trouble="no room")
    assert "no room" in found(valkey)["Backups"].says


def test_checks_that_found_something_or_are_late(well: None, valkey: Valkey) -> None:
    record_check(RECEIPTS, ["acme: receipt 7: decision dec_1 was changed"], timezone.now())
    assert "dec_1 was changed" in found(valkey)["Checks"].says
    record_check(RECEIPTS, [], timezone.now() - timedelta(days=2))
    assert "not checked since" in found(valkey, Level.WARNING)["Checks"].says


def test_own_models_that_are_gone_or_that_nobody_trains(well: None, valkey: Valkey, cast: Cast) -> None:
    tenant, now = cast.alice.tenant, timezone.now()
    with in_tenant(tenant):
        made = {"livemode": True, "schema": "paysim", "families": [], "asked_by": "", "asked_at": now}
        OwnModel.objects.create(id="mdl_1", state=OwnModel.State.CHAMPION, **made)
        OwnModel.objects.create(id="mdl_2", state=OwnModel.State.TRAINING, **made)
    policy = Policy(own_models=(OwnModels("paysim", champion="mdl_1"),))
    publish(tenant=tenant, policy=policy, gate=get_gate(), now=now)
    assert found(valkey)["Own models"].says == "They can't be loaded: alice: mdl_1: its files are gone."
    with in_tenant(tenant):
        OwnModel.objects.filter(pk="mdl_1").update(state=OwnModel.State.RETIRED)
        OwnModel.objects.filter(pk="mdl_2").update(leased_until=now - timedelta(hours=1))
    said = found(valkey)["Own models"]
    assert (said.says, "models" in said.do) == (f"Nobody trains what was asked for: {tenant.schema_name}: mdl_2.", True)


def test_simulation_that_stands_still(well: None, valkey: Valkey, cast: Cast) -> None:
    then = timezone.now() - timedelta(minutes=6)
    with in_tenant(cast.bob.tenant):
        Simulation.objects.create(
            id="sim_1", livemode=True, asked_at=then, policy={}, against=0, begin=then, end=then, costs={}, total=9,
            touched_at=then,
        )  # fmt: skip
    assert "sim_1" in found(valkey, Level.WARNING)["Simulations"].says


def test_list_that_valkey_has_a_part_of_or_is_still_to_hear_of(well: None, valkey: Valkey, alice: Api) -> None:
    alice.post("/v1/lists", {"name": "mules", "item_type": "user"})
    alice.post("/v1/lists/mules/items", {"items": [{"value": f"u{number}"} for number in range(5)]})
    assert "Lists" not in found(valkey, Level.WARNING)
    key = names_of(alice.tenant.handle, True).list("mules")
    token = next(name for name in valkey.command("HKEYS", key) if name != HEADER)
    valkey.command("HDEL", key, token)
    assert found(valkey)["Lists"].says == f"Valkey has a part of them: {key} 4 of 5 items."
    valkey.command("DEL", key)
    assert "Lists" not in found(valkey, Level.WARNING)  # it is asked for by the next request
    with in_tenant(alice.tenant):
        ValueList.objects.update(published=-1)
    assert "still to hear" in found(valkey, Level.WARNING)["Lists"].says


def test_command_ends_with_1_where_something_is_wrong(well: None, valkey: Valkey, capsys: Any, settings: Any) -> None:
    call_command("doctor")
    assert "ok       Backups: The last is of" in capsys.readouterr().out
    settings.STRIPE_API_KEY = "sk_live_x"
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    assert "→ Make a webhook to /stripe/webhook" in capsys.readouterr().out
