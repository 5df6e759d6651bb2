"""Sealed columns: any of the keys opens them, the first one seals, and an old key can be taken away."""

import pytest
from cryptography.fernet import InvalidToken
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from apps.notifications.models import WebhookEndpoint
from apps.notifications.services import create_webhook
from config.checks import sealing_keys_are_long_enough
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)
OLD, NEW = "o" * 40, "n" * 40


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM notifications_webhookendpoint")
        return str(cursor.fetchone()[0])


def test_key_is_renewed_without_losing_a_secret(cast: Cast) -> None:
    with override_settings(SEALING_KEYS=[OLD]):
        made = create_webhook(tenant=cast.alice.tenant, livemode=True, url="https://example.com/", now=timezone.now())
        before = stored()
    with override_settings(SEALING_KEYS=[NEW, OLD]):
        assert WebhookEndpoint.objects.get().secret == made.secret
        call_command("reseal", verbosity=0)
    assert stored() != before
    with override_settings(SEALING_KEYS=[NEW]):
        assert WebhookEndpoint.objects.get().secret == made.secret
    with override_settings(SEALING_KEYS=[OLD]), pytest.raises(InvalidToken):
        WebhookEndpoint.objects.get()


@pytest.mark.parametrize(("keys", "found"), [([OLD], 0), ([OLD, "short"], 1), ([], 1)])
def test_short_keys_are_an_error(keys: list[str], found: int) -> None:
    with override_settings(SEALING_KEYS=keys):
        assert len(sealing_keys_are_long_enough(None)) == found
