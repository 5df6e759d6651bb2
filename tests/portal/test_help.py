"""Guides, reference, models, support: each page says what its source says; a request is kept and mailed."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings

from apps.errors import KINDS
from apps.notifications.models import Delivery
from apps.portal.pages.help import GUIDES, marked, reference
from apps.scoring.engine.schemas import SCHEMAS
from apps.support.models import SupportRequest
from apps.support.services import MOST_A_DAY, mark_answered
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
ASKED = {"topic": "scores", "subject": "Why was it blocked?", "message": "dec_1 was honest."}


@pytest.fixture
def viewer(cast: Cast) -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant, role="viewer", user__email="vera@example.com")
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("guide", GUIDES)
def test_each_guide_is_there(viewer: Client, guide: str) -> None:
    assert GUIDES[guide][0] in text_of(viewer.get(f"/help/{guide}/"))


def test_a_guide_nobody_wrote_is_not_there(viewer: Client) -> None:
    assert viewer.get("/help/nothing/").status_code == 404


def test_the_reference_has_every_operation_and_error(viewer: Client) -> None:
    page = text_of(viewer.get("/help/api/"))
    assert all(code in page for code in KINDS)
    shown = [operation for _, _, operations in reference() for operation in operations]
    assert all(f"<code>{one.path}</code>" in page for one in shown)
    decide = next(one for one in shown if (one.method, one.path) == ("POST", "/v1/decisions"))
    assert {"transaction", "Idempotency-Key"} <= {name for name, _, _ in decide.fields}


def test_marks_become_code_and_links_and_nothing_else() -> None:
    said = marked("`a<b>` and [x](https://x.example/) <script>")
    assert said == '<code>a&lt;b&gt;</code> and <a href="https://x.example/" rel="noreferrer">x</a> &lt;script&gt;'


def test_every_kind_has_its_models_and_a_champion(viewer: Client) -> None:
    page = viewer.get("/models/")
    assert [kind["schema"] for kind in page.context["kinds"]] == list(SCHEMAS)
    for kind in page.context["kinds"]:
        assert [card.champion for card, _ in kind["cards"]] == [True, *[False] * (len(kind["cards"]) - 1)]


@override_settings(SUPPORT_EMAIL="help@palisade.example")
def test_a_request_is_kept_and_mailed_to_both_sides(viewer: Client, cast: Cast) -> None:
    answer = viewer.post("/support/", ASKED, follow=True)
    assert "Your request has arrived" in text_of(answer)
    assert "Why was it blocked?" in text_of(answer)
    made = SupportRequest.objects.get()
    assert made.answer_by is not None and made.answer_by - made.asked_at == timedelta(hours=24)  # Professional
    sent = Delivery.objects.filter(event__kind__startswith="support.")
    assert set(sent.values_list("recipient", flat=True)) == {"help@palisade.example", "vera@example.com"}
    assert mark_answered(request=made, now=made.asked_at, actor="olga")
    assert not mark_answered(request=made, now=made.asked_at, actor="olga")
    assert "answered" in text_of(viewer.get("/support/"))


def test_what_is_missing_is_told_and_too_much_is_refused(viewer: Client) -> None:
    assert viewer.post("/support/", ASKED | {"message": ""}).status_code == 422
    for _ in range(MOST_A_DAY):
        assert viewer.post("/support/", ASKED).status_code == 302
    assert viewer.post("/support/", ASKED).status_code == 422
    assert SupportRequest.objects.count() == MOST_A_DAY


def test_requests_of_others_are_not_shown(viewer: Client, cast: Cast) -> None:
    viewer.post("/support/", ASKED)
    other = Client()
    other.force_login(
        MembershipFactory(tenant=cast.bob.tenant).user, backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    assert "No support requests yet" in text_of(other.get("/support/"))
