"""Tables of a tenant's schema: labels, with what they say of which decision."""

from typing import ClassVar

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
