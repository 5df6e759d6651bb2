"""The outbox as it is run: a real HTTP receiver, a real SMTP server, the real database."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.test import override_settings
from django.utils import timezone

from apps.accounts.models import Membership
from apps.notifications import courier
from apps.notifications.models import WebhookEndpoint
from apps.notifications.services import create_webhook
from tests.cast import Cast
from tests.factories import MembershipFactory, UserFactory
from tests.live import free_port
from tests.notifications.receiver import Receiver, receiving

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one, override_settings(WEBHOOK_NETWORKS=["127.0.0.0/8"]):
        yield one


@pytest.fixture
def hook(cast: Cast, receiver: Receiver) -> WebhookEndpoint:
    """alice's webhook, to the receiver, for everything."""
    return create_webhook(tenant=cast.alice.tenant, livemode=True, url=receiver.url, now=timezone.now())


class Mailbox:
    """What a mail server does: `answer` to every message, the messages it took, an error for some recipients."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refused: dict[str, str] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(BytesParser(policy=default).parsebytes(envelope.content))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    smtp = {"EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend", "EMAIL_HOST": "127.0.0.1"}
    with override_settings(**smtp, EMAIL_PORT=controller.port):
        yield box
    controller.stop()


@pytest.fixture
def owner(cast: Cast) -> str:
    """alice's owner, by e-mail; her analyst and a former admin are told nothing."""
    tenant = cast.alice.tenant
    MembershipFactory(tenant=tenant, user=UserFactory(email="anne@example.com"), role=Membership.Role.ANALYST)
    MembershipFactory(tenant=tenant, user=UserFactory(email="gone@example.com", is_active=False))
    MembershipFactory(tenant=tenant, user=UserFactory(email="alice@example.com"))
    return "alice@example.com"


@pytest.fixture
def deliver() -> Callable[..., int]:
    """Run the worker at a moment from now."""

    def run(later: timedelta = timedelta(seconds=1)) -> int:
        return courier.deliver_due(lambda: timezone.now() + later)

    return run
