"""Tables of a tenant's schema: labels, with what they say of which decision; review cases and their queues."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Label(models.Model):
    """What somebody learned of a decision's transaction. Append-only: a correction is a further row, and takes `holds`.

    Of all labels of a decision that one holds which was learned last (`known_at`, then the order of recording). The
    decision's own columns are copied, so that it can be counted without it, and after it is gone.
    """

    id = models.CharField(primary_key=True, max_length=32)
    livemode = models.BooleanField()
    decision_id = models.CharField(max_length=32)
    transaction_id = models.CharField(max_length=128)
    schema = models.CharField(max_length=40)
    label = models.CharField(max_length=10)
    source = models.CharField(max_length=10)
    occurred_at = models.DateTimeField(null=True, help_text="When the fraud, or its denial, happened.")
    known_at = models.DateTimeField(help_text="When it was learned: no feature of anything dated before sees it.")
    recorded_at = models.DateTimeField()
    recorded_by = models.CharField(max_length=200)
    amount_lost = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    holds = models.BooleanField()
    marked_at = models.DateTimeField(null=True, help_text="When the parties' recent activity was told of it.")
    # Of the decision.
    decided_at = models.DateTimeField()
    fraud_probability = models.FloatField(null=True)
    recommended_action = models.CharField(max_length=9)
    model_name = models.CharField(max_length=40, blank=True)
    model_version = models.CharField(max_length=40, blank=True)
    amount = models.FloatField(default=0)
    rules_hit = ArrayField(models.TextField(), default=list, db_default=[])

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["decision_id"], condition=models.Q(holds=True), name="one_label_of_a_decision_holds"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["decision_id"], name="label_of_decision"),
            models.Index(fields=["transaction_id"], name="label_of_transaction"),
            models.Index(fields=["livemode", "-recorded_at", "-id"], name="label_newest_first"),
            models.Index(fields=["decided_at"], condition=models.Q(holds=True), name="label_by_decision_time"),
            models.Index(fields=["id"], condition=models.Q(marked_at=None), name="label_to_mark"),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.decision_id}"


class LabelMonth(models.Model):
    """Labels that hold, by the month of their decisions and what both said: see `label_months.py`."""

    month = models.DateField(help_text="Its first day.")
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    model = models.CharField(max_length=90, help_text="name@version")
    fraud = models.BooleanField()
    caught = models.BooleanField(help_text="The decision did not approve.")
    bin = models.SmallIntegerField(help_text="Of fraud probability.")
    labels = models.BigIntegerField()
    amount = models.FloatField(help_text="In the transactions' own currencies.")
    lost = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "month", "schema", "model", "fraud", "caught", "bin"], name="label_month_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.labels} labels of {self.month:%Y-%m}"


class DelayMonth(models.Model):
    """Labels that hold, by the month of their decisions and how many days later they were known."""

    month = models.DateField(help_text="Its first day.")
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    days = models.IntegerField()
    labels = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "month", "schema", "days"], name="delay_month_once")
        ]

    def __str__(self) -> str:
        return f"{self.labels} labels of {self.month:%Y-%m} after {self.days} days"


class Queue(models.Model):
    """A tenant's own queue of review cases, or what it made of the default one (`code` is "default" then)."""

    code = models.CharField(max_length=32)
    livemode = models.BooleanField()
    name = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(help_text="A case goes to the first queue that takes it.")
    criteria = models.JSONField(default=dict, help_text="See cases/criteria.py; empty takes every case.")
    order = models.CharField(max_length=8, help_text="What comes first: cases/priority.py.")
    sla_minutes = models.PositiveIntegerField()
    second_review_above = models.FloatField(null=True, help_text="Null: as the default queue.")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["livemode", "code"], name="review_queue_once")]

    def __str__(self) -> str:
        return self.code


class Case(models.Model):
    """A transaction that a person is to decide on. Opened by the recorder, with the decision that asked for a review.

    One per transaction until it is resolved: a superseding decision joins it. The decision's own columns are those of
    the last one. `holder` has it until `lease_until`, by the database's clock, and nobody else does.
    """

    OPEN, SECOND_REVIEW, DISPUTED, RESOLVED = "open", "second_review", "disputed", "resolved"
    STATES = (OPEN, SECOND_REVIEW, DISPUTED, RESOLVED)

    id = models.CharField(primary_key=True, max_length=32)
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    transaction_id = models.CharField(max_length=128)
    transaction_hash = models.CharField(max_length=32, help_text="Keyed: masked ids of several transactions are one.")
    created_at = models.DateTimeField(help_text="Of the decision that opened it: the SLA's clock starts there.")
    state = models.CharField(max_length=13, default=OPEN)
    # Of the last decision.
    decision_id = models.CharField(max_length=32)
    decided_at = models.DateTimeField()
    decisions = models.PositiveIntegerField(default=1)
    fraud_probability = models.FloatField(null=True)
    risk_score = models.SmallIntegerField(null=True)
    amount = models.FloatField()
    rules_hit = ArrayField(models.TextField(), default=list)
    expected_loss = models.FloatField(help_text="Probability times amount, in the transaction's currency.")
    # Where it waits.
    queue = models.CharField(max_length=32)
    rank = models.FloatField(help_text="In its queue the largest comes first.")
    due_at = models.DateTimeField()
    holder = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    assignee = models.CharField(max_length=200, blank=True, help_text="Whom it was given to: nobody else takes it.")
    # How it ended.
    resolution = models.CharField(max_length=10, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True)
    label_id = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transaction_hash", "schema", "livemode"],
                condition=~models.Q(state="resolved"),
                name="one_open_case_a_transaction",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["livemode", "-created_at", "-id"], name="case_newest_first"),
            models.Index(fields=["transaction_hash"], name="case_of_transaction"),
            models.Index(fields=["transaction_id"], name="case_by_transaction_id"),
            models.Index(fields=["decision_id"], name="case_by_decision"),
            models.Index(
                fields=["livemode", "queue", "-rank", "-id"],
                condition=~models.Q(state="resolved"),
                name="case_next_of_queue",
            ),
            # With the queue, so that what waits in each is counted from the index alone.
            models.Index(
                fields=["livemode", "due_at"],
                include=["queue"],
                condition=~models.Q(state="resolved"),
                name="case_that_waits",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class Verdict(models.Model):
    """What one reviewer made of a case as its decision stood then. Above an amount two must agree."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="verdicts")
    decision_id = models.CharField(max_length=32)
    reviewer = models.CharField(max_length=200)
    resolution = models.CharField(max_length=10)
    settles = models.BooleanField(help_text="The third, an admin's, when two did not agree.")
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["case", "decision_id", "reviewer"], name="one_verdict_a_reviewer")
        ]

    def __str__(self) -> str:
        return f"{self.resolution} by {self.reviewer}"


class CaseNote(models.Model):
    """What somebody wrote down on a case; card numbers are masked."""

    id = models.CharField(primary_key=True, max_length=32)
    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="notes")
    author = models.CharField(max_length=200)
    at = models.DateTimeField()
    text = models.TextField()

    class Meta:
        ordering: ClassVar = ["at", "id"]

    def __str__(self) -> str:
        return self.id


class Evidence(models.Model):
    """A file that was attached to a case. Its bytes stand in the files' store (`cases/evidence.py`)."""

    id = models.CharField(primary_key=True, max_length=32)
    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="evidence")
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=60)
    size = models.PositiveIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    added_by = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["at", "id"]

    def __str__(self) -> str:
        return self.id
