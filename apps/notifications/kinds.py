"""Kinds of notification, as one table: `type` of a webhook, name of an e-mail's template. Pure.

A new kind gets a row here, a template in templates/notifications/ when it is mailed, and a line in docs/api.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """When it is sent, the fields its `data` always has, and over which channels."""

    about: str
    fields: tuple[str, ...]
    mailed: bool = True
    hooked: bool = True
    chatted: bool = False


_MODEL = (
    "model", "schema", "state", "failure", "average_precision", "shared_average_precision", "better_beyond_interval",
)  # fmt: skip
_BATCH = ("batch", "state", "reason", "rows_total", "rows_done", "units", "problems")
_CASE = (
    "case", "state", "queue", "schema", "transaction_id", "decision_id", "amount", "expected_loss", "created_at",
    "due_at", "resolution", "resolved_by", "label", "decision", "rules",
)  # fmt: skip
KINDS: Mapping[str, Kind] = {
    # --- budgets ---
    "budget.reached": Kind(
        "Usage reached a threshold of the included volume or of the spend cap",
        ("budget", "threshold", "used", "limit", "unit", "period"),
    ),
    # --- invoices and payments: amounts are decimal strings ---
    "invoice.issued": Kind(
        "An invoice was issued", ("invoice", "number", "period", "total", "currency", "due_at", "how_to_pay")
    ),
    "invoice.paid": Kind("An invoice was paid in full", ("invoice", "number", "total", "currency")),
    "invoice.partly_paid": Kind(
        "A part of an invoice was paid", ("invoice", "number", "amount", "amount_due", "currency")
    ),
    "invoice.reminder": Kind(
        "An open invoice that no card is charged for: 3 days before it is due, and 3, 14 and 28 days after",
        (
            "invoice",
            "number",
            "due_at",
            "amount_due",
            "currency",
            "overdue_days",
            "next_step",
            "next_step_at",
            "how_to_pay",
        ),
    ),
    "invoice.voided": Kind("An invoice was voided", ("invoice", "number", "total", "currency")),
    "credit_note.issued": Kind(
        "A credit note corrects an invoice",
        (
            "credit_note",
            "number",
            "invoice",
            "invoice_number",
            "amount",
            "tax",
            "currency",
            "reason",
            "amount_due",
            "outcome",
        ),
    ),
    "payment.succeeded": Kind("A payment went through", ("invoice", "amount", "currency"), mailed=False),
    "payment.failed": Kind(
        "A payment failed; `next_try_at` says when it is tried again",
        ("invoice", "number", "amount", "currency", "reason", "next_try_at"),
    ),
    "payment.refunded": Kind("Money was given back", ("invoice", "number", "amount", "currency")),
    "payment.disputed": Kind("A payment was disputed at the bank", ("invoice", "number", "amount", "currency")),
    # --- subscriptions ---
    "subscription.changed": Kind("The plan changes, at `at`", ("plan", "before", "at")),
    "subscription.trial_ending": Kind("A trial ends in three days", ("plan", "ends_at")),
    "subscription.past_due": Kind(
        "An invoice was not paid for two weeks", ("plan", "number", "total", "amount_due", "currency")
    ),
    "subscription.limited": Kind("Calls are limited to the free volume until it is paid", ("plan",)),
    "subscription.cancelled": Kind(
        "The subscription ended, and limits that were agreed with it", ("plan", "at", "ended_limits")
    ),
    "subscription.restored": Kind("It was paid and everything works again", ("plan",)),
    # --- batches: `rows_*`, `units` and `problems` (rows by kind) as they stand then ---
    "batch.completed": Kind("A batch is done; its results can be fetched", _BATCH, mailed=False),
    "batch.paused": Kind("A batch waits for units: `reason` says how to go on", _BATCH, mailed=False),
    "batch.failed": Kind("A batch could not go on: `reason` says why", _BATCH, mailed=False),
    # --- review cases: `decision` as it was answered, `rules` with their outcomes ---
    "case.created": Kind("A decision asks for a review, and a case was opened", _CASE, mailed=False),
    "case.resolved": Kind("A case was resolved: `resolution` is fraud, legitimate or unsure", _CASE, mailed=False),
    # --- models of the tenant's own: average precisions are of the last weeks, the model's and the shared one's ---
    "model.trained": Kind("A model of your own was trained and is a candidate", _MODEL, mailed=False),
    "model.failed": Kind("A training came to nothing: `failure` says why", _MODEL, mailed=False),
    "model.promoted": Kind("A model was better beyond the interval, as asked, and decides now", _MODEL, mailed=False),
    # --- people and the account itself ---
    "member.left": Kind("Somebody has left the account", ("email", "role"), hooked=False),
    "export.ready": Kind("An export can be downloaded, until `until`", ("size", "until"), hooked=False),
    "account.closing": Kind("An owner has closed the account; it can be undone", ("by", "until"), hooked=False),
    "account.reopened": Kind("The closing was undone", ("by",), hooked=False),
    "account.closed": Kind("The account's data has been removed", ("name",), hooked=False),
    # --- support ---
    "support.asked": Kind(
        "A customer asks for support; mailed to those who answer",
        ("request", "by", "topic", "subject", "message", "plan", "answer_by"),
        hooked=False,
    ),
    "support.received": Kind(
        "A request for support has arrived; mailed to who asked",
        ("request", "by", "topic", "subject", "message", "plan", "answer_by"),
        hooked=False,
    ),
    # --- alerts ---
    "alert.opened": Kind(
        "A rule found something: one message a rule and period, with all that was found since the last",
        ("rule", "severity", "title", "text", "count", "alerts"),
        chatted=True,
    ),
    "alert.escalated": Kind(
        "Nobody acknowledged an alert in time; mailed to the next who are to look",
        ("rule", "severity", "title", "text", "count", "alerts", "after_minutes"),
    ),
    "alert.resolved": Kind(
        "Alerts that were sent are over, or somebody resolved them", ("rule", "count", "alerts"), mailed=False
    ),
    "alert.test": Kind("You asked for a test of an alert rule", ("rule", "message"), chatted=True),
    "chat.test": Kind("You asked for a test of a channel", ("message",), mailed=False, hooked=False, chatted=True),
    # --- webhooks themselves ---
    "webhook.disabled": Kind("A webhook failed for so long that it was switched off", ("url", "reason"), hooked=False),
    "chat.disabled": Kind(
        "A chat channel failed for so long that it was switched off", ("channel", "reason"), hooked=False
    ),
    "webhook.test": Kind("You asked for a test", ("message",), mailed=False),
}
#: What a webhook may ask for.
HOOKED = tuple(name for name, kind in KINDS.items() if kind.hooked)
