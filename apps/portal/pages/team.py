"""The team: who may do what here, inviting, changing roles, leaving."""

from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.mail import EmailMultiAlternatives
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from apps.accounts import invitations
from apps.accounts.models import Invitation, Membership
from apps.offboarding import leaving
from apps.portal.accounts import INVITATION
from apps.portal.filters import choice_in, search_in
from apps.portal.page import Page
from apps.portal.roles import GRANTS, PERMISSIONS, Permission, Role
from apps.portal.table import Column, Empty, Table
from apps.portal.tenancy import TENANT


class InviteForm(forms.Form):
    """Somebody to be invited; the roles are those the inviter may give."""

    email = forms.EmailField(max_length=254, label="E-mail")
    role = forms.ChoiceField(initial=Role.VIEWER)

    def __init__(self, data: Any, by: str) -> None:
        super().__init__(data)
        granted = [role for role in Role if role in GRANTS[Role(by)]]
        self.fields["role"].choices = [(role.value, role.label) for role in granted]  # type: ignore[attr-defined]


class Person(NamedTuple):
    """Somebody of the team: a member, or who is invited. `changeable`: by whoever looks."""

    email: str
    role: str
    state: str
    member: Membership | None = None
    invitation: Invitation | None = None
    changeable: bool = False


TABLE = Table(
    row="portal/rows/person.html",
    filters=(search_in("E-mail", lambda one: one.email),
             choice_in("role", "Role", Role.choices, lambda one: one.role)),
    columns=(
        Column("email", "Person", lambda one: one.email, ("email",)),
        Column("role", "Role", lambda one: Role(one.role).label, ("role",)),
        Column("state", "State", lambda one: one.state, ("state",)),
    ),
)  # fmt: skip


class TeamPage(Page):
    """Members, open invitations, and what each role may do."""

    title, template = "Team", "portal/pages/team.html"
    changes, sensitive = Permission.TEAM, True

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "table": TABLE.show(self.request, self._people(), Empty("Nobody here")),
            "form": InviteForm(None, self.membership.role),
            "roles": [role for role in Role if role in GRANTS[Role(self.membership.role)]],
            "permissions": [
                (permission.value, [permission in PERMISSIONS[role] for role in Role]) for permission in Permission
            ],
            "all_roles": list(Role),
        }

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._people(), "team") if TABLE.exports(request) else super().get(request)

    def _people(self) -> list[Person]:
        granted = GRANTS[Role(self.membership.role)]
        members = Membership.objects.filter(tenant=self.tenant).select_related("user").order_by("pk")
        open_ones = Invitation.objects.filter(tenant=self.tenant, accepted_at=None).order_by("pk")
        return [
            *(
                Person(one.user.email, one.role, "member", member=one, changeable=one.role in granted)
                for one in members
            ),
            *(
                Person(one.email, one.role, "expired" if one.expires_at < self.now else "invited", invitation=one)
                for one in open_ones
            ),
        ]

    def post(self, request: HttpRequest) -> HttpResponse:
        form = InviteForm(request.POST, self.membership.role)
        if form.is_valid():
            try:
                made, secret = invitations.invite(
                    tenant=self.tenant, now=self.now, actor=self.actor, **form.cleaned_data
                )
            except invitations.NotPossible as wrong:
                form.add_error("email", str(wrong))
            else:
                _send(request, made, secret)
                messages.success(request, f"{made.email} is invited; the link works for a week.")
                return redirect("team")
        return self.page(**self.context() | {"form": form}, status=422)


class ChangeMember(Page):
    """Another role for somebody, or the end of a membership. Everybody may leave."""

    sensitive = works_when_closed = True
    http_method_names = ["post"]

    def post(self, request: HttpRequest, membership_id: int) -> HttpResponse:
        member = Membership.objects.select_related("user").filter(tenant=self.tenant, pk=membership_id).first()
        if member is None:
            raise Http404
        leaves = member.pk == self.membership.pk and request.POST.get("do") == "remove"
        if not leaves:
            self._may_change(member, request.POST.get("role"))
        try:
            self._change(member, request)
        except invitations.NotPossible as wrong:
            messages.error(request, str(wrong))
        return redirect("dashboard" if leaves else "team")

    def _change(self, member: Membership, request: HttpRequest) -> None:
        if request.POST.get("do") == "remove":
            if member.pk == self.membership.pk:
                leaving.leave_tenant(membership=member, now=self.now)
            else:
                invitations.remove(membership=member, now=self.now, actor=self.actor)
        elif (role := request.POST.get("role")) in Role.values:
            invitations.change_role(membership=member, role=str(role), now=self.now, actor=self.actor)

    def _may_change(self, member: Membership, role: str | None) -> None:
        granted = GRANTS[Role(self.membership.role)]
        if not self.may(Permission.TEAM) or member.role not in granted or (role and role not in granted):
            raise PermissionDenied("Your role can't change this.")


class WithdrawInvitation(Page):
    """An open invitation, taken back."""

    permission = Permission.TEAM
    http_method_names = ["post"]

    def post(self, request: HttpRequest, invitation_id: int) -> HttpResponse:
        found = Invitation.objects.filter(tenant=self.tenant, pk=invitation_id, accepted_at=None).first()
        if found is None:
            raise Http404
        invitations.withdraw(invitation=found, now=self.now, actor=self.actor)
        return redirect("team")


@require_http_methods(["GET", "POST"])
def invited(request: HttpRequest, secret: str) -> HttpResponse:
    """Where an invitation's link leads: log in or sign up, then accept."""
    now = timezone.now()
    found = invitations.open_invitation(secret, now)
    if found is None:
        return render(request, "portal/pages/invited.html", {"title": "This link has ended"}, status=404)
    if not request.user.is_authenticated:
        request.session[INVITATION] = found.pk
        return redirect_to_login(request.path, reverse("account_signup"))
    wrong = ""
    if request.method == "POST":
        try:
            membership = invitations.accept(invitation=found, user=request.user, now=now)
        except invitations.NotPossible as failure:
            wrong = str(failure)
        else:
            request.session[TENANT] = membership.tenant_id
            return redirect("dashboard")
    context = {"title": f"Join {found.tenant.name}", "invitation": found, "wrong": wrong}
    return render(request, "portal/pages/invited.html", context)


def _send(request: HttpRequest, invitation: Invitation, secret: str) -> None:
    """Mail the link; the only place where its secret stands."""
    context = {"invitation": invitation, "link": request.build_absolute_uri(reverse("invited", args=[secret]))}
    text = render_to_string("portal/mails/invitation.txt", context)
    subject, _, body = text.partition("\n")
    EmailMultiAlternatives(subject.strip(), body.strip() + "\n", settings.DEFAULT_FROM_EMAIL, [invitation.email]).send()
