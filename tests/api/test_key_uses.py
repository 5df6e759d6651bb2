"""When and from where a key was last used: reads count as decisions do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.api_keys import uses
from apps.api_keys.models import ApiKey
from tests.cast import Api

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/plans", "/v1/decisions", "/v1/invoices"])
def test_a_read_is_a_use_of_its_key(alice: Api, path: str) -> None:
    assert alice.calling_from("192.0.2.7").get(path).status_code == 200
    key = ApiKey.objects.get(pk=alice.player.live.pk)  # type: ignore[union-attr]
    assert key.last_used_at is not None
    assert timezone.now() - key.last_used_at < timedelta(minutes=1)
    assert key.last_used_ip == "192.0.2.7"


def test_a_process_notes_a_key_once_a_minute(alice: Api) -> None:
    key, now = alice.player.live, timezone.now()  # type: ignore[union-attr]
    for seconds, address in ((0, "192.0.2.1"), (59, "192.0.2.2"), (61, "192.0.2.3")):
        uses.note(key.pk, now + timedelta(seconds=seconds), address)
        seen = ApiKey.objects.get(pk=key.pk).last_used_ip
        assert seen == ("192.0.2.1" if seconds < 60 else "192.0.2.3")


def test_a_key_that_is_refused_was_not_used(alice: Api) -> None:
    assert alice.with_key(alice.key[:-1] + "x" if alice.key else "pk_live_wrong").get("/v1/usage").status_code == 401
    assert ApiKey.objects.get(pk=alice.player.live.pk).last_used_at is None  # type: ignore[union-attr]
