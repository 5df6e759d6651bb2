"""Signing up, logging in, mails of accounts: django-allauth, told how we want it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps import addresses
from apps.accounts import invitations
from apps.accounts.audit import record_audit
from apps.accounts.models import Invitation, Tenant, User
from apps.accounts.services import free_slug, make_owner
from apps.billing.subscriptions.services import sign_up
from apps.portal.tenancy import TENANT
from apps.text import refusal

PLAN_AT_SIGN_UP = "free"
#: Where a session keeps which invitation's link was followed by somebody who is not logged in.
INVITATION = "invitation"
#: What allauth mails somebody when how they log in was changed: the mail's template → the line of the audit trail.
CHANGED: Mapping[str, str] = {
    "account/email/password_changed": "user.password_changed",
    "account/email/password_reset": "user.password_reset",
    "account/email/password_set": "user.password_set",
    "account/email/email_changed": "user.email_changed",
    "account/email/email_deleted": "user.email_deleted",
    "mfa/email/totp_activated": "user.totp_activated",
    "mfa/email/totp_deactivated": "user.totp_deactivated",
    "mfa/email/recovery_codes_generated": "user.recovery_codes_generated",
    "mfa/email/webauthn_added": "user.passkey_added",
    "mfa/email/webauthn_removed": "user.passkey_removed",
}


class CompanyField(forms.CharField):
    """A company's name, on one line."""

    def __init__(self) -> None:
        super().__init__(max_length=200, label="Company", help_text="As it stands on your invoices.")

    def clean(self, value: Any) -> str:
        company = " ".join(str(super().clean(value)).split())
        if wrong := refusal(company):
            raise forms.ValidationError(f"The name {wrong}.")
        return company


class SignUpForm(forms.Form):
    """What we ask beside e-mail and password: who the company is. allauth calls `signup` in its own transaction.

    Whoever follows an invitation joins the company that invites, and is not asked for one.
    """

    company = CompanyField()
    field_order = ("company", "email", "password1")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.invitation = followed_invitation(context.request)
        if self.invitation:
            kwargs["initial"] = {"email": self.invitation.email, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        if self.invitation:
            del self.fields["company"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.invitation and cleaned.get("email", self.invitation.email).lower() != self.invitation.email:
            self.add_error("email", f"The invitation is for {self.invitation.email}: sign up with that address.")
        return cleaned

    def signup(self, request: HttpRequest, user: User) -> None:
        """Make the tenant, or join the one that invites, and look at it from the first page on."""
        now = timezone.now()
        if self.invitation:
            tenant = invitations.accept(invitation=self.invitation, user=user, now=now).tenant
            del request.session[INVITATION]
        else:
            tenant = sign_up_company(self.cleaned_data["company"], user, now)
        request.session[TENANT] = tenant.pk


def followed_invitation(request: HttpRequest | None) -> Invitation | None:
    """The open invitation whose link this browser came by."""
    known = request.session.get(INVITATION) if request else None
    return invitations.still_open(known, timezone.now()) if known else None


def sign_up_company(company: str, user: User, now: datetime) -> Tenant:
    """A tenant on the Free plan that the user owns: some 50 ms."""
    tenant = sign_up(slug=free_slug(company), name=company, plan=PLAN_AT_SIGN_UP, now=now, actor=user.email)
    make_owner(tenant=tenant, user=user, now=now, actor=user.email)
    return tenant


class AccountAdapter(DefaultAccountAdapter):
    """allauth's door to the rest of us."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """The client as far as our own proxies say: allauth's limits are counted by it."""
        return addresses.client_address(request.META, settings.TRUSTED_PROXIES)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("start")

    def get_email_verification_redirect_url(self, email_address: Any) -> str:
        return reverse("start")

    def send_notification_mail(self, template_prefix: str, user: Any, *args: Any, **kwargs: Any) -> None:
        """Tell somebody that how they log in was changed: what is mailed is audited."""
        action = CHANGED[template_prefix]
        record_audit(tenant=None, actor=user.email, action=action, target=user.email, now=timezone.now())
        super().send_notification_mail(template_prefix, user, *args, **kwargs)

    def logout(self, request: HttpRequest) -> None:
        user = request.user
        if user.is_authenticated:
            record_audit(tenant=None, actor=user.email, action="user.logged_out", target=user.email, now=timezone.now())
        super().logout(request)

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        confirmed = super().confirm_email(request, email_address)
        if confirmed:
            user = email_address.user
            record_audit(
                tenant=None, actor=user.email, action="user.email_confirmed", target=user.email, now=timezone.now()
            )
        return bool(confirmed)
