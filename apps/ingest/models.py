"""Tables of a tenant's schema: the quality of a day's transactions, and predictions made elsewhere."""

from typing import ClassVar

from django.db import models


class QualityDay(models.Model):
    """Transactions of one day (UTC) by what a check found at a field; check "" counts all, "refused" those refused."""

    day = models.DateField()
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    check_name = models.CharField(max_length=20, blank=True)
    field = models.CharField(max_length=80, blank=True)
    transactions = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "day", "schema", "check_name", "field"], name="quality_day_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.check_name or 'all'} {self.field} on {self.day}"


class FieldDay(models.Model):
    """A field's values of one day: how many were sent, the keyed hash of the first, and how many came that differ."""

    day = models.DateField()
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    field = models.CharField(max_length=80)
    first_value = models.CharField(max_length=32, help_text="Keyed hash.")
    sent = models.BigIntegerField()
    others = models.BigIntegerField(help_text="At least so many were not the first value.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "field"], name="field_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.field} on {self.day}"


class Prediction(models.Model):
    """What somebody else's model said of a transaction, kept beside ours. Sent again it replaces what was there."""

    id = models.CharField(primary_key=True, max_length=32)
    created_at = models.DateTimeField()
    livemode = models.BooleanField()
    transaction_id = models.CharField(max_length=128)
    model = models.CharField(max_length=80)
    model_version = models.CharField(max_length=80, blank=True)
    fraud_probability = models.FloatField()
    is_fraud = models.BooleanField()
    predicted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "transaction_id", "model", "model_version"], name="one_prediction_a_model"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["livemode", "-created_at", "-id"], name="prediction_newest_first"),
        ]

    def __str__(self) -> str:
        return self.id
