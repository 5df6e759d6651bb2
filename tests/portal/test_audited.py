"""Every address that changes something leaves one line of the audit trail: the addresses are walked, not chosen."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from apps.accounts import invitations
from apps.accounts.models import AuditEntry, Membership
from apps.accounts.tenancy import in_tenant
from apps.alerts.conditions import Condition
from apps.alerts.models import Alert
from apps.alerts.rules import default_rule
from apps.alerts.services import record_conditions
from apps.api_keys.services import get_gate
from apps.batches.models import Batch
from apps.notifications.services import create_webhook, send_test
from apps.offboarding import closing
from apps.portal.page import Page
from apps.portal.urls import urlpatterns
from apps.scoring.models import ListItem, PublishedPolicy
from tests.batches.sent import csv_of
from tests.cast import Cast, new_key
from tests.factories import DecisionFactory, MembershipFactory, UserFactory
from tests.own_models.kept import enough_frauds, kept
from tests.review.cases import a_case

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"

RULE_TEXT = {"id": "large", "outcome": "review", "schema": "payments", "when": "amount > 5000"}
#: Addresses that take a POST and change nothing that is kept, or nothing of ours: why.
UNAUDITED: Mapping[str, str] = {
    "confirm_again": "asks for a mail; what its link does is audited",
    "mode": "live or test is where a session looks",
    "switch": "which company a session looks at",
    "try_answer": "a dry run stores nothing; the key it is made with is audited when it is made",
    "decisions": "a search is kept for oneself: nothing of the company's",
    "check_rule": "a condition is read while it is written; nothing is kept",
    "repeat_decision": "a dry run, as trying out is",
    "replay_decision": "a decision made again; nothing is kept of it",
    "enter_card": "a link to the provider's page; what is entered there comes as subscription.payment_method",
}


class Scene(NamedTuple):
    """A company of alice's, its owner, and the owner's browser."""

    cast: Cast
    owner: Membership
    browser: Client


class Act(NamedTuple):
    """What is sent to an address, once `prepare` has made what it needs; it says the address's arguments."""

    action: str
    form: dict[str, Any] = {}
    prepare: Callable[[Scene], list[Any]] = lambda scene: []


def key(scene: Scene) -> list[Any]:
    return [new_key(scene.cast.alice.tenant, livemode=False)[0].pk]


def webhook(scene: Scene) -> list[Any]:
    tenant, url = scene.cast.alice.tenant, "https://example.com/hook"
    return [create_webhook(tenant=tenant, livemode=False, url=url, now=timezone.now()).pk]


ALERT_RULE = {
    "name": "Calls", "enabled": "on", "severity": "warning", "period_minutes": "30", "mailed": "owners",
    "threshold_percent": "50", "threshold_decisions": "10",
}  # fmt: skip


def alert(scene: Scene) -> list[Any]:
    rule = default_rule(scene.cast.alice.tenant, "volume_drop", livemode=False)
    record_conditions([(rule, Condition("", timezone.now(), "Fewer", "", {}))], timezone.now())
    return [Alert.objects.get(tenant=scene.cast.alice.tenant).pk]


def delivery(scene: Scene) -> list[Any]:
    tenant, url = scene.cast.alice.tenant, "https://example.com/hook"
    made = create_webhook(tenant=tenant, livemode=False, url=url, now=timezone.now())
    return [send_test(webhook=made, now=timezone.now()).pk]


def labelled_frauds(scene: Scene) -> list[Any]:
    enough_frauds(scene.cast.alice.tenant, livemode=False)
    return []


def own_model(scene: Scene) -> list[Any]:
    return [kept(scene.cast.alice.tenant, livemode=False)]


def own_rule(scene: Scene) -> list[Any]:
    assert scene.browser.post("/rules/new/", RULE_TEXT).status_code == 302
    return ["large"]


def member(scene: Scene) -> list[Any]:
    return [MembershipFactory(tenant=scene.cast.alice.tenant, role="viewer").pk]


def invitation(scene: Scene) -> list[Any]:
    made, _ = invitations.invite(
        tenant=scene.cast.alice.tenant, email="x@example.com", role="viewer", now=timezone.now(), actor="ann"
    )
    return [made.pk]


def invited(scene: Scene) -> list[Any]:
    email, tenant = scene.owner.user.email, scene.cast.bob.tenant
    _, secret = invitations.invite(tenant=tenant, email=email, role="viewer", now=timezone.now(), actor="ben")
    return [secret]


def policy(scene: Scene) -> list[Any]:
    with in_tenant(scene.cast.alice.tenant):
        PublishedPolicy.objects.create(version=1, document={"version": 1}, published_at=timezone.now())
    type(scene.cast.alice.tenant).objects.filter(pk=scene.cast.alice.tenant.pk).update(policy_version=1)
    return [1]


def other_session(scene: Scene) -> list[Any]:
    browser = Client()
    browser.force_login(scene.owner.user, backend=BACKEND)
    return [UserSession.objects.get(session_key=browser.session.session_key).pk]


def closed(scene: Scene) -> list[Any]:
    closing.close_tenant(
        tenant=scene.cast.alice.tenant, gate=get_gate(), now=timezone.now(), actor=scene.owner.user.email
    )
    return []


def another_owner(scene: Scene) -> list[Any]:
    MembershipFactory(tenant=scene.cast.alice.tenant)
    return []


def a_decision(scene: Scene) -> list[Any]:
    with in_tenant(scene.cast.alice.tenant):
        DecisionFactory(id="dec_portal")
    return ["dec_portal"]


def case(scene: Scene) -> list[Any]:
    return [a_case(scene.cast.alice.tenant, livemode=False).pk]


def own_case(scene: Scene) -> list[Any]:
    made = case(scene)
    assert scene.browser.post(f"/cases/{made[0]}/", {"do": "claim"}).status_code == 302
    return made


def labelled(scene: Scene) -> list[Any]:
    a_decision(scene)
    return []


def a_list(scene: Scene) -> list[Any]:
    assert scene.browser.post("/lists/", {"name": "mules", "item_type": "user"}).status_code == 302
    return ["mules"]


def a_list_item(scene: Scene) -> list[Any]:
    a_list(scene)
    scene.browser.post("/lists/mules/", {"values": "u0"})
    with in_tenant(scene.cast.alice.tenant):
        ListItem.objects.update(id=0)
    return ["mules"]


def a_listed_decision(scene: Scene) -> list[Any]:
    a_list(scene)
    with in_tenant(scene.cast.alice.tenant):
        DecisionFactory(id="dec_portal", facts={"nameOrig": "C1"})
    return ["dec_portal"]


def draft(scene: Scene) -> list[Any]:
    file = SimpleUploadedFile("rows.csv", csv_of(1))
    assert scene.browser.post("/batches/", {"file": file, "schema": "paysim"}).status_code == 302
    return [Batch.objects.get().pk]


def job(scene: Scene) -> list[Any]:
    Batch.objects.filter(pk__in=draft(scene)).update(state="running", rows_total=1)
    return [Batch.objects.get().pk]


def paused(scene: Scene) -> list[Any]:
    Batch.objects.filter(pk__in=job(scene)).update(state="paused")
    return [Batch.objects.get().pk]


ROWS = SimpleUploadedFile("rows.csv", csv_of(1))
VALUES = SimpleUploadedFile("values.txt", b"u1\nu2\n")
EVIDENCE = SimpleUploadedFile("call.txt", b"Knows the merchant.")
QUEUE = {"name": "Mine", "position": "1", "order": "oldest", "sla_minutes": "60"}
LABELS = SimpleUploadedFile("labels.csv", b"decision_id,label,source\ndec_portal,fraud,analyst\n")
THRESHOLDS = {"medium": 0.3, "high": 0.6, "critical": 0.8, "review_at": 0.5, "block_at": 0.9}
AN_AGGREGATE = {"name": "counted", "schema": "payments", "by": "user_id", "function": "count", "window": "1h"}
ACTS: Mapping[str, tuple[Act, ...]] = {
    "batches": (Act("batch.uploaded", {"file": ROWS, "schema": "paysim"}),),
    "batch": (
        Act("batch.created", {"do": "start", "schema": "paysim", "explain": "flagged"}, draft),
        Act("batch.cancelled", {"do": "cancel"}, job),
        Act("batch.resumed", {"do": "resume"}, paused),
        Act("batch.deleted", {"do": "delete"}, job),
    ),
    "next_case": (Act("case.claimed", {}, lambda scene: case(scene)[1:]),),
    "case": (
        Act("case.claimed", {"do": "claim"}, case),
        Act("case.released", {"do": "release"}, own_case),
        Act("case.noted", {"do": "note", "text": "Called back."}, case),
        Act("case.evidence_added", {"do": "evidence", "file": EVIDENCE}, case),
        Act("case.assigned", {"do": "assign", "to": ""}, case),
        Act("case.resolved", {"do": "resolve", "resolution": "fraud"}, case),
    ),
    "review_queues": (Act("review_queue.created", QUEUE),),
    "review_queue": (
        Act("review_queue.changed", QUEUE, lambda scene: ["default"]),
        Act("review_queue.deleted", {"do": "delete"}, lambda scene: ["default"]),
    ),
    "labels": (Act("labels.added", {"file": LABELS}, labelled),),
    "lists": (Act("list.created", {"name": "mules", "item_type": "user"}),),
    "list": (
        Act("list.items_added", {"values": "u1\nu2"}, a_list),
        Act("list.items_added", {"do": "file", "file": VALUES}, a_list),
        Act("list.items_removed", {"do": "remove", "item": "itm_0"}, a_list_item),
        Act("list.deleted", {"do": "delete"}, a_list),
    ),
    "list_decision": (Act("list.items_added", {"list": "mules", "field": "nameOrig"}, a_listed_decision),),
    "own_models": (Act("model.train", {"schema": "payments", "families": ["lightgbm"]}, labelled_frauds),),
    "own_model_retraining": (Act("model.retraining", {"schema": "payments", "weekly": "on"}),),
    "own_model": (
        Act("model.shadow", {"step": "shadow"}, own_model),
        Act("model.promote", {"step": "promote"}, own_model),
        Act("model.retire", {"step": "retire"}, own_model),
        Act("model.delete", {"step": "delete"}, own_model),
    ),
    "label_decision": (Act("labels.added", {"label": "fraud", "source": "analyst"}, a_decision),),
    "data": (
        Act("retention.changed", {"decisions": "90"}),
        Act("person.erased", {"do": "erase", "kind": "user", "name": "Ann", "again": "Ann"}),
    ),
    "start": (Act("key.created"),),
    "keys": (Act("key.created", {"name": "a key", "scopes": ["read"]}),),
    "rotate_key": (Act("key.rotated", {"overlap": "1"}, key),),
    "restrict_key": (Act("key.restricted", {"networks": "203.0.113.0/24"}, key),),
    "revoke_key": (Act("key.revoked", {}, key),),
    "alert": (
        Act("alert.acknowledged", {"do": "acknowledge"}, alert),
        Act("alert.resolved", {"do": "resolve"}, alert),
    ),
    "alert_rules": (
        Act("alert_rule.created", {"do": "rule", "kind": "volume_drop"}),
        Act("chat_channel.created", {"do": "channel", "name": "#a", "url": "https://hooks.slack.com/services/T/B/X"}),
    ),
    "alert_rule": (
        Act("alert_rule.changed", ALERT_RULE, lambda scene: ["volume_drop"]),
        Act("alert_rule.tested", {"do": "test"}, lambda scene: ["volume_drop"]),
        Act("alert_rule.deleted", {"do": "delete"}, lambda scene: ["volume_drop"]),
    ),
    "webhooks": (Act("webhook.created", {"url": "https://example.com/hook"}),),
    "webhook": (
        Act("webhook.rotated", {"do": "rotate"}, webhook),
        Act("webhook.deleted", {"do": "delete"}, webhook),
        Act("webhook.tested", {"do": "test"}, webhook),
        Act("webhook.changed", {"do": "disable"}, webhook),
    ),
    "replay_delivery": (Act("delivery.replayed", {}, delivery),),
    "usage": (
        Act("subscription.spend_cap", {"spend_cap": "500", "thresholds": "80, 100"}),
        Act("budget.changed", {"spend_cap": "", "thresholds": "50"}),
    ),
    "billing": (Act("subscription.billing_details", {"name": "Alice AG", "country": "DE", "tax_id": "DE 136695976"}),),
    "plan": (Act("subscription.plan_changed", {"plan": "basic"}),),
    "team": (Act("invitation.created", {"email": "new@example.com", "role": "viewer"}),),
    "change_member": (
        Act("membership.changed", {"role": "analyst"}, member),
        Act("membership.removed", {"do": "remove"}, member),
    ),
    "withdraw_invitation": (Act("invitation.withdrawn", {}, invitation),),
    "invited": (Act("membership.created", {}, invited),),
    "new_tenant": (Act("tenant.created", {"company": "Second"}),),
    "policy": (Act("policy.published", THRESHOLDS | {"default_action": "review"}),),
    "simulate_policy": (Act("policy.simulated", THRESHOLDS | {"default_action": "review"}),),
    "restore_policy": (Act("policy.published", {}, policy),),
    "default_policy": (Act("policy.published", {}, lambda scene: own_rule(scene)[1:]),),
    "closing": (
        Act("tenant.closing", {"name": "Alice & Co."}),
        Act("tenant.reopened", {"do": "undo"}, closed),
    ),
    "ask_export": (Act("export.asked"),),
    "delete_account": (Act("user.deleted", {}, another_owner),),
    "support": (Act("support.asked", {"topic": "question", "subject": "Why?", "message": "Say."}),),
    "new_rule": (Act("policy.published", RULE_TEXT),),
    "aggregates": (Act("policy.published", AN_AGGREGATE),),
    "import_rules": (
        Act("policy.published", {"source": "stripe_radar", "text": "Block if :amount_in_usd: > 9000", "do": "apply"}),
    ),
    "rule": (
        Act("policy.published", RULE_TEXT | {"do": "save", "outcome": "block"}, own_rule),
        Act("policy.published", {"do": "step", "state": "retired", "share": "100"}, own_rule),
    ),
    "built_in_rules": (Act("policy.published", {"rule": "device_farm", "outcome": "off"}, lambda scene: ["payments"]),),
    "end_session": (Act("user.session_ended", {}, other_session),),
}
#: What comes with an act: a key's successor is made, whoever makes a company owns it, a closed one's plan ends.
BESIDE = {
    "key.rotated": ["key.created"],
    "tenant.created": ["membership.created"],
    "tenant.closing": ["subscription.cancelled"],
    "user.deleted": ["membership.removed"],
    "model.shadow": ["policy.published"],
    "model.promote": ["policy.published"],
    "model.retire": ["policy.published"],
}


@pytest.fixture
def scene(cast: Cast) -> Scene:
    owner = MembershipFactory(tenant=cast.alice.tenant)
    browser = Client()
    browser.force_login(owner.user, backend=BACKEND)
    return Scene(cast, owner, browser)


def named() -> Iterator[tuple[str, Any]]:
    for pattern in urlpatterns:
        if isinstance(pattern, URLPattern):
            yield str(pattern.name), pattern.callback


def takes_posts(callback: Any) -> bool:
    view = getattr(callback, "view_class", None)
    return issubclass(view, Page) and hasattr(view, "post") if view else True


#: Functions that only show something.
SHOWN = {"landing", "mailbox", "no_tenant", "resume", "status", "status_json", "status_atom"}


def test_every_address_that_takes_a_form_is_acted_on_here_or_says_why_not() -> None:
    changing = {name for name, callback in named() if takes_posts(callback)} - SHOWN
    assert changing == set(ACTS) | set(UNAUDITED)


@pytest.mark.parametrize(
    ("name", "act"), [pytest.param(name, act, id=f"{name} {act.action}") for name in ACTS for act in ACTS[name]]
)
def test_an_act_leaves_one_line(scene: Scene, name: str, act: Act) -> None:
    address = reverse(name, args=act.prepare(scene))
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    answer = scene.browser.post(address, act.form, headers={"X-Request-Id": "req_of_mine"}, REMOTE_ADDR="192.0.2.7")
    assert answer.status_code in (200, 302), answer.content.decode()[:2000]
    left = AuditEntry.objects.exclude(pk__in=before)
    assert sorted(left.values_list("action", flat=True)) == sorted([act.action, *BESIDE.get(act.action, [])])
    for entry in left:
        assert (entry.actor, entry.address, entry.request_id) == (scene.owner.user.email, "192.0.2.7", "req_of_mine")
    assert answer["X-Request-Id"] == "req_of_mine"
    again = set(AuditEntry.objects.values_list("pk", flat=True))
    scene.browser.get(address)
    assert set(AuditEntry.objects.values_list("pk", flat=True)) == again, "looking leaves none"


# --- allauth's own pages -------------------------------------------------------------------------------------------

#: What a person does to their own account, by the name of the address: the line it leaves.
ACCOUNT: Mapping[str, str] = {
    "account_signup": "tenant.created",
    "account_login": "user.logged_in",
    "account_logout": "user.logged_out",
    "account_change_password": "user.password_changed",
    "account_set_password": "user.password_set",
    "account_reset_password_from_key": "user.password_reset",
    "account_confirm_email": "user.email_confirmed",
    "account_email": "user.email_deleted",
    "mfa_authenticate": "user.logged_in",
    "mfa_login_webauthn": "user.logged_in",
    "mfa_activate_totp": "user.totp_activated",
    "mfa_deactivate_totp": "user.totp_deactivated",
    "mfa_generate_recovery_codes": "user.recovery_codes_generated",
    "mfa_add_webauthn": "user.passkey_added",
    "mfa_remove_webauthn": "user.passkey_removed",
}
ACCOUNT_UNAUDITED: Mapping[str, str] = {
    "account_reauthenticate": "proves who sits here; nothing is changed",
    "mfa_reauthenticate": "the same, by a second factor",
    "mfa_reauthenticate_webauthn": "the same, by a passkey",
    "account_email_verification_sent": "says that a mail is on its way",
    "account_inactive": "says that an account is none any more",
    "account_reset_password": "asks for a mail; what its link does is audited",
    "account_reset_password_done": "says that a mail is on its way",
    "account_reset_password_from_key_done": "says that it is done",
    "mfa_index": "shows",
    "mfa_view_recovery_codes": "shows, after the password",
    "mfa_download_recovery_codes": "shows, after the password",
    "mfa_list_webauthn": "shows",
    "mfa_edit_webauthn": "what a passkey is called",
    "usersessions_list": "ends one's other sessions all at once: each is one's own",
    "account_request_login_code": "logging in by a mailed code is off",
    "account_confirm_login_code": "logging in by a mailed code is off",
    "account_request_reauthentication_code": "codes by mail are off",
    "account_confirm_reauthentication_code": "codes by mail are off",
    "mfa_trust": "trusting a browser is off",
}


def addresses_of(patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses_of(pattern.url_patterns)
        elif pattern.name:
            yield str(pattern.name)


def test_every_address_of_an_account_says_which_line_it_leaves() -> None:
    (allauth,) = [one for one in get_resolver("apps.portal.urls").url_patterns if isinstance(one, URLResolver)]
    assert set(addresses_of(allauth.url_patterns)) <= set(ACCOUNT) | set(ACCOUNT_UNAUDITED)


@pytest.fixture
def ann() -> Client:
    """A browser of somebody who is confirmed."""
    user = UserFactory(email="ann@example.com")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    browser = Client()
    answer = browser.post("/account/login/", {"login": user.email, "password": user.email})
    assert answer.status_code == 302
    browser.post("/account/reauthenticate/", {"password": user.email})
    return browser


def lines(browser: Client, path: str, form: dict[str, Any]) -> list[tuple[str, str]]:
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    answer = browser.post(path, form)
    assert answer.status_code == 302, answer.content.decode()
    return list(AuditEntry.objects.exclude(pk__in=before).values_list("action", "actor"))


def test_changing_how_one_logs_in_leaves_a_line_each(ann: Client) -> None:
    user = UserSession.objects.get(session_key=ann.session.session_key).user
    ann.get("/account/2fa/totp/activate/")
    secret = ann.session["mfa.totp.secret"]
    code = _code(secret)
    assert ("user.totp_activated", user.email) in lines(ann, "/account/2fa/totp/activate/", {"code": code})
    assert lines(ann, "/account/2fa/recovery-codes/generate/", {}) == [("user.recovery_codes_generated", user.email)]
    assert lines(ann, "/account/2fa/totp/deactivate/", {}) == [("user.totp_deactivated", user.email)]
    form = {"oldpassword": user.email, "password1": "another horse battery 9", "password2": "another horse battery 9"}
    assert lines(ann, "/account/password/change/", form) == [("user.password_changed", user.email)]
    assert lines(ann, "/account/logout/", {}) == [("user.logged_out", user.email)]
    assert not Authenticator.objects.filter(user=user, type="totp").exists()


def _code(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
