"""The doors of `/v1/alert-channels`: chats that alerts are sent to."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api import operation as described
from apps.api.alert_rules import CHANGES, AlertsDoor, Name, alerts_operation, allowed
from apps.api.endpoint import json_answer
from apps.api.fields import Moment
from apps.api.operation import Answer, Operation, id_in_path
from apps.api_keys.gate import Admission
from apps.decoding import without_cards
from apps.errors import Problem
from apps.notifications import services as notifications
from apps.notifications.models import ChatChannel
from apps.notifications.targets import LONGEST_URL
from apps.times import rfc3339, rfc3339_or_none


class NewAlertChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chat channel to be."""

    name: Name
    url: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=LONGEST_URL,
            description="Of an incoming webhook as Slack, Mattermost, Rocket.Chat and Discord (`…/slack`) have them. "
            "A secret: it is stored encrypted and never shown again.",
        ),
    ]


class AlertChannel(msgspec.Struct, frozen=True):
    """A chat channel, without its URL."""

    id: str
    object: Literal["alert_channel"]
    livemode: bool
    name: str
    host: str
    status: Literal["enabled", "disabled"]
    disabled_because: str | None
    failing_since: Moment | None
    created_at: Moment


class AlertChannelList(msgspec.Struct, frozen=True):
    """All channels of the mode of the key."""

    object: Literal["list"]
    data: list[AlertChannel]


class DeletedAlertChannel(msgspec.Struct, frozen=True):
    """It is gone."""

    id: str
    object: Literal["alert_channel"]
    deleted: Literal[True]


class AlertChannelsView(AlertsDoor):
    """GET: all of them. POST: a new one."""

    endpoint = "alert_channels"
    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        rows = ChatChannel.objects.filter(tenant_id=admission.tenant_id, livemode=self.key.livemode)
        return json_answer(AlertChannelList("list", [_channel(row) for row in rows]))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, NewAlertChannel))
        admission = self.admit_only(request)
        made = allowed(
            lambda: notifications.create_channel(
                tenant=self.tenant(admission),
                livemode=self.key.livemode,
                name=asked.name,
                url=asked.url,
                now=self.now,
                actor=admission.actor,
            )
        )
        return json_answer(_channel(made))


class AlertChannelView(AlertsDoor):
    """GET, DELETE one."""

    endpoint = "alert_channel"
    http_method_names = ["get", "head", "delete"]

    def get(self, request: HttpRequest, channel_id: str) -> HttpResponse:
        return json_answer(_channel(self.channel(self.admit_only(request), channel_id)))

    def delete(self, request: HttpRequest, channel_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.channel(admission, channel_id)
        notifications.delete_channel(channel=row, now=self.now, actor=admission.actor)
        return json_answer(DeletedAlertChannel(channel_id, "alert_channel", True))

    def channel(self, admission: Admission, channel_id: str) -> ChatChannel:
        rows = ChatChannel.objects.select_related("tenant")
        found = rows.filter(pk=channel_id, tenant_id=admission.tenant_id, livemode=self.key.livemode).first()
        if found is None:
            raise Problem("not_found")
        return found


class AlertChannelTestView(AlertChannelView):
    """POST: a message to it."""

    endpoint = "alert_channel_test"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, channel_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.channel(admission, channel_id)
        notifications.send_channel_test(channel=row, now=self.now, actor=admission.actor)
        row.refresh_from_db()
        return json_answer(_channel(row))


def _channel(row: ChatChannel) -> AlertChannel:
    return AlertChannel(
        id=row.pk,
        object="alert_channel",
        livemode=row.livemode,
        name=row.name,
        host=row.host,
        status="enabled" if row.disabled_at is None else "disabled",
        disabled_because=row.disabled_because or None,
        failing_since=rfc3339_or_none(row.failing_since),
        created_at=rfc3339(row.created_at),
    )


_CHANNEL = id_in_path("channel_id", "The channel's id.", "cht_019aa5d0c2f75d1e0b7c4a9f")
_CHANNEL_NEW = {
    "slack": {
        "summary": "A channel of Slack",
        "value": {"name": "#fraud", "url": "https://hooks.slack.com/services/T000/B000/XXXX"},
    }
}
_ONE_CHANNEL = Answer(AlertChannel, "The channel.")


OPERATIONS: Sequence[Operation] = (
    alerts_operation(
        "GET",
        "/v1/alert-channels",
        "listAlertChannels",
        "List chat channels",
        "Without their URLs.",
        Answer(AlertChannelList, "The channels."),
    ),
    alerts_operation(
        "POST",
        "/v1/alert-channels",
        "createAlertChannel",
        "Create a chat channel",
        'An incoming webhook of your chat: it is sent `{"text", "blocks"}`, tried again like a webhook.',
        _ONE_CHANNEL,
        body=described.Body(NewAlertChannel, _CHANNEL_NEW),
        problems=(*CHANGES, "limit_reached"),
    ),
    alerts_operation(
        "GET",
        "/v1/alert-channels/{channel_id}",
        "getAlertChannel",
        "Read a chat channel",
        "Without its URL.",
        _ONE_CHANNEL,
        parameters=(_CHANNEL,),
        problems=("not_found",),
    ),
    alerts_operation(
        "DELETE",
        "/v1/alert-channels/{channel_id}",
        "deleteAlertChannel",
        "Delete a chat channel",
        "With what was on its way to it.",
        Answer(DeletedAlertChannel, "It is gone."),
        parameters=(_CHANNEL,),
        problems=("not_found",),
    ),
    alerts_operation(
        "POST",
        "/v1/alert-channels/{channel_id}/test",
        "testAlertChannel",
        "Test a chat channel",
        "A message to it; one that was switched off works again from now on.",
        _ONE_CHANNEL,
        parameters=(_CHANNEL,),
        problems=("not_found",),
    ),
)
