"""What doctor finds when something is wrong, each made wrong in earnest; and nothing when all is well."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.monitoring import figures
from apps.operations.doctor import Finding, Level, examine
from apps.operations.models import Backup
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


def test_command_ends_with_1_where_something_is_wrong(well: None, valkey: Valkey, capsys: Any, settings: Any) -> None:
    call_command("doctor")
    assert "ok       Backups: The last is of" in capsys.readouterr().out
    settings.STRIPE_API_KEY = "sk_live_x"
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    assert "→ Make a webhook to /stripe/webhook" in capsys.readouterr().out
