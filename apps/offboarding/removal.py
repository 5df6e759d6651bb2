"""What is removed when a closed tenant's grace is over, and what stays for the money's books.

removed  decisions, policies, review cases with their files, the connected Stripe account: every table of the tenant's
         schema is emptied
         what Valkey remembers: pasts, answers on their way, counters, documents of keys; the customer at the provider
         keys, webhooks, chat channels, alerts and their rules, what was told, budgets, requests for support, exports,
         batches, files of lists, memberships, invitations, measured days
stays    invoices, credit notes, payments, credits, SLA statements, the plans' timeline, usage by day: what was billed,
         for as long as books are kept; the audit trail, which nothing is ever taken from; the tenant's row, for all of
         these name it
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection
from psycopg import sql

from apps.accounts.models import Invitation, Membership, Tenant
from apps.accounts.tenancy import in_tenant
from apps.alerts.models import Alert, AlertRule, RuleState
from apps.api_keys.gate import names_of
from apps.api_keys.models import ApiKey
from apps.batches import list_files, storage
from apps.batches.models import Batch
from apps.billing.models import PaymentCard
from apps.notifications.models import ChatChannel, Delivery, Event, WebhookEndpoint
from apps.offboarding import exports
from apps.offboarding.models import Export, Retention
from apps.review.cases import evidence
from apps.review.models import Case
from apps.sla.models import FailedMinute, MeasuredDay
from apps.support.models import SupportRequest
from apps.usage.models import Budget
from apps.valkey import Valkey

#: Keys of Valkey's that are looked at in one call.
SCANNED = 2_000

#: Rows in `public` that are the tenant's own.
OWNED = (
    Invitation,
    Membership,
    ApiKey,
    WebhookEndpoint,
    Budget,
    PaymentCard,
    SupportRequest,
    Retention,
    Alert,
    AlertRule,
    RuleState,
    ChatChannel,
)


def forget_notifications(tenant: Tenant) -> None:
    """What was told before; so that the last word is still delivered."""
    Delivery.objects.filter(tenant_id=tenant.pk).delete()
    Event.objects.filter(tenant=tenant).delete()


def remove(tenant: Tenant) -> None:
    """Remove what is the tenant's own. Harmless when repeated."""
    for model in OWNED:
        model._default_manager.filter(tenant=tenant).delete()
    for measured in (MeasuredDay, FailedMinute):
        measured._default_manager.filter(tenant_id=tenant.pk).delete()
    for batch in Batch.objects.filter(tenant=tenant).select_related("tenant"):
        storage.forget(batch)
        batch.delete()
    list_files.forget(tenant)
    for export in Export.objects.filter(tenant=tenant):
        exports.forget(export)
    with in_tenant(tenant):
        evidence.forget_files(tenant.schema_name, Case.objects.values_list("pk", flat=True))
    _empty_schema(tenant)


def forget_traces(tenant: Tenant, valkey: Valkey) -> None:
    """Remove what Valkey keeps under the tenant's names, in both modes. Harmless when repeated.

    Raises `Away` when it can't be reached.
    """
    names = names_of(tenant.handle, True)
    documents = [names.key(digest) for digest in ApiKey.objects.filter(tenant=tenant).values_list("digest", flat=True)]
    for some in (*_keys(valkey, f"{names.tenant}:*"), documents):
        if some:
            valkey.command("UNLINK", *some)


def _keys(valkey: Valkey, pattern: str) -> Iterator[list[Any]]:
    """The keys of a pattern, some at a time."""
    cursor: Any = b"0"
    while True:
        cursor, keys = valkey.command("SCAN", cursor, "MATCH", pattern, "COUNT", SCANNED)
        yield keys
        if cursor == b"0":
            return


def _empty_schema(tenant: Tenant) -> None:
    """The schema stays, for migrations go through all of them; its tables are emptied."""
    with in_tenant(tenant), connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'django_migrations'",
            [tenant.schema_name],
        )
        tables = [sql.Identifier(tenant.schema_name, name) for (name,) in cursor.fetchall()]
        cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))
