"""The portal's pages: one line each. Accounts (sign-up, login, passwords, second factors) are allauth's."""

from django.urls import URLPattern, URLResolver, include, path

from apps.portal.landing import landing
from apps.portal.pages import dashboard, decisions, keys, mailbox, start, tenants

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
]
