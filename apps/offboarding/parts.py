"""What an export consists of: one table, a row a file. Keys without secrets; no password, no second factor.

A new thing a tenant owns gets its row here, and, when it stands in `public`, its line in `removal.py`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet

from apps.accounts.models import AuditEntry, Membership, Tenant
from apps.alerts.models import Alert, AlertRule
from apps.api_keys.models import ApiKey
from apps.batches.models import Batch
from apps.billing.models import CreditNote, Invoice, Payment, PlanSpan
from apps.ingest.models import Prediction
from apps.notifications.models import WebhookEndpoint
from apps.offboarding.models import Erasure
from apps.review.models import Case, Label, Queue
from apps.scoring.models import Decision, ListItem, PublishedPolicy, ValueList
from apps.scoring.serving.decision_formats import answer_of
from apps.sla.models import SlaStatement
from apps.support.models import SupportRequest
from apps.usage.models import UsageDay

Row = Mapping[str, Any]


class Part(NamedTuple):
    """A file of the zip: `.csv` with these columns, or `.jsonl` of whole rows. `rows` are read in its schema."""

    file: str
    about: str
    rows: Callable[[Tenant], QuerySet[Any]]
    row: Callable[[Any], Row]


def _columns(*names: str) -> Callable[[Any], Row]:
    """A row by its fields; `user__email` follows the key."""

    def row(of: Any) -> Row:
        return {name.replace("__", "_"): _follow(of, name.split("__")) for name in names}

    return row


def _follow(of: Any, path: Sequence[str]) -> Any:
    for name in path:
        of = getattr(of, name)
    return of


def _decision(of: Decision) -> Row:
    return {
        "id": of.id,
        "created_at": of.created_at,
        "livemode": of.livemode,
        "schema": of.schema,
        "transaction": of.facts,
        "answer": json.loads(answer_of(of)),
    }


def _case(of: Case) -> Row:
    return {
        **_columns(
            "id", "livemode", "schema", "transaction_id", "decision_id", "decisions", "created_at", "due_at", "state",
            "queue", "amount", "fraud_probability", "rules_hit", "assignee", "resolution", "resolved_at", "resolved_by",
            "label_id",
        )(of),
        "verdicts": [_columns("reviewer", "resolution", "decision_id", "at")(one) for one in of.verdicts.all()],
        "notes": [_columns("id", "author", "at", "text")(one) for one in of.notes.all()],
        "attachments": [_columns("id", "name", "media_type", "size", "sha256")(one) for one in of.evidence.all()],
    }  # fmt: skip


_MONEY = ("currency", "subtotal", "tax", "total")
PARTS: Sequence[Part] = (
    Part(
        "keys.csv", "API keys by what may be seen of them; their secrets are known to nobody",
        lambda tenant: ApiKey.objects.filter(tenant=tenant).order_by("pk"),
        _columns(
            "name", "prefix", "last_four", "livemode", "scopes", "allowed_networks", "created_at", "expires_at",
            "revoked_at", "last_used_at", "last_used_ip",
        ),
    ),
    Part(
        "members.csv", "Who belonged to the company, as what",
        lambda tenant: Membership.objects.filter(tenant=tenant).select_related("user").order_by("pk"),
        _columns("user__email", "user__name", "role"),
    ),
    Part(
        "policies.jsonl", "Every policy that was published",
        lambda tenant: PublishedPolicy.objects.order_by("version"),
        _columns("version", "published_at", "published_by", "note", "document"),
    ),
    Part(
        "webhooks.csv", "Webhooks, without their secrets",
        lambda tenant: WebhookEndpoint.objects.filter(tenant=tenant).order_by("created_at"),
        _columns("id", "livemode", "url", "description", "events", "created_at", "disabled_at"),
    ),
    Part(
        "alert_rules.jsonl", "Alert rules that were made or changed",
        lambda tenant: AlertRule.objects.filter(tenant=tenant).order_by("created_at"),
        _columns(
            "rule_id", "livemode", "kind", "name", "enabled", "severity", "thresholds", "period_minutes", "mail_to",
            "channels", "quiet_hours", "escalation", "created_at",
        ),
    ),
    Part(
        "alerts.jsonl", "Alerts",
        lambda tenant: Alert.objects.filter(tenant=tenant).order_by("opened_at", "id"),
        _columns(
            "id", "livemode", "rule_id", "kind", "severity", "state", "title", "text", "values", "occurrences",
            "opened_at", "told_at", "acknowledged_by", "resolved_at", "resolved_by",
        ),
    ),
    Part(
        "plans.csv", "Which plan was in force when",
        lambda tenant: PlanSpan.objects.filter(tenant=tenant).order_by("starts_at"),
        _columns("plan_code", "starts_at", "ends_at", "trial"),
    ),
    Part(
        "usage.csv", "Usage by day and endpoint",
        lambda tenant: UsageDay.objects.filter(tenant_id=tenant.pk).order_by("day", "endpoint"),
        _columns("day", "endpoint", "livemode", "decisions", "units", "degraded"),
    ),
    Part(
        "invoices.jsonl", "Invoices with their lines and the usage they bill; the papers themselves came by mail",
        lambda tenant: Invoice.objects.filter(tenant=tenant).prefetch_related("lines").order_by("pk"),
        lambda invoice: {
            **_columns("number", "status", "period", "issued_at", "due_at", "paid_at", *_MONEY, "usage")(invoice),
            "lines": [_columns("description", "quantity", "amount")(line) for line in invoice.lines.all()],
        },
    ),
    Part(
        "credit_notes.csv", "Credit notes",
        lambda tenant: CreditNote.objects.filter(invoice__tenant=tenant).select_related("invoice").order_by("pk"),
        _columns("number", "invoice__number", "issued_at", "amount", "tax", "reason"),
    ),
    Part(
        "payments.csv", "Payments of invoices",
        lambda tenant: Payment.objects.filter(tenant=tenant).select_related("invoice").order_by("pk"),
        _columns("invoice__number", "created_at", "status", "amount", "amount_refunded", "currency"),
    ),
    Part(
        "sla_statements.jsonl", "The availability of each month, with what it was computed from",
        lambda tenant: SlaStatement.objects.filter(tenant=tenant).order_by("month", "revision"),
        _columns("month", "revision", "issued_at", "credit_percent", "credit", "because", "document"),
    ),
    Part(
        "batches.csv", "Files that were scored; their results are at /v1/batches for 30 days",
        lambda tenant: Batch.objects.filter(tenant=tenant, deleted_at=None).order_by("pk"),
        _columns(
            "id", "livemode", "filename", "schema", "state", "created_at", "finished_at", "rows_total", "rows_done",
            "units", "problems",
        ),
    ),
    Part(
        "support.csv", "What was asked of support",
        lambda tenant: SupportRequest.objects.filter(tenant=tenant).order_by("asked_at"),
        _columns("id", "asked_by", "asked_at", "topic", "subject", "message", "answer_by", "answered_at"),
    ),
    Part(
        "erasures.csv", "Receipts of persons' data that was removed",
        lambda tenant: Erasure.objects.filter(tenant=tenant).order_by("asked_at"),
        _columns("id", "kind", "person_hash", "asked_at", "asked_by", "state", "completed_at", "removed", "digest"),
    ),
    Part(
        "audit.jsonl", "The audit log",
        lambda tenant: AuditEntry.objects.filter(chain=tenant.pk).order_by("sequence"),
        _columns(
            "sequence", "at", "actor", "action", "target", "address", "request_id", "before", "after", "seal", "digest"
        ),
    ),
    Part(
        "lists.csv", "Lists that rules ask for, deleted ones included",
        lambda tenant: ValueList.objects.order_by("created_at", "id"),
        _columns(
            "id", "livemode", "name", "item_type", "description", "created_at", "created_by", "deleted_at", "deleted_by"
        ),
    ),
    Part(
        "list_items.csv", "What was in each list from when to when; cards, users and e-mail addresses are masked",
        lambda tenant: ListItem.objects.select_related("list").order_by("pk"),
        _columns(
            "list__name", "livemode", "value", "note", "expires_at", "added_at", "added_by", "removed_at", "removed_by"
        ),
    ),
    Part(
        "labels.csv", "What became of transactions, corrections included",
        lambda tenant: Label.objects.order_by("recorded_at", "id"),
        _columns(
            "id", "livemode", "decision_id", "transaction_id", "schema", "label", "source", "occurred_at", "known_at",
            "recorded_at", "recorded_by", "amount_lost", "holds",
        ),
    ),
    Part(
        "review_queues.jsonl", "Review queues that were made or changed",
        lambda tenant: Queue.objects.order_by("livemode", "position", "id"),
        _columns("code", "livemode", "name", "position", "criteria", "order", "sla_minutes", "second_review_above"),
    ),
    Part(
        "cases.jsonl", "Review cases with notes and verdicts; their files are at /v1/case-attachments",
        lambda tenant: Case.objects.order_by("created_at", "id").prefetch_related("verdicts", "notes", "evidence"),
        _case,
    ),
    Part(
        "predictions.csv", "Predictions made elsewhere",
        lambda tenant: Prediction.objects.order_by("created_at", "id"),
        _columns(
            "id", "livemode", "transaction_id", "model", "model_version", "fraud_probability", "is_fraud",
            "predicted_at", "created_at",
        ),
    ),
    Part(
        "decisions.jsonl", "Every decision: what was sent and what was answered",
        lambda tenant: Decision.objects.order_by("created_at", "id"),
        _decision,
    ),
)  # fmt: skip


def table_of_contents() -> Iterator[str]:
    """The zip's README, a line a file."""
    yield "What your company had at Palisade, by file. CSV is UTF-8; .jsonl is a JSON object a line.\n"
    for part in PARTS:
        yield f"{part.file:20} {part.about}"
