"""The doors of alerts: `/v1/alerts`, and Gateway's `/fraud-alert`, `/system-alert`, `/history`, `/alerts`."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import card_numbers, paging
from apps.accounts.models import Tenant
from apps.alerts import sending, services
from apps.alerts.kinds import KINDS, SEVERITIES, Severity
from apps.alerts.models import OPEN, RESOLVED, STATES, Alert
from apps.api.dialects import DialectView
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.list_filters import Filters, asked_for, time, words
from apps.api.list_filters import described as parameters_of
from apps.api.operation import DIALECT_PROBLEM, WITH_A_BODY, Answer, Body, Operation, id_in_path, operation, page_of
from apps.api_keys.gate import Admission
from apps.decoding import without_cards
from apps.errors import Problem
from apps.text import spellings
from apps.times import rfc3339, rfc3339_or_none

#: By what alerts are listed, newest first.
KEY = ("opened_at", "id")
FILTERS: Filters = {
    "state": words("state", "Only these.", STATES),
    "kind": words("kind", "Only of this kind.", tuple(KINDS)),
    "severity": words("severity", "Only these.", SEVERITIES),
    "opened_after": time("opened_at__gte", "Opened from this time on."),
    "opened_before": time("opened_at__lt", "Opened before this time."),
}
State = Literal["open", "acknowledged", "resolved"]


class AlertAnswer(msgspec.Struct, frozen=True):
    """Something to look at. `occurrences`: how often it happened since it was opened."""

    id: str
    object: Literal["alert"]
    livemode: bool
    rule: Annotated[str, Meta(description="The rule's id: of a default one, its kind.")]
    kind: str
    severity: Severity
    state: State
    title: str
    text: str
    values: Annotated[dict[str, float | str | None], Meta(description="What the rule measured, by kind.")]
    occurrences: int
    opened_at: Moment
    last_seen_at: Moment
    sent_at: Annotated[Moment | None, Meta(description="When its message went out.")]
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    resolved_at: Moment | None
    resolved_by: Annotated[str | None, Meta(description="null: it was over by itself, or is not yet.")]


class AlertPage(msgspec.Struct, frozen=True):
    """Alerts, newest first."""

    object: Literal["list"]
    data: list[AlertAnswer]
    has_more: bool
    next_cursor: NextCursor


_Message = Annotated[str, Meta(min_length=1, max_length=1_000)]


class FraudAlert(msgspec.Struct, frozen=True):
    """A fraud you know of. One of the same transaction again is counted, not made anew."""

    transaction_id: Annotated[str, Meta(min_length=1, max_length=128)]
    message: _Message
    fraud_probability: Annotated[float, Meta(ge=0, le=1)] | None = None


class SystemAlert(msgspec.Struct, frozen=True):
    """Something is wrong with a service of yours. The same again is counted, not made anew."""

    service: Annotated[str, Meta(min_length=1, max_length=80)]
    message: _Message
    severity: Literal["info", "warning", "error", "critical"] = "warning"


class Notified(msgspec.Struct, frozen=True):
    """What became of an alert of yours."""

    notification_id: Annotated[str, Meta(description="The alert's id: GET /v1/alerts/{id}.")]
    status: Annotated[
        Literal["sent", "queued", "off"],
        Meta(description="queued: it goes with the rule's next message. off: the rule is switched off."),
    ]


class Notification(msgspec.Struct, frozen=True):
    """An alert as Gateway's clients know one."""

    notification_id: str
    type: str
    severity: Severity
    status: Literal["sent", "queued", "resolved"]
    message: str
    occurrences: int
    created_at: Moment


class History(msgspec.Struct, frozen=True):
    """Notifications, newest first."""

    notifications: list[Notification]
    count: int
    has_more: bool
    next_cursor: NextCursor


class OpenAlert(msgspec.Struct, frozen=True):
    """An alert that is not resolved."""

    alert_id: str
    type: str
    severity: Severity
    state: State
    title: str
    message: str
    occurrences: int
    created_at: Moment


class OpenAlerts(msgspec.Struct, frozen=True):
    """What is not resolved, newest first."""

    alerts: list[OpenAlert]
    count: int
    has_more: bool
    next_cursor: NextCursor


class _Alerts(ApiView):
    """Alerts of the tenant and of the mode of the key."""

    def of(self, admission: Admission) -> Any:
        return Alert.objects.filter(tenant_id=admission.tenant_id, livemode=self.key.livemode)

    def asked_page(self, request: HttpRequest, filters: Filters, **always: Any) -> paging.Page[Alert]:
        limit, cursor, asked = self.understood(request, lambda request: asked_for(request, filters))
        rows = self.of(self.admit_only(request)).filter(**asked, **always)
        return paging.page_of(rows, KEY, cursor, limit)


class AlertsView(_Alerts):
    """GET: a page of them."""

    endpoint = "alerts"

    def get(self, request: HttpRequest) -> HttpResponse:
        page = self.asked_page(request, FILTERS)
        data = [answer(row) for row in page.rows]
        return json_answer(AlertPage("list", data, page.next_cursor is not None, page.next_cursor))


class AlertView(_Alerts):
    """GET: one."""

    endpoint = "alert"

    def get(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        return json_answer(answer(self.alert(self.admit_only(request), alert_id)))

    def alert(self, admission: Admission, alert_id: str) -> Alert:
        found = services.find(admission.tenant_id, self.key.livemode, alert_id)
        if found is None:
            raise Problem("not_found")
        return found


class AcknowledgeAlertView(AlertView):
    """POST: somebody looks after it."""

    endpoint = "alert_acknowledge"
    scopes: ClassVar = {"POST": "admin"}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        alert = self.alert(admission, alert_id)
        return json_answer(answer(services.acknowledge(alert=alert, now=self.now, actor=admission.actor)))


class ResolveAlertView(AlertView):
    """POST: it is over."""

    endpoint = "alert_resolve"
    scopes: ClassVar = {"POST": "admin"}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, alert_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        alert = self.alert(admission, alert_id)
        return json_answer(answer(services.resolve(alert=alert, now=self.now, actor=admission.actor)))


class _TellView(DialectView):
    """POST: an alert of a client's own, kept and sent like any other."""

    scopes: ClassVar = {"POST": "predict"}
    http_method_names = ["post"]

    def _scores(self, request: Any) -> bool:
        """It needs the scope of scoring, and scores nothing."""
        return False

    def told(self, admission: Admission, **said: Any) -> HttpResponse:
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        with transaction.atomic():
            alert = services.tell(
                tenant=tenant, livemode=self.key.livemode, now=self.now, actor=admission.actor, **said
            )
            place = (alert.tenant_id, alert.livemode, alert.rule_id)
            sent = alert.told_at is not None or sending.send_opened(place, self.now)
            rule = sending.rule_at(place)
        status: Any = "sent" if sent else "queued" if rule is not None and rule.enabled else "off"
        response = json_answer(Notified(alert.pk, status))
        response.status_code = 202
        return response


class FraudAlertView(_TellView):
    """POST /fraud-alert."""

    endpoint = "fraud_alert"

    def post(self, request: HttpRequest) -> HttpResponse:
        sent = self.decoded(request, FraudAlert)
        asked, _ = without_cards(sent)
        name = card_numbers.mask_id(sent.transaction_id)
        given = "" if asked.fraud_probability is None else f" (probability {asked.fraud_probability:g})"
        return self.told(
            self.admit_only(request),
            kind="fraud_alert",
            key=spellings(name)[0],
            title=f"Fraud told of: {name}",
            text=f"{asked.message}{given}",
            values={"transaction_id": name, "fraud_probability": asked.fraud_probability},
            severity="critical",
        )


class SystemAlertView(_TellView):
    """POST /system-alert."""

    endpoint = "system_alert"

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, SystemAlert))
        severity = "critical" if asked.severity == "error" else asked.severity
        return self.told(
            self.admit_only(request),
            kind="system_alert",
            key=f"{asked.service}:{asked.message}"[:200],
            title=f"{asked.service}: {asked.message}",
            text=asked.message,
            values={"service": asked.service, "severity": asked.severity},
            severity=severity,
        )


class HistoryView(DialectView, _Alerts):
    """GET /history: all that was notified of."""

    endpoint = "history"
    scopes: ClassVar = {"GET": "read"}

    def get(self, request: HttpRequest) -> HttpResponse:
        page = self.asked_page(request, {})
        rows = [_notification(row) for row in page.rows]
        return json_answer(History(rows, len(rows), page.next_cursor is not None, page.next_cursor))


class OpenAlertsView(DialectView, _Alerts):
    """GET /alerts: what is not resolved."""

    endpoint = "open_alerts"
    scopes: ClassVar = {"GET": "read"}

    def get(self, request: HttpRequest) -> HttpResponse:
        page = self.asked_page(request, {}, state__in=[state for state in STATES if state != RESOLVED])
        rows = [_open(row) for row in page.rows]
        return json_answer(OpenAlerts(rows, len(rows), page.next_cursor is not None, page.next_cursor))


def answer(row: Alert) -> AlertAnswer:
    """An alert as it is answered."""
    return AlertAnswer(
        id=row.pk,
        object="alert",
        livemode=row.livemode,
        rule=row.rule_id,
        kind=row.kind,
        severity=row.severity,  # type: ignore[arg-type]  # Django's choices are the literal's
        state=row.state,  # type: ignore[arg-type]
        title=row.title,
        text=row.text,
        values=row.values,
        occurrences=row.occurrences,
        opened_at=rfc3339(row.opened_at),
        last_seen_at=rfc3339(row.last_seen_at),
        sent_at=rfc3339_or_none(row.told_at),
        acknowledged_at=rfc3339_or_none(row.acknowledged_at),
        acknowledged_by=row.acknowledged_by or None,
        resolved_at=rfc3339_or_none(row.resolved_at),
        resolved_by=row.resolved_by or None,
    )


def _notification(row: Alert) -> Notification:
    status: Any = "sent" if row.told_at else "queued" if row.state == OPEN else "resolved"
    severity: Any = row.severity
    return Notification(row.pk, row.kind, severity, status, row.text, row.occurrences, rfc3339(row.opened_at))


def _open(row: Alert) -> OpenAlert:
    severity, state = _words(row)
    return OpenAlert(row.pk, row.kind, severity, state, row.title, row.text, row.occurrences, rfc3339(row.opened_at))


def _words(row: Alert) -> tuple[Any, Any]:
    return row.severity, row.state


TAG, DIALECTS = "Alerts", "Older interfaces"
_ALERT = id_in_path("alert_id", "The alert's id.", "alt_019aa5d0c2f75d1e0b7c4a9f")
_FRAUD = {
    "one": {
        "summary": "A fraud you know of",
        "value": {"transaction_id": "test_123", "fraud_probability": 0.95, "message": "High risk transfer"},
    }
}
_SYSTEM = {
    "one": {
        "summary": "A service of yours",
        "value": {"service": "api", "severity": "warning", "message": "CPU above 80 %"},
    }
}
_TOLD = Answer(Notified, "It is kept, and sent by its rule.", statuses=("202",))


def _older(method: str, path: str, name: str, summary: str, about: str, answer: Answer, **more: Any) -> Operation:
    return operation(DIALECTS, method, path, name, summary, about, answer, problem=DIALECT_PROBLEM, **more)


OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/alerts",
        "listAlerts",
        "List alerts",
        "Newest first. What happens again while it is not resolved is counted in the same alert.",
        Answer(AlertPage, "A page of alerts."),
        parameters=(*page_of("Alerts"), *parameters_of(FILTERS)),
        problems=("field_invalid", "cursor_invalid"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/alerts/{alert_id}",
        "getAlert",
        "Read an alert",
        "With what its rule measured.",
        Answer(AlertAnswer, "The alert."),
        parameters=(_ALERT,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "POST",
        "/v1/alerts/{alert_id}/acknowledge",
        "acknowledgeAlert",
        "Acknowledge an alert",
        "Somebody looks after it: it is neither sent nor escalated any more. It is still resolved by itself.",
        Answer(AlertAnswer, "The alert."),
        "admin",
        parameters=(_ALERT,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "POST",
        "/v1/alerts/{alert_id}/resolve",
        "resolveAlert",
        "Resolve an alert",
        "It is over. The next time it happens there is a new alert.",
        Answer(AlertAnswer, "The alert."),
        "admin",
        parameters=(_ALERT,),
        problems=("not_found",),
    ),
    _older(
        "POST",
        "/fraud-alert",
        "tellFraud",
        "Tell of a fraud (Gateway)",
        "Kept as an alert of the kind `fraud_alert` and sent by its rule: one message a period.",
        _TOLD,
        scope="predict",
        body=Body(FraudAlert, _FRAUD),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
    _older(
        "POST",
        "/system-alert",
        "tellSystemAlert",
        "Tell of a system's trouble (Gateway)",
        "Kept as an alert of the kind `system_alert` and sent by its rule: one message a period.",
        _TOLD,
        scope="predict",
        body=Body(SystemAlert, _SYSTEM),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
    _older(
        "GET",
        "/history",
        "listNotifications",
        "List notifications (Gateway)",
        "All alerts, newest first, each with whether its message went out.",
        Answer(History, "A page of notifications."),
        parameters=page_of("Notifications"),
        problems=("field_invalid", "cursor_invalid"),
    ),
    _older(
        "GET",
        "/alerts",
        "listOpenAlerts",
        "List open alerts (Gateway)",
        "What is not resolved, newest first.",
        Answer(OpenAlerts, "A page of alerts."),
        parameters=page_of("Alerts"),
        problems=("field_invalid", "cursor_invalid"),
    ),
)
