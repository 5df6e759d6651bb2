"""Requests for support, in `public`: whoever answers looks at all of them."""

from typing import ClassVar

from django.db import models

from apps.accounts.models import Tenant

TOPICS = (
    ("question", "A question"),
    ("problem", "Something does not work"),
    ("scores", "A score I don't understand"),
    ("billing", "Invoices and payment"),
    ("other", "Something else"),
)


class SupportRequest(models.Model):
    """What somebody of a tenant asked. `answer_by` is what their plan promised then."""

    id = models.CharField(primary_key=True, max_length=32)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    asked_by = models.EmailField(max_length=254)
    asked_at = models.DateTimeField()
    topic = models.CharField(max_length=10, choices=TOPICS)
    subject = models.CharField(max_length=200)
    message = models.TextField(max_length=10_000)
    answer_by = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-asked_at"]
        indexes: ClassVar = [models.Index(fields=["tenant", "-asked_at", "-id"], name="support_of_tenant")]

    def __str__(self) -> str:
        return self.subject
