"""Inviting people into a tenant, changing their roles, removing them. A tenant always keeps an owner."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.core.validators import validate_email
from django.db import transaction

from apps.accounts.audit import record_audit
from apps.accounts.models import Invitation, Membership, Tenant, User

VALID_FOR = timedelta(days=7)
#: Invitations of one tenant that are open at once: a stolen session must not become a mail cannon.
MOST_OPEN = 50


class NotPossible(ValueError):
    """What was asked can't be: the message says why."""


@transaction.atomic
def invite(*, tenant: Tenant, email: str, role: str, now: datetime, actor: str) -> tuple[Invitation, str]:
    """Invite somebody by e-mail; the invitation and the secret of its link, of which only a hash is kept.

    An open invitation of the same address is replaced. Raises `NotPossible`, `ValidationError`.
    """
    email = User.objects.normalize_email(email).lower()
    validate_email(email)
    if Membership.objects.filter(tenant=tenant, user__email=email).exists():
        raise NotPossible(f"{email} is a member already.")
    Invitation.objects.filter(tenant=tenant, email=email, accepted_at=None).delete()
    if Invitation.objects.filter(tenant=tenant, accepted_at=None, expires_at__gt=now).count() >= MOST_OPEN:
        raise NotPossible(f"{MOST_OPEN} invitations are open: wait until some are accepted, or withdraw some.")
    secret = secrets.token_urlsafe(32)
    made = Invitation.objects.create(
        tenant=tenant, email=email, role=role, digest=digest_of(secret), invited_by=actor,
        created_at=now, expires_at=now + VALID_FOR,
    )  # fmt: skip
    record_audit(tenant=tenant, actor=actor, action="invitation.created", target=email, after={"role": role}, now=now)
    return made, secret


def open_invitation(secret: str, now: datetime) -> Invitation | None:
    """The invitation a link stands for, while it is open."""
    rows = Invitation.objects.select_related("tenant")
    return rows.filter(digest=digest_of(secret), accepted_at=None, expires_at__gt=now).first()


def still_open(invitation_id: int, now: datetime) -> Invitation | None:
    """That invitation, while it is open."""
    rows = Invitation.objects.select_related("tenant")
    return rows.filter(pk=invitation_id, accepted_at=None, expires_at__gt=now).first()


@transaction.atomic
def accept(*, invitation: Invitation, user: User, now: datetime) -> Membership:
    """Make the invited person a member. Raises `NotPossible` when somebody else follows the link."""
    row = Invitation.objects.select_for_update().select_related("tenant").get(pk=invitation.pk)
    if row.accepted_at is not None:
        raise NotPossible("The invitation was accepted already.")
    if row.email != user.email.lower():
        raise NotPossible(f"The invitation is for {row.email}; you are logged in as {user.email}.")
    row.accepted_at = now
    row.save(update_fields=["accepted_at"])
    made, _ = Membership.objects.get_or_create(user=user, tenant=row.tenant, defaults={"role": row.role})
    after = {"user": user.email, "role": made.role}
    record_audit(
        tenant=row.tenant, actor=user.email, action="membership.created", target=user.email, after=after, now=now
    )
    return made


@transaction.atomic
def withdraw(*, invitation: Invitation, now: datetime, actor: str) -> None:
    """Take an open invitation back."""
    record_audit(tenant=invitation.tenant, actor=actor, action="invitation.withdrawn", target=invitation.email, now=now)
    invitation.delete()


@transaction.atomic
def change_role(*, membership: Membership, role: str, now: datetime, actor: str) -> None:
    """Give a member another role. Raises `NotPossible` for the last owner."""
    row = _locked(membership)
    if row.role == role:
        return
    _keep_an_owner(row)
    before, row.role = row.role, role
    row.save(update_fields=["role"])
    record_audit(
        tenant=row.tenant, actor=actor, action="membership.changed", target=row.user.email,
        before={"role": before}, after={"role": role}, now=now,
    )  # fmt: skip


@transaction.atomic
def remove(*, membership: Membership, now: datetime, actor: str) -> None:
    """End a membership: at the next request its person is out. Raises `NotPossible` for the last owner."""
    row = _locked(membership)
    _keep_an_owner(row)
    record_audit(
        tenant=row.tenant, actor=actor, action="membership.removed", target=row.user.email,
        before={"role": row.role}, now=now,
    )  # fmt: skip
    row.delete()


def digest_of(secret: str) -> str:
    """What is kept of a link's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _locked(membership: Membership) -> Membership:
    """The row, with its tenant locked: two owners must not remove each other at the same time."""
    Tenant.objects.select_for_update().get(pk=membership.tenant_id)
    return Membership.objects.select_related("user", "tenant").get(pk=membership.pk)


def _keep_an_owner(row: Membership) -> None:
    others = Membership.objects.filter(tenant=row.tenant, role=Membership.Role.OWNER).exclude(pk=row.pk)
    if row.role == Membership.Role.OWNER and not others.exists():
        raise NotPossible("The account needs an owner: make somebody else one first.")
