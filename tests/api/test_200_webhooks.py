"""200: a tenant's webhooks through the API, from making one to replaying what it missed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from standardwebhooks import Webhook

from apps.accounts.models import AuditEntry
from apps.notifications import courier
from apps.notifications.delivery import LEASE
from apps.notifications.services import MOST_WEBHOOKS
from tests.cast import Api, Cast, new_key
from tests.notifications.receiver import Receiver, receiving

URL = "https://example.com/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one, override_settings(WEBHOOK_NETWORKS=["127.0.0.0/8"]):
        yield one


@pytest.fixture
def deliver() -> Callable[[], int]:
    return lambda: courier.deliver_due(lambda: timezone.now() + LEASE)


def made(api: Api, **said: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhooks", {"url": URL} | said)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_secret_is_told_once(alice: Api) -> None:
    answer = alice.post("/v1/webhooks", {"url": URL})
    told = answer.json()
    assert answer["Cache-Control"] == "no-store"
    assert told["secret"].startswith("whsec_")
    for seen in (alice.get(f"/v1/webhooks/{told['id']}"), alice.get("/v1/webhooks")):
        assert "secret" not in seen.content.decode()
    entry = AuditEntry.objects.get(action="webhook.created")
    assert told["secret"] not in str(entry.after)
    assert entry.actor.startswith("key:")


def test_test_message_arrives_and_its_delivery_can_be_read(
    alice: Api, receiver: Receiver, deliver: Callable[[], int]
) -> None:
    hook = made(alice, url=receiver.url)
    sent = alice.post(f"/v1/webhooks/{hook['id']}/test", {}).json()
    assert (sent["state"], sent["tries"], sent["attempts"]) == ("waiting", 0, [])
    assert deliver() == 1
    told = Webhook(hook["secret"]).verify(receiver.received[0].body, receiver.received[0].headers)
    assert (told["type"], told["id"]) == ("webhook.test", sent["event"])
    seen = alice.get(f"/v1/webhook-deliveries/{sent['id']}").json()
    assert (seen["state"], seen["tries"], seen["attempts"][0]["status"]) == ("delivered", 1, 200)
    assert alice.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"] == [seen]


def test_lost_message_is_replayed(alice: Api, receiver: Receiver, deliver: Callable[[], int]) -> None:
    receiver.answering(410, 200)
    hook = made(alice, url=receiver.url)
    sent = alice.post(f"/v1/webhooks/{hook['id']}/test", {}).json()
    deliver()
    path = f"/v1/webhook-deliveries/{sent['id']}/replay"
    assert alice.post(path, {}).json()["code"] == "webhook_disabled"
    assert alice.get(f"/v1/webhooks/{hook['id']}").json()["disabled_because"] == "It answered 410 Gone."
    assert alice.post(f"/v1/webhooks/{hook['id']}", {"enabled": True}).json()["status"] == "enabled"
    again = alice.post(path, {}).json()
    deliver()
    assert again["event"] == sent["event"]
    states = [one["state"] for one in alice.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]]
    assert states == ["delivered", "dead"]


def test_rotated_secret_is_another(alice: Api) -> None:
    hook = made(alice)
    rotated = alice.post(f"/v1/webhooks/{hook['id']}/rotate", {}).json()
    assert rotated["secret"] != hook["secret"]
    assert rotated["previous_secret_until"] > rotated["created_at"]
    at_once = alice.post(f"/v1/webhooks/{hook['id']}/rotate", {"overlap_hours": 0}).json()
    assert "previous_secret_until" not in at_once


def test_what_is_left_out_of_a_change_stays(alice: Api) -> None:
    hook = made(alice, events=["invoice.paid"], description="books")
    changed = alice.post(f"/v1/webhooks/{hook['id']}", {"url": "https://example.org/"}).json()
    assert (changed["url"], changed["events"], changed["description"]) == (
        "https://example.org/", ["invoice.paid"], "books",
    )  # fmt: skip
    assert alice.post(f"/v1/webhooks/{hook['id']}", {"enabled": False}).json()["status"] == "disabled"


def test_deleted_webhook_is_gone(alice: Api) -> None:
    hook = made(alice)
    assert alice.call("DELETE", f"/v1/webhooks/{hook['id']}").json()["deleted"] is True
    assert alice.get(f"/v1/webhooks/{hook['id']}").status_code == 404
    assert alice.get("/v1/webhooks").json()["data"] == []


def test_test_and_live_webhooks_are_apart(alice: Api, bob: Api) -> None:
    hook = made(alice.in_test_mode())
    assert (hook["livemode"], alice.get("/v1/webhooks").json()["data"]) == (False, [])
    assert bob.in_test_mode().get("/v1/webhooks").json()["data"] == []


def test_pages_of_deliveries(alice: Api) -> None:
    hook = made(alice)
    sent = [alice.post(f"/v1/webhooks/{hook['id']}/test", {}).json()["id"] for _ in range(5)]
    path, found = f"/v1/webhooks/{hook['id']}/deliveries?limit=2", []
    page = alice.get(path).json()
    while True:
        found += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        page = alice.get(f"{path}&cursor={page['next_cursor']}").json()
    assert found == sorted(sent, reverse=True)
    assert alice.get(f"{path}&state=dead").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"), ({"url": "http://example.com/"}, "url"), ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://[::1]/"}, "url"), ({"url": ""}, "url"), ({"url": URL, "events": ["no.such"]}, "events[0]"),
        ({"url": URL, "description": "x" * 201}, "description"), ({"url": URL, "secret": "mine"}, "secret"),
    ],
)  # fmt: skip
def test_webhook_that_can_not_be(alice: Api, body: dict[str, Any], param: str) -> None:
    answer = alice.post("/v1/webhooks", body)
    assert (answer.status_code, answer.json()["code"], answer.json()["param"]) == (422, "field_invalid", param)
    assert alice.get("/v1/webhooks").json()["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=²", "state=lost", "cursor=x", "cursor="])
def test_pages_that_can_not_be(alice: Api, query: str) -> None:
    hook = made(alice)
    assert alice.get(f"/v1/webhooks/{hook['id']}/deliveries?{query}").status_code in (400, 422)


def test_there_is_an_end_of_webhooks(alice: Api) -> None:
    for _ in range(MOST_WEBHOOKS):
        made(alice)
    answer = alice.post("/v1/webhooks", {"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (422, "limit_reached")
    made(alice.in_test_mode())


def test_reading_takes_read_and_changing_takes_admin(cast: Cast) -> None:
    reader = Api(cast.alice, new_key(cast.alice.tenant, scopes=("read", "predict"))[1])
    assert reader.get("/v1/webhooks").status_code == 200
    answer = reader.post("/v1/webhooks", {"url": URL})
    assert (answer.status_code, answer.json()["required_scope"]) == (403, "admin")
