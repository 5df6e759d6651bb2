"""The doors of `/v1/alert-rules`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps.accounts.models import Tenant
from apps.alerts import rules, sending
from apps.alerts.kinds import KINDS, Kind, Severity, Threshold
from apps.alerts.rules import LEAST_PERIOD, LONGEST_PERIOD, USUAL_PERIOD, InvalidRule, Rule
from apps.alerts.timing import QuietHours, Step
from apps.api import operation as described
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, operation
from apps.api_keys.gate import Admission
from apps.decoding import without_cards
from apps.errors import FieldError, Problem, fields_invalid
from apps.notifications import services as notifications
from apps.notifications.targets import NotAllowed
from apps.times import rfc3339_or_none

Done = TypeVar("Done")


def _said(threshold: Threshold) -> str:
    if threshold.choices:
        return f"{' or '.join(threshold.choices)} ({threshold.default})"
    return f"{threshold.least:g} to {threshold.most:g} ({threshold.default:g})"


def _line(name: str, kind: Kind) -> str:
    thresholds = ", ".join(f"`{field}` {_said(one)}" for field, one in kind.thresholds.items())
    return f"`{name}`: {kind.about}. {f'Thresholds: {thresholds}.' if thresholds else ''}".strip()


#: What each kind watches and takes, for the description.
KINDS_IN_WORDS = "\n".join(f"* {_line(name, kind)}" for name, kind in KINDS.items())

Name = Annotated[str, Meta(min_length=1, max_length=rules.LONGEST_NAME)]
Thresholds = Annotated[
    dict[str, float | str], Meta(description="By kind; what is left out is as the kind's default, or stays.")
]
Period = Annotated[
    int, Meta(ge=LEAST_PERIOD, le=LONGEST_PERIOD, description="Minutes: one message in each, with all since the last.")
]
MailTo = Annotated[
    list[Annotated[str, Meta(max_length=254)]] | None,
    Meta(description="E-mail addresses; null: owners and admins; empty: nobody."),
]
Channels = Annotated[
    list[Annotated[str, Meta(max_length=32)]] | None, Meta(description="Ids of chat channels; null: all; empty: none.")
]
Quiet = Annotated[
    QuietHours | None,
    Meta(description="When nothing is sent but what is critical; it is sent when they end."),
]
Escalation = Annotated[
    list[Step], Meta(description="Whom it is mailed to next while nobody acknowledges it: up to three steps.")
]


class NewAlertRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule to be; what is left out is as the kind's default."""

    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]  # a table's names: mypy can't read them, msgspec does
    name: Name | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    thresholds: Thresholds | UnsetType = UNSET
    period_minutes: Period | UnsetType = UNSET
    mail_to: MailTo | UnsetType = UNSET
    channels: Channels | UnsetType = UNSET
    quiet_hours: Quiet | UnsetType = UNSET
    escalation: Escalation | UnsetType = UNSET


class AlertRuleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays, single thresholds too."""

    name: Name | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    thresholds: Thresholds | UnsetType = UNSET
    period_minutes: Period | UnsetType = UNSET
    mail_to: MailTo | UnsetType = UNSET
    channels: Channels | UnsetType = UNSET
    quiet_hours: Quiet | UnsetType = UNSET
    escalation: Escalation | UnsetType = UNSET


class AlertRuleAnswer(msgspec.Struct, frozen=True):
    """A rule. A default one's id is its kind; everybody has it."""

    id: str
    object: Literal["alert_rule"]
    livemode: bool
    default: bool
    kind: str
    name: str
    enabled: bool
    severity: Severity
    thresholds: Thresholds
    period_minutes: int
    mail_to: MailTo
    channels: Channels
    quiet_hours: Quiet
    escalation: Escalation
    changed_at: Moment | None


class AlertRuleList(msgspec.Struct, frozen=True):
    """All rules of the mode of the key, the default ones first."""

    object: Literal["list"]
    data: list[AlertRuleAnswer]


class DeletedAlertRule(msgspec.Struct, frozen=True):
    """It is gone; a default rule is as it was for everybody."""

    id: str
    object: Literal["alert_rule"]
    deleted: Literal[True]


class TestedAlertRule(msgspec.Struct, frozen=True):
    """A message is on its way to all whom the rule would send one to."""

    id: str
    object: Literal["alert_rule"]
    tested: Literal[True]


class AlertsDoor(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "PATCH": "admin", "DELETE": "admin"}
    http_method_names = ["get", "head", "post", "patch", "delete"]

    def tenant(self, admission: Admission) -> Tenant:
        return Tenant.objects.get(pk=admission.tenant_id)

    def rule(self, admission: Admission, rule_id: str) -> Rule:
        found = rules.find(self.tenant(admission), self.key.livemode, rule_id)
        if found is None:
            raise Problem("not_found")
        return found


class AlertRulesView(AlertsDoor):
    """GET: all of them. POST: a new one."""

    endpoint = "alert_rules"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        found = rules.listed(self.tenant(admission), self.key.livemode)
        return json_answer(AlertRuleList("list", [_rule(rule) for rule in found]))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, NewAlertRule))
        admission = self.admit_only(request)
        made = allowed(
            lambda: rules.create_rule(
                tenant=self.tenant(admission),
                livemode=self.key.livemode,
                kind=asked.kind,
                facts=_facts(asked),
                now=self.now,
                actor=admission.actor,
            )
        )
        return json_answer(_rule(made))


class AlertRuleView(AlertsDoor):
    """GET, PATCH, DELETE one."""

    endpoint = "alert_rule"

    def get(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        return json_answer(_rule(self.rule(self.admit_only(request), rule_id)))

    def patch(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, AlertRuleChange))
        admission = self.admit_only(request)
        rule = self.rule(admission, rule_id)
        facts = _facts(asked)
        changed = allowed(lambda: rules.change_rule(rule=rule, facts=facts, now=self.now, actor=admission.actor))
        return json_answer(_rule(changed))

    def delete(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        rules.delete_rule(rule=self.rule(admission, rule_id), now=self.now, actor=admission.actor)
        return json_answer(DeletedAlertRule(rule_id, "alert_rule", True))


class AlertRuleTestView(AlertsDoor):
    """POST: a message such as the rule would send."""

    endpoint = "alert_rule_test"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, rule_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        sending.send_test(self.rule(admission, rule_id), self.now, admission.actor)
        return json_answer(TestedAlertRule(rule_id, "alert_rule", True))


def _facts(asked: msgspec.Struct) -> dict[str, Any]:
    """What a body says of a rule."""
    fields = ((name, getattr(asked, name)) for name in rules.CHANGEABLE)
    return {name: value for name, value in fields if value is not UNSET}


def allowed(do: Callable[[], Done]) -> Done:
    """What is done, or its refusal as a `Problem`."""
    try:
        return do()
    except InvalidRule as invalid:
        raise fields_invalid(
            [FieldError(field, f"'{field}': {why}") for field, why in invalid.wrong.items()]
        ) from invalid
    except NotAllowed as wrong:
        raise Problem("field_invalid", str(wrong), "url") from wrong
    except rules.TooMany as wrong:
        raise Problem("limit_reached", f"A tenant may have {rules.MOST_RULES} alert rules of each mode.") from wrong
    except notifications.TooMany as wrong:
        message = f"A tenant may have {notifications.MOST_CHANNELS} channels of each mode."
        raise Problem("limit_reached", message) from wrong


def _rule(rule: Rule) -> AlertRuleAnswer:
    return AlertRuleAnswer(
        id=rule.id,
        object="alert_rule",
        livemode=rule.livemode,
        default=rule.is_default,
        kind=rule.kind,
        name=rule.name,
        enabled=rule.enabled,
        severity=rule.severity,
        thresholds=dict(rule.thresholds),
        period_minutes=rule.period_minutes,
        mail_to=None if rule.mail_to is None else list(rule.mail_to),
        channels=None if rule.channels is None else list(rule.channels),
        quiet_hours=rule.quiet_hours,
        escalation=list(rule.escalation),
        changed_at=rfc3339_or_none(rule.changed_at),
    )


TAG = "Alerts"
_RULE = id_in_path("rule_id", "The rule's id: of a default one, its kind.", "volume_drop")
CHANGES = (*WITH_A_BODY, "field_invalid")
_NEW: Mapping[str, Any] = {
    "spike": {
        "summary": "A fraud rate four times the usual; at night only what is critical",
        "value": {
            "kind": "fraud_rate_spike",
            "name": "Fraud rate, nights off",
            "severity": "warning",
            "thresholds": {"factor": 4, "decisions": 500},
            "quiet_hours": {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"},
        },
    },
    "large": {
        "summary": "Large payments at high risk, escalated after half an hour",
        "value": {
            "kind": "high_risk_decision",
            "thresholds": {"level": "high", "amount": 10000},
            "mail_to": ["fraud@example.com"],
            "escalation": [{"after_minutes": 30, "mail_to": ["head-of-fraud@example.com"]}],
        },
    },
}
_CHANGE = {"off": {"summary": "Switch it off", "value": {"enabled": False}}}


def alerts_operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "admin"
    return operation(TAG, method, path, name, summary, description, answer, scope, **more)


_ONE = Answer(AlertRuleAnswer, "The rule.")
OPERATIONS: Sequence[Operation] = (
    alerts_operation(
        "GET",
        "/v1/alert-rules",
        "listAlertRules",
        "List alert rules",
        f"The default ones, which everybody has, and your own. The kinds:\n\n{KINDS_IN_WORDS}\n\n",
        Answer(AlertRuleList, "The rules."),
    ),
    alerts_operation(
        "POST",
        "/v1/alert-rules",
        "createAlertRule",
        "Create an alert rule",
        f"Beside the default rule of its kind. It sends one message a period (usually {USUAL_PERIOD} minutes) by "
        "e-mail, to the chat channels, and as `alert.opened` to webhooks.",
        _ONE,
        body=described.Body(NewAlertRule, dict(_NEW)),
        problems=(*CHANGES, "limit_reached"),
    ),
    alerts_operation(
        "GET",
        "/v1/alert-rules/{rule_id}",
        "getAlertRule",
        "Read an alert rule",
        "One of your own, or a default one by its kind.",
        _ONE,
        parameters=(_RULE,),
        problems=("not_found",),
    ),
    alerts_operation(
        "PATCH",
        "/v1/alert-rules/{rule_id}",
        "changeAlertRule",
        "Change an alert rule",
        "What is left out stays. A default rule is changed for you alone.",
        _ONE,
        parameters=(_RULE,),
        body=described.Body(AlertRuleChange, _CHANGE),
        problems=(*CHANGES, "not_found"),
    ),
    alerts_operation(
        "DELETE",
        "/v1/alert-rules/{rule_id}",
        "deleteAlertRule",
        "Delete an alert rule",
        "A default rule is as it was for everybody again: to be rid of it, switch it off.",
        Answer(DeletedAlertRule, "It is gone."),
        parameters=(_RULE,),
        problems=("not_found",),
    ),
    alerts_operation(
        "POST",
        "/v1/alert-rules/{rule_id}/test",
        "testAlertRule",
        "Test an alert rule",
        "An `alert.test` to all whom the rule would send a message to.",
        Answer(TestedAlertRule, "It is on its way."),
        parameters=(_RULE,),
        problems=("not_found",),
    ),
)
