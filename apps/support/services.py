"""Asking for support: kept, and mailed to those who answer and to who asked, in one transaction."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from apps import times
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.billing.subscriptions.services import plan_for
from apps.notifications.models import new_id
from apps.notifications.services import notify
from apps.support.models import SupportRequest
from apps.support.response_times import answer_by

#: Requests of a tenant within a day: more are a mishap, or no questions.
MOST_A_DAY = 20


class TooMany(ValueError):
    """The tenant has asked as often as it may within a day."""


@transaction.atomic
def ask(*, tenant: Tenant, asked_by: str, topic: str, subject: str, message: str, now: datetime) -> SupportRequest:
    """Keep a request and mail it. Raises `TooMany`."""
    if SupportRequest.objects.filter(tenant=tenant, asked_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise TooMany
    plan, _, _ = plan_for(tenant.pk)
    made = SupportRequest.objects.create(
        id=new_id("sup", now), tenant=tenant, asked_by=asked_by, asked_at=now, topic=topic, subject=subject,
        message=message, answer_by=answer_by(plan.name, now),
    )  # fmt: skip
    data = {
        "request": made.pk,
        "by": asked_by,
        "topic": made.get_topic_display(),
        "subject": subject,
        "message": message,
        "plan": plan.name,
        "answer_by": times.rfc3339_or_none(made.answer_by),
    }
    for kind, to in (("support.asked", settings.SUPPORT_EMAIL), ("support.received", asked_by)):
        notify(tenant=tenant, kind=kind, data=data, key=f"{kind}:{made.pk}", now=now, to=[to])
    record_audit(tenant=tenant, actor=asked_by, action="support.asked", target=made.pk, after={"topic": topic}, now=now)
    return made


def mark_answered(*, request: SupportRequest, now: datetime, actor: str) -> bool:
    """Note that it was answered; False when it was before."""
    changed = SupportRequest.objects.filter(pk=request.pk, answered_at=None).update(answered_at=now)
    if changed:
        record_audit(tenant=request.tenant, actor=actor, action="support.answered", target=request.pk, now=now)
    return bool(changed)
