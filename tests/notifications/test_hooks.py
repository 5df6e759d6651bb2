"""Webhooks over real HTTP: signed so that the standard's own library verifies them, bounded in time, never raising."""

import ipaddress
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from apps.notifications import hooks
from apps.notifications.models import Attempt, Delivery, Event, WebhookEndpoint
from apps.notifications.services import notify, rotate_secret, send_test
from apps.times import rfc3339
from tests.cast import Cast
from tests.notifications.receiver import Received, Receiver, dripping, receiving
from tests.pace import within

pytestmark = pytest.mark.django_db(transaction=True)
Deliver = Callable[..., int]
OURS = [ipaddress.ip_network("127.0.0.0/8")]
PAID = {"invoice": 1, "number": "P-2026-000001", "total": "99.00", "currency": "USD"}


def verified(one: Received, secret: str) -> dict:
    return Webhook(secret).verify(one.body, one.headers)


def test_event_arrives_signed(hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver, cast: Cast) -> None:
    now = timezone.now()
    assert notify(tenant=cast.alice.tenant, kind="invoice.paid", data=PAID, key="i1", now=now)
    assert deliver() == 1
    told = verified(receiver.received[0], hook.secret)
    event = Event.objects.get()
    assert (told["id"], told["type"], told["livemode"], told["data"]) == (event.pk, "invoice.paid", True, PAID)
    assert told["timestamp"] == rfc3339(now)
    assert receiver.received[0].headers["webhook-id"] == event.pk
    assert receiver.received[0].path == "/hook?from=palisade"
    assert Delivery.objects.get().state == "delivered"
    assert deliver() == 0


def test_wrong_secret_or_another_body_is_found_out(hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver) -> None:
    send_test(webhook=hook, now=timezone.now())
    deliver()
    (one,) = receiver.received
    with pytest.raises(WebhookVerificationError):
        verified(one, "whsec_" + "A" * 43 + "=")
    with pytest.raises(WebhookVerificationError):
        verified(Received(one.path, one.headers, one.body + b" "), hook.secret)


def test_every_try_has_the_same_id_and_body_and_a_signature_of_its_own(
    hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver
) -> None:
    receiver.answering(500, 404, 200)
    send_test(webhook=hook, now=timezone.now())
    for later in (timedelta(seconds=1), timedelta(seconds=10), timedelta(minutes=6)):
        assert deliver(later) == 1
    first, *others = receiver.received
    assert len(others) == 2
    for other in others:
        assert (other.headers["webhook-id"], other.body) == (first.headers["webhook-id"], first.body)
        assert other.headers["webhook-timestamp"] > first.headers["webhook-timestamp"]
    assert list(Attempt.objects.values_list("number", "status", "delivered")) == [
        (1, 500, False), (2, 404, False), (3, 200, True),
    ]  # fmt: skip


def test_rotated_secret_signs_beside_the_old_one_until_that_ends(
    hook: WebhookEndpoint, receiver: Receiver, deliver: Deliver
) -> None:
    old = hook.secret
    rotated = rotate_secret(webhook=hook, overlap=timedelta(hours=1), now=timezone.now())
    send_test(webhook=rotated, now=timezone.now())
    deliver()
    (one,) = receiver.received
    assert verified(one, old) == verified(one, rotated.secret)
    assert len(one.headers["webhook-signature"].split()) == 2
    assert len(rotated.secrets(timezone.now() + timedelta(hours=1))) == 1


def test_secret_is_sealed_in_the_database(hook: WebhookEndpoint) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM notifications_webhookendpoint")
        stored = cursor.fetchone()[0]
    assert hook.secret not in stored
    assert WebhookEndpoint.objects.get().secret == hook.secret


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/", "ConnectionRefusedError"),
        ("https://localhost/", "not a public name"),
        ("https://10.0.0.1/", "not a public address"),
        ("https://" + "a" * 64 + ".example/", "no name"),
    ],
)
def test_what_can_not_be_reached_is_an_outcome(url: str, said: str) -> None:
    networks = OURS if url.startswith("http:") else []
    outcome = hooks.post(url, b"{}", {}, networks)
    assert not outcome.delivered
    assert said in outcome.answer


def test_what_speaks_no_http_is_an_outcome(receiver: Receiver) -> None:
    outcome = hooks.post(receiver.url.replace("http:", "https:"), b"{}", {}, OURS)
    assert "SSLError" in outcome.answer


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "1000"}])
def test_answer_that_drips_is_cut_off(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(hooks, "TRY_SECONDS", 0.3)
    receiver.drip, receiver.answers = 0.02, [(200, headers, b"x" * 1_000)]
    outcome = hooks.post(receiver.url, b"{}", {}, OURS)
    assert not outcome.delivered
    assert outcome.duration_ms < 2_000
    assert outcome.answer == "No answer within 0 s."


SLOW = {
    "says nothing": (b"", b""),
    "half a status line for ever": (b"HTTP/1.1 2", b"0"),
    "headers for ever": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
    "continue for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body for ever": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "a body of a length, slowly": (b"HTTP/1.1 200 OK\r\nContent-Length: 1500\r\n\r\n", b"x"),
    "chunks for ever": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("https", [False, True])
@pytest.mark.parametrize("said", SLOW.values(), ids=SLOW)
def test_try_ends_at_its_deadline_whatever_drips(
    said: tuple[bytes, bytes], https: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS it is the handshake that gets this for an answer, and fails at its first byte or by its deadline."""
    monkeypatch.setattr(hooks, "TRY_SECONDS", 0.5)
    with dripping(*said, every=0.02) as port:
        outcome = hooks.post(f"http{'s' * https}://127.0.0.1:{port}/", b"{}", {}, OURS)
    assert not outcome.delivered
    assert outcome.duration_ms < 1_500
    if not https:
        assert outcome.answer == "No answer within 0 s."


def test_slow_name_server_counts_within_the_deadline(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "TRY_SECONDS", 0.1)

    def slowly(host: str, port: int) -> list[str]:
        time.sleep(0.15)
        return ["127.0.0.1"]

    outcome = hooks.post(f"http://slow.example:{receiver.port}/", b"{}", {}, OURS, slowly)
    assert (outcome.answer, receiver.received) == ("No answer within 0 s.", [])


@pytest.mark.parametrize(
    "said", [(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400), (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 60_000)]
)
def test_answer_without_end_is_left_before_it_fills_the_memory(said: tuple[bytes, bytes]) -> None:
    with dripping(*said, every=0.0) as port:
        outcome = hooks.post(f"http://127.0.0.1:{port}/", b"{}", {}, OURS)
    assert not outcome.delivered
    assert outcome.duration_ms < 5_000


def test_body_that_is_not_taken_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "TRY_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        outcome = hooks.post(f"http://127.0.0.1:{deaf.getsockname()[1]}/", b"x" * 30_000_000, {}, OURS)
    assert (outcome.answer, outcome.duration_ms < 1_500) == ("No answer within 0 s.", True)


def test_answer_is_kept_short_and_printable(receiver: Receiver) -> None:
    receiver.answers = [(200, {}, b"\x00\x1b[31m" + b"x" * 100_000)]
    outcome = hooks.post(receiver.url, b"{}", {}, OURS)
    assert outcome.delivered
    assert len(outcome.answer) == 500
    assert outcome.answer.isprintable()


def test_certificate_must_be_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key],
        check=True, capture_output=True, timeout=within(30),
    )  # fmt: skip
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(hooks, "_tls", lambda: trusting)
    with receiving((certificate, key)) as secure:
        assert hooks.post(f"https://localhost:{secure.port}/", b"{}", {}, OURS + V6).delivered
        assert "SSLCertVerificationError" in hooks.post(f"https://127.0.0.1:{secure.port}/", b"{}", {}, OURS).answer
    assert json.loads(secure.received[0].body) == {}


V6 = [ipaddress.ip_network("::1/128")]
