"""Alerts: the inbox, one alert with the decisions behind it, rules and the channels they are sent to."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from apps.alerts import rules, sending, services
from apps.alerts.kinds import KINDS, SEVERITIES
from apps.alerts.models import STATES, Alert
from apps.alerts.rules import InvalidRule, Rule
from apps.notifications import services as notifications
from apps.notifications.models import ChatChannel
from apps.notifications.targets import NotAllowed
from apps.portal.alert_forms import AlertRuleForm, ChannelForm
from apps.portal.filters import choice, choice_in, days, search, search_in
from apps.portal.page import InOtherMode, Page, zone_of
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table

TABLE = Table(
    row="portal/rows/alert.html",
    key=("opened_at", "id"),
    filters=(
        search("Words", "title", "text"),
        choice("state", "State", ((one, one) for one in STATES)),
        choice("severity", "Severity", ((one, one) for one in SEVERITIES)),
        choice("kind", "Kind", ((name, kind.title) for name, kind in KINDS.items())),
        *days("opened_at"),
    ),
    columns=(
        Column("opened_at", "Since", lambda one: one.opened_at, ("opened_at", "id")),
        Column("title", "What", lambda one: one.title),
        Column("kind", "Kind", lambda one: one.kind, shown=False),
        Column("severity", "Severity", lambda one: one.severity),
        Column("occurrences", "Times", lambda one: one.occurrences, ("occurrences", "id"), number=True),
        Column("state", "State", lambda one: one.state),
        Column("actions", "Actions", lambda one: ""),
    ),
)


class RuleRow(NamedTuple):
    """A rule, and what its kind watches."""

    rule: Rule
    about: str

    @property
    def state(self) -> str:
        return "on" if self.rule.enabled else "off"


RULES = Table(
    row="portal/rows/alert_rule.html",
    filters=(
        search_in("Words", lambda one: one.rule.name, lambda one: one.about),
        choice_in("severity", "Severity", ((one, one) for one in SEVERITIES), lambda one: one.rule.severity),
        choice_in("state", "State", (("on", "on"), ("off", "off")), lambda one: one.state),
    ),
    columns=(
        Column("name", "Rule", lambda one: one.rule.name, ("name",)),
        Column("watches", "Watches", lambda one: one.about),
        Column("severity", "Severity", lambda one: one.rule.severity, ("severity",)),
        Column("state", "State", lambda one: one.state, ("state",)),
    ),
)
NO_RULES = Empty("No rules", "Make one below.")
NOTHING = Empty(
    "No alerts",
    "When a rule finds something it appears here, and you are notified by e-mail, webhook or chat.",
    "/alerts/rules/",
    "Alert rules",
)


class AlertsPage(Page):
    """The inbox."""

    title, template = "Alerts", "portal/pages/alerts.html"
    changes = Permission.ALERTS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._rows(), "alerts") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"table": TABLE.show(self.request, self._rows(), NOTHING)}

    def _rows(self) -> QuerySet[Alert]:
        return Alert.objects.filter(tenant=self.tenant, livemode=self.livemode)


class AlertPage(Page):
    """One alert: what was measured, the decisions behind it, what was done about it."""

    title, template = "Alert", "portal/pages/alert.html"
    changes = Permission.ALERTS

    def context(self, **kwargs: Any) -> dict[str, Any]:
        alert = self.alert(kwargs["alert_id"])
        return {"alert": alert, "kind": KINDS.get(alert.kind), "decisions": _decisions(alert)}

    def post(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        alert, asked = self.alert(alert_id), request.POST.get("do", "")
        if asked == "acknowledge":
            services.acknowledge(alert=alert, now=self.now, actor=self.actor)
            messages.success(request, "You have acknowledged the alert; no further people are notified.")
        elif asked == "resolve":
            services.resolve(alert=alert, now=self.now, actor=self.actor)
            messages.success(request, "The alert is resolved.")
        return redirect(
            "alerts" if request.POST.get("back") else "alert", *([] if request.POST.get("back") else [alert_id])
        )

    def alert(self, alert_id: str) -> Alert:
        found = services.find(self.tenant.pk, self.livemode, alert_id)
        if found is not None:
            return found
        if services.find(self.tenant.pk, not self.livemode, alert_id) is not None:
            raise InOtherMode("test alert" if self.livemode else "live alert")
        raise Http404


class AlertRulesPage(Page):
    """All rules, and the chat channels they are sent to."""

    title, template = "Alert rules", "portal/pages/alert_rules.html"
    changes = Permission.ALERT_RULES

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(RULES, self._rows(), "alert-rules") if RULES.exports(request) else super().get(request)

    def _rows(self) -> list[RuleRow]:
        return [RuleRow(rule, KINDS[rule.kind].about) for rule in rules.listed(self.tenant, self.livemode)]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "table": RULES.show(self.request, self._rows(), NO_RULES),
            "kinds": KINDS,
            "channels": _channels(self),
            "form": ChannelForm(),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Do what the button says."""
        asked = request.POST.get("do", "")
        if asked == "rule" and request.POST.get("kind") in KINDS:
            return self._new_rule(request.POST["kind"])
        if asked in ("test", "delete"):
            return self._change(asked, request.POST.get("channel", ""))
        form = ChannelForm(request.POST)
        if form.is_valid():
            try:
                notifications.create_channel(
                    tenant=self.tenant, livemode=self.livemode, now=self.now, actor=self.actor, **form.cleaned_data
                )
            except NotAllowed as wrong:
                form.add_error("url", str(wrong))
            except notifications.TooMany:
                form.add_error(None, f"A company may have {notifications.MOST_CHANNELS} channels in each mode.")
            else:
                messages.success(request, "The channel is added. Send it a test.")
                return redirect("alert_rules")
        return self.page(**self.context() | {"form": form}, status=422)

    def _new_rule(self, kind: str) -> HttpResponse:
        whose: dict[str, Any] = {"tenant": self.tenant, "livemode": self.livemode, "now": self.now, "actor": self.actor}
        try:
            made = rules.create_rule(kind=kind, facts={}, **whose)
        except rules.TooMany:
            messages.error(self.request, f"A company may have {rules.MOST_RULES} rules of its own in each mode.")
            return redirect("alert_rules")
        return redirect("alert_rule", made.id)

    def _change(self, asked: str, channel_id: str) -> HttpResponse:
        rows = ChatChannel.objects.select_related("tenant")
        channel = rows.filter(pk=channel_id, tenant=self.tenant, livemode=self.livemode).first()
        if channel is None:
            raise Http404
        if asked == "test":
            notifications.send_channel_test(channel=channel, now=self.now, actor=self.actor)
            messages.success(self.request, "A test is on its way to the channel.")
        else:
            notifications.delete_channel(channel=channel, now=self.now, actor=self.actor)
            messages.success(self.request, "The channel is deleted.")
        return redirect("alert_rules")


class AlertRulePage(Page):
    """One rule as a form."""

    title, template = "Alert rule", "portal/pages/alert_rule.html"
    changes = Permission.ALERT_RULES

    def context(self, **kwargs: Any) -> dict[str, Any]:
        rule = self.rule(kwargs["rule_id"])
        zone = str(zone_of(self.request))
        form = AlertRuleForm(rule, _channels(self), zone=zone)
        return {"rule": rule, "kind": KINDS[rule.kind], "form": form}

    def post(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        rule, asked = self.rule(rule_id), request.POST.get("do", "")
        if asked == "test":
            sending.send_test(rule, self.now, self.actor)
            messages.success(request, "A test is on its way to everyone the rule notifies.")
            return redirect("alert_rule", rule_id)
        if asked == "delete":
            rules.delete_rule(rule=rule, now=self.now, actor=self.actor)
            messages.success(request, "The rule is back to its default." if rule.is_default else "The rule is deleted.")
            return redirect("alert_rules")
        form = AlertRuleForm(rule, _channels(self), request.POST)
        if form.is_valid():
            try:
                rules.change_rule(rule=rule, facts=form.facts(), now=self.now, actor=self.actor)
            except InvalidRule as invalid:
                form.tell(invalid)
            else:
                messages.success(request, "The rule is saved and applies from the next check.")
                return redirect("alert_rules")
        return self.page(rule=rule, kind=KINDS[rule.kind], form=form, status=422)

    def rule(self, rule_id: str) -> Rule:
        found = rules.find(self.tenant, self.livemode, rule_id)
        if found is None:
            raise Http404
        return found


def _channels(page: Page) -> list[ChatChannel]:
    return list(ChatChannel.objects.filter(tenant=page.tenant, livemode=page.livemode))


def _decisions(alert: Alert) -> str:
    """Where the decisions behind an alert are listed, "" where there are none."""
    if alert.since is None:
        return ""
    asked = {"from": f"{alert.since:%Y-%m-%d}", "to": f"{alert.until or alert.last_seen_at:%Y-%m-%d}"}
    level = alert.values.get("level")
    return f"{reverse('decisions')}?{urlencode(asked | ({'risk_level': level} if level == 'critical' else {}))}"
