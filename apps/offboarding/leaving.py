"""A person goes: out of a tenant, or for good."""

from datetime import datetime

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string

from apps.accounts import invitations
from apps.accounts.audit import record_audit
from apps.accounts.models import Membership, Tenant, User
from apps.notifications.services import notify

Role = Membership.Role


class StillOwns(ValueError):
    """Somebody is the only owner of these tenants: they hand over, or close them, first."""

    def __init__(self, tenants: list[Tenant]) -> None:
        super().__init__(", ".join(tenant.name for tenant in tenants))
        self.tenants = tenants


@transaction.atomic
def leave_tenant(*, membership: Membership, now: datetime) -> None:
    """Leave a tenant; its owners and admins are told. Raises `invitations.NotPossible` for the last owner."""
    email = membership.user.email
    invitations.remove(membership=membership, now=now, actor=email)
    data, key = {"email": email, "role": membership.role}, f"left:{membership.pk}"
    notify(tenant=membership.tenant, kind="member.left", data=data, key=key, now=now)


@transaction.atomic
def delete_user(*, user: User, now: datetime) -> None:
    """Delete somebody's account: memberships, second factors, sessions and all. Raises `StillOwns`.

    What they did stays in the audit trail under their address, as what it is: history of others.
    """
    if alone := sole_ownerships(user):
        raise StillOwns(alone)
    for membership in Membership.objects.filter(user=user).select_related("tenant", "user").order_by("pk"):
        leave_tenant(membership=membership, now=now)
    record_audit(tenant=None, actor=user.email, action="user.deleted", target=user.email, now=now)
    email = user.email
    user.delete()
    transaction.on_commit(lambda: _say_goodbye(email))


def sole_ownerships(user: User) -> list[Tenant]:
    """The tenants whose only owner somebody is, closed ones that can still be undone among them."""
    mine = Tenant.objects.filter(membership__user=user, membership__role=Role.OWNER)
    others = Membership.objects.filter(role=Role.OWNER).exclude(user=user).values("tenant_id")
    return list(mine.exclude(pk__in=others))


def _say_goodbye(email: str) -> None:
    subject, _, body = render_to_string("portal/mails/goodbye.txt", {"email": email}).partition("\n")
    EmailMultiAlternatives(subject.strip(), body.strip() + "\n", None, [email]).send()
