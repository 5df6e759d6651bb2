"""Simulations and the decisions that would have come out otherwise. Tables of a tenant's schema."""

from typing import ClassVar

from django.db import models


class Simulation(models.Model):
    """A policy held against the decisions of a span, and how far it is.

    queued ─► running ─► completed, failed
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32)
    livemode = models.BooleanField()
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    policy = models.JSONField(help_text="See engine/decide.py; as it was read.")
    against = models.IntegerField(help_text="The version that was in force.")
    begin = models.DateTimeField()
    end = models.DateTimeField(help_text="Before this.")
    schema = models.CharField(max_length=40, blank=True, help_text="Only this kind of transaction; empty: all.")
    costs = models.JSONField(help_text="See curves.Costs.")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it failed.")
    total = models.BigIntegerField(default=0, help_text="Decisions of the span, by the roll-ups.")
    done = models.BigIntegerField(default=0)
    touched_at = models.DateTimeField(help_text="When it last came further.")
    finished_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True, help_text="See outcome.Outcome.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["livemode", "-asked_at", "-id"], name="simulation_newest_first")]

    def __str__(self) -> str:
        return self.id

    @property
    def percent(self) -> int:
        """How far it is, 100 only when it is completed."""
        if self.state == self.State.COMPLETED:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0


class Flip(models.Model):
    """A decision that the policy would have made otherwise; numbered in the order of deciding."""

    id = models.BigAutoField(primary_key=True)
    simulation = models.ForeignKey(Simulation, on_delete=models.CASCADE, related_name="flips")
    decision_id = models.CharField(max_length=32)
    decided_at = models.DateTimeField()
    schema = models.CharField(max_length=40)
    transaction_id = models.CharField(max_length=128)
    amount = models.FloatField()
    fraud_probability = models.FloatField(null=True)
    before = models.CharField(max_length=9, help_text="What was recommended.")
    after = models.CharField(max_length=9)
    decisive_before = models.CharField(max_length=80, help_text="kind:id, as the decision has it.")
    decisive_after = models.CharField(max_length=80)
    label = models.CharField(max_length=10, blank=True, help_text="That holds now; empty: none.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["simulation", "id"], name="flip_in_order"),
            models.Index(fields=["decision_id"], name="flip_of_decision"),
        ]

    def __str__(self) -> str:
        return f"{self.decision_id}: {self.before} → {self.after}"
