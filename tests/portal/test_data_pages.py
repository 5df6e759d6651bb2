"""The pages of labels, data quality and data: what they show, and what their forms keep."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.ingest.models import QualityDay
from apps.offboarding.models import Erasure, Retention
from apps.review.models import Label
from apps.scoring.models import Decision
from tests.cast import Cast
from tests.factories import DecisionFactory, MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)


def browser(cast: Cast, role: str = "owner") -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant, role=role)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def a_file(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("labels.csv", text.encode())


def test_a_decision_is_labelled_on_its_page_and_listed(cast: Cast) -> None:
    with in_tenant(cast.alice.tenant):
        DecisionFactory(id="dec_1", transaction_id="txn-of-ann")
    analyst, viewer = browser(cast, "analyst"), browser(cast, "viewer")
    assert "Label it" not in viewer.get("/decisions/dec_1/").content.decode()
    assert viewer.post("/decisions/dec_1/label/", {"label": "fraud", "source": "analyst"}).status_code == 403
    said = {"label": "fraud", "source": "customer", "amount_lost": "12.50"}
    assert analyst.post("/decisions/dec_1/label/", said).status_code == 302
    assert "said by customer" in analyst.get("/decisions/dec_1/").content.decode()
    assert "txn-of-ann" in analyst.get("/labels/?label=fraud&holds=True").content.decode()
    assert "txn-of-ann" not in analyst.get("/labels/?label=legitimate").content.decode()
    assert b"txn-of-ann" in b"".join(analyst.get("/labels/?export=csv").streaming_content)  # type: ignore[arg-type]


def test_a_file_is_kept_and_its_wrong_lines_are_told(cast: Cast) -> None:
    with in_tenant(cast.alice.tenant):
        DecisionFactory(id="dec_1")
    lines = "decision_id,label,source\ndec_1,fraud,issuer\ndec_9,fraud,issuer\ndec_1,perhaps,issuer\n"
    page = browser(cast).post("/labels/", {"file": a_file(lines)}).content.decode()
    assert "Line 3: There is no such decision" in page and "Line 4: " in page
    with in_tenant(cast.alice.tenant):
        assert Label.objects.get().label == "fraud"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "decision_id,label,source\n"])
def test_what_is_no_file_of_labels_is_said_at_the_field(cast: Cast, text: str) -> None:
    assert browser(cast).post("/labels/", {"file": a_file(text)}).status_code == 422


def test_quality_points_out_what_became_worse_and_leads_to_the_day(cast: Cast) -> None:
    today = timezone.now().date()
    with in_tenant(cast.alice.tenant):
        for back, missing in ((0, 30), (1, 1)):
            day = today - timedelta(days=back)
            of = {"day": day, "livemode": False, "schema": "payments"}
            QualityDay.objects.create(**of, transactions=100)
            QualityDay.objects.create(**of, check_name="missing", field="email", transactions=missing)
    page = browser(cast).get("/quality/?days=7").content.decode()
    assert "1 worse" in page and "30.00 %" in page and "1.00 %" in page
    assert f"schema=payments&amp;from={today}&amp;to={today}" in page
    assert "No transactions were stored" in browser(cast).get("/quality/?schema=paysim").content.decode()


def test_retention_is_set_and_a_person_removed_after_naming_them_twice(cast: Cast) -> None:
    with in_tenant(cast.alice.tenant):
        DecisionFactory()
    owner = browser(cast)
    assert owner.post("/data/", {"decisions": "400", "labels": ""}).status_code == 302
    assert Retention.objects.get().days == 400
    assert owner.post("/data/", {"decisions": "3"}).status_code == 422
    said = {"do": "erase", "kind": "user", "name": "Ann", "again": "Anne"}
    assert owner.post("/data/", said).status_code == 422
    assert owner.post("/data/", said | {"again": "Ann"}).status_code == 302
    with in_tenant(cast.alice.tenant):
        assert Decision.objects.count() == 0
    assert Erasure.objects.get().pk in owner.get("/data/").content.decode()
    assert browser(cast, "analyst").post("/data/", said).status_code == 403
