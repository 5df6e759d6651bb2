"""`manage.py prepare --json`: everything between an empty database and a working demo. Harmless when repeated."""

import json
import os
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.accounts.models import SchemaTemplate, Tenant, User
from apps.accounts.services import make_owner
from apps.accounts.tenancy import tenant_connection
from apps.api_keys import keys
from apps.api_keys.models import ApiKey
from apps.api_keys.services import create_key, digest_of, get_gate, narrow_key
from apps.billing.subscriptions.services import sign_up
from apps.portal import demo
from apps.scoring.engine.decide import Policy
from apps.scoring.policies import publish
from config.local.demo import DAYS
from config.local.secrets import secret

OPERATOR = "operator@example.com"
#: What who sends no key may do: never what changes the account.
DEMO_SCOPES = [scope for scope in keys.SCOPES if scope != "admin"]
HOME_COUNTRY = "Uzbekistan"  # the demo tenant's: a card used elsewhere is used abroad


class Command(BaseCommand):
    """Migrate when there is something to migrate, then see that the demo tenant, its key and the operator exist."""

    help = "Migrate every schema and seed the demo."
    requires_system_checks: list[str] = []  # a test's matter; here they would cost the start a third of a second

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object on the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        if _migrations_wait():
            self.stdout.write("... migrating")
            call_command("migrate_schemas", verbosity=0)
        facts = _seed_demo() if settings.DEMO_MODE else {}
        self.stdout.write(json.dumps(facts) if options["json"] else "ready")


def _migrations_wait() -> bool:
    """Whether `public` or the template is behind: what `migrate_schemas` would find out in seconds."""
    if "accounts_schematemplate" not in connection.introspection.table_names():
        return True
    for schema in ("public", settings.TEMPLATE_SCHEMA):
        tenant_connection().set_schema(schema)
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
        tenant_connection().set_schema_to_public()
        if behind:
            return True
    return not SchemaTemplate.objects.exists()


def _seed_demo() -> dict[str, str]:
    """The demo tenant on the Professional plan, its key (derived, stored nowhere) and an operator."""
    tenant = Tenant.objects.filter(slug=settings.DEMO_TENANT).first() or sign_up(
        slug=settings.DEMO_TENANT, name="Demo company", plan="professional", now=timezone.now() - timedelta(days=DAYS)
    )
    if not tenant.policy_version:
        publish(tenant=tenant, policy=Policy(home_country=HOME_COUNTRY), gate=get_gate(), now=timezone.now())
    text = keys.derive(tenant.handle, settings.KEY_PEPPER)
    _demo_key(tenant, text)
    password = os.environ.get("PALISADE_OPERATOR_PASSWORD") or secret("PALISADE_OPERATOR_PASSWORD")[:16]
    if not User.objects.filter(email=OPERATOR).exists():
        User.objects.create_superuser(OPERATOR, password, name="Demo operator")
    _demo_login(tenant)
    return {
        "demo_tenant": tenant.slug,
        "demo_key": text,
        "demo_email": demo.EMAIL,
        "demo_password": demo.PASSWORD,
        "operator_email": OPERATOR,
        "operator_password": password,
    }


def _demo_login(tenant: Tenant) -> None:
    """See that the demo's owner can log in."""
    if User.objects.filter(email=demo.EMAIL).exists():
        return
    with transaction.atomic():
        user = User.objects.create_user(demo.EMAIL, demo.PASSWORD, name="Demo owner")
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        make_owner(tenant=tenant, user=user, now=timezone.now(), actor=user.email)


def _demo_key(tenant: Tenant, text: str) -> None:
    """See that the demo's key exists and may do no more than it should; those of older versions could."""
    key, now = ApiKey.objects.filter(digest=digest_of(text)).first(), timezone.now()
    if key is None:
        create_key(tenant=tenant, name="demo", scopes=DEMO_SCOPES, now=now, text=text)
    elif set(key.scopes) - set(DEMO_SCOPES):
        narrow_key(key=key, scopes=DEMO_SCOPES, now=now)
    else:
        return
    get_gate().invalidate(digest_of(text), tenant.handle)
