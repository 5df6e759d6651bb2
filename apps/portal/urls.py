"""The portal's pages: one line each. Accounts (sign-up, login, passwords, second factors) are allauth's."""

from django.urls import URLPattern, URLResolver, include, path

from apps.portal.landing import landing
from apps.portal.pages import (
    audit,
    dashboard,
    decisions,
    invoices,
    keys,
    mailbox,
    plan,
    policy,
    security,
    start,
    team,
    tenants,
    try_it,
    usage,
    webhooks,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", landing, name="landing"),
    path("account/", include("allauth.urls")),
    path("mailbox/", mailbox.mailbox, name="mailbox"),
    path("mode/", tenants.mode, name="mode"),
    path("switch/", tenants.switch, name="switch"),
    path("companies/new/", tenants.new_tenant, name="new_tenant"),
    path("companies/none/", tenants.no_tenant, name="no_tenant"),
    path("start/", start.StartPage.as_view(), name="start"),
    path("start/first-call/", start.FirstCall.as_view(), name="first_call"),
    path("dashboard/", dashboard.DashboardPage.as_view(), name="dashboard"),
    path("decisions/", decisions.DecisionsPage.as_view(), name="decisions"),
    path("decisions/<str:decision_id>/", decisions.DecisionPage.as_view(), name="decision"),
    path("keys/", keys.KeysPage.as_view(), name="keys"),
    path("keys/<int:key_id>/rotate/", keys.RotateKey.as_view(), name="rotate_key"),
    path("keys/<int:key_id>/revoke/", keys.RevokeKey.as_view(), name="revoke_key"),
    path("webhooks/", webhooks.WebhooksPage.as_view(), name="webhooks"),
    path("webhooks/<str:webhook_id>/", webhooks.WebhookPage.as_view(), name="webhook"),
    path("deliveries/<str:delivery_id>/replay/", webhooks.ReplayDelivery.as_view(), name="replay_delivery"),
    path("usage/", usage.UsagePage.as_view(), name="usage"),
    path("invoices/", invoices.InvoicesPage.as_view(), name="invoices"),
    path("invoices/<str:invoice_id>.pdf", invoices.InvoicePaper.as_view(), name="invoice_paper"),
    path("audit/", audit.AuditPage.as_view(), name="audit"),
    path("security/", security.SecurityPage.as_view(), name="security"),
    path("security/sessions/<int:session_id>/end/", security.EndSession.as_view(), name="end_session"),
    path("plan/", plan.PlanPage.as_view(), name="plan"),
    path("plan/card/", plan.EnterCard.as_view(), name="enter_card"),
    path("team/", team.TeamPage.as_view(), name="team"),
    path("team/<int:membership_id>/", team.ChangeMember.as_view(), name="change_member"),
    path(
        "team/invitations/<int:invitation_id>/withdraw/", team.WithdrawInvitation.as_view(), name="withdraw_invitation"
    ),
    path("invited/<str:secret>/", team.invited, name="invited"),
    path("try/", try_it.TryPage.as_view(), name="try"),
    path("try/<str:name>/", try_it.TryAnswer.as_view(), name="try_answer"),
    path("policy/", policy.PolicyPage.as_view(), name="policy"),
    path("policy/<int:version>/restore/", policy.RestorePolicy.as_view(), name="restore_policy"),
]
