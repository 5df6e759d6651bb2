"""Schemas are migrated while they are used: the running version goes on scoring and recording."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DataError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from apps.accounts import migrating, template
from apps.accounts.models import SchemaTemplate
from apps.accounts.postgres_programs import login, program
from apps.usage.metering.journal import Journal
from apps.usage.models import UsageEvent
from apps.valkey import Valkey
from config.local.embedded import CHECKOUT
from tests.cast import Cast, enter
from tests.config.newest_scoring import NEWEST
from tests.live import end, environment_of, free_port
from tests.pace import within
from tests.rolling import Server, calling, running, some_more, troubles, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def later() -> Iterator[None]:
    """A later version's migrations; afterwards the schemas are as they were."""
    with override_settings(MIGRATION_MODULES={"scoring": "tests.config.later_scoring"}):
        yield
        call_command("migrate_schemas", "scoring", NEWEST, verbosity=0)
    assert columns() == 0
    assert not MigrationRecorder.Migration.objects.filter(name="later").exists()
    assert "later" not in SchemaTemplate.objects.get().sql


def columns() -> int:
    """In how many schemas the later version's column is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM information_schema.columns WHERE column_name = 'later'")
        return int(cursor.fetchone()[0])


def definition(schema: str) -> str:
    """The schema as pg_dump writes it, whatever it is called."""
    command = [program("pg_dump"), "--schema", schema, "--schema-only", "--restrict-key", "x"]
    done = subprocess.run(command, env=login(), capture_output=True, text=True, check=True, timeout=within(60))
    return done.stdout.replace(schema, "a_schema")


def test_schema_that_stands_elsewhere_and_code_are_django_s_matter(cast: Cast, later: None) -> None:
    schema = cast.bob.tenant.schema_name
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {schema}.django_migrations (app, name, applied) VALUES ('scoring', '0000', now())")
    try:
        call_command("migrate_schemas", verbosity=0)
        assert columns() == 4  # three tenants and the template
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {schema}.django_migrations WHERE name = '0000'")


def test_a_schema_that_fails_is_named_and_keeps_no_other_behind(cast: Cast, later: None) -> None:
    schema = cast.bob.tenant.schema_name
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {schema}.scoring_decision ADD COLUMN later int")
    with pytest.raises(CommandError, match=f"^Not migrated: {schema}: column .later. .* already exists$"):
        call_command("migrate_schemas", verbosity=0)
    assert columns() == 4  # bob's own, two tenants and the template
    assert dict(migrating.states([schema])) != dict(migrating.states([cast.alice.tenant.schema_name]))
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {schema}.scoring_decision DROP COLUMN later")
    call_command("migrate_schemas", verbosity=0)
    assert definition(schema) == definition(settings.TEMPLATE_SCHEMA)


def test_what_fails_everywhere_is_given_up(cast: Cast, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.accounts.management.commands.migrate_schemas.MOST_IN_A_ROW", 2)
    for player in (cast.alice, cast.bob):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {player.tenant.schema_name}.scoring_decision ADD COLUMN later int")
    with pytest.raises(CommandError, match=r"^Given up\. Not migrated: "):
        call_command("migrate_schemas", verbosity=0)
    for player in (cast.alice, cast.bob):
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {player.tenant.schema_name}.scoring_decision DROP COLUMN later")
    call_command("migrate_schemas", verbosity=0)


def test_new_tenants_get_what_was_put_after_the_dump(cast: Cast, later: None) -> None:
    call_command("migrate_schemas", verbosity=0)
    assert SchemaTemplate.objects.get().sql.endswith("('scoring', 'later', now());\n")
    assert template.is_current()
    nina = enter("nina", "free")
    assert definition(nina.tenant.schema_name) == definition(settings.TEMPLATE_SCHEMA)
    assert migrating.state_of(nina.tenant.schema_name) == migrating.state_of(settings.TEMPLATE_SCHEMA)
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        assert "public" in cursor.fetchone()[0]


def test_what_got_too_long_is_dumped_anew(cast: Cast, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "_MOST_APPENDED", 1)
    call_command("migrate_schemas", verbosity=0)
    kept = SchemaTemplate.objects.get().sql
    assert "since the dump" not in kept
    assert "later" in kept


def test_what_fails_in_a_schema_leaves_nothing_in_it(cast: Cast) -> None:
    failing = migrating.Change(("CREATE TABLE half (id int);", "SELECT 1/0;"), (("scoring", "half"),))
    before = definition(cast.bob.tenant.schema_name)
    with pytest.raises(DataError):
        migrating.make(cast.bob.tenant.schema_name, failing)
    assert definition(cast.bob.tenant.schema_name) == before
    assert migrating.state_of(cast.bob.tenant.schema_name) == migrating.state_of(settings.TEMPLATE_SCHEMA)


def test_what_sql_can_not_tell_is_not_told() -> None:
    with override_settings(MIGRATION_MODULES={"scoring": "tests.config.coded_scoring"}):
        assert migrating.change_of(settings.TEMPLATE_SCHEMA) is None
    assert migrating.change_of(settings.TEMPLATE_SCHEMA) == migrating.Change((), ())


@contextmanager
def recording() -> Iterator[None]:
    command = [sys.executable, "manage.py", "record"]
    process = subprocess.Popen(command, env=environment_of("config.settings.portal"), cwd=CHECKOUT)
    try:
        yield
    finally:
        process.terminate()
        end(process)


def test_migrating_loses_no_request_and_no_record(cast: Cast, valkey: Valkey, later: None) -> None:
    player, server = enter("mia", "enterprise", rate_per_minute=1_000_000), Server(free_port())
    with recording(), running(server):
        with calling(player.text, lambda: [server.port]) as clients:
            some_more(clients)
            call_command("migrate_schemas", verbosity=0)
            some_more(clients)
        until(lambda: sum(Journal(valkey).lengths()) == 0)
    assert troubles(clients) == []
    assert columns() == 5  # four tenants and the template
    assert definition(player.tenant.schema_name) == definition(settings.TEMPLATE_SCHEMA)
    assert len({state for _, state in migrating.states([*migrating.tenants(), settings.TEMPLATE_SCHEMA])}) == 1
    recorded = UsageEvent.objects.filter(tenant_id=player.tenant.pk).count()
    assert recorded == sum(client.answered for client in clients)
