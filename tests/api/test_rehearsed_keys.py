"""A worker has read what a new key's first request reads before it takes one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.api_keys.keys import PresentedKey, parse
from apps.api_keys.services import digest_of
from apps.usage.admission import admission
from tests.cast import Cast, new_key

pytestmark = pytest.mark.django_db


def test_the_rehearsal_reads_what_a_new_key_needs(cast: Cast) -> None:
    _, text = new_key(cast.charlie.tenant)
    presented, now = parse(text), timezone.now()
    assert isinstance(presented, PresentedKey)
    with CaptureQueriesContext(connection) as needed:
        document = admission.load_document(presented, digest_of(text), now)
        admission.recorded_units(document.tenant_id, admission.period_of(now))
    with CaptureQueriesContext(connection) as rehearsed:
        admission.rehearse(now)
    tables = [{one["sql"].partition(" FROM ")[2].partition(" ")[0] for one in seen} for seen in (needed, rehearsed)]
    assert tables[0] == tables[1]
