"""`make bench-portal` measures every page: its addresses are found before it makes a million decisions."""

import pytest
from django.utils import timezone

from apps.notifications.services import create_webhook
from bench.portal import paths
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_page_of_the_bench_has_an_address(cast: Cast) -> None:
    tenant = cast.alice.tenant
    create_webhook(tenant=tenant, livemode=True, url="https://hooks.example.com/bench", now=timezone.now())
    found = list(paths(tenant))
    assert {"/start/", "/dashboard/", "/decisions/", "/sla/", "/batches/"} <= set(found)
    assert len(found) == len(set(found))
