"""Every view of the page of analytics says what the roll-ups hold, in few queries, and leads to the decisions."""

import csv
import io
import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.tenancy import in_tenant
from apps.portal.pages.analytics import VIEWS
from apps.review.models import Label
from apps.scoring import tallies
from apps.scoring.counting import Columns
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
MOST_QUERIES, N = 15, 120


@pytest.fixture
def owner(cast: Cast) -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.post("/mode/", {"livemode": "1"})
    return client


def added_up(schema: str) -> None:
    """120 decisions of today, every fourth critical, of one origin and blocked by a rule that is hit with another."""
    bad = [n % 4 == 0 for n in range(N)]
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    columns = Columns(
        created_us=[now] * N,
        livemode=[True] * N,
        schema=["paysim"] * N,
        fraud_probability=[0.95 if one else 0.01 for one in bad],
        risk_level=["critical" if one else "low" for one in bad],
        recommended_action=["block" if one else "approve" for one in bad],
        decisive=["rule:drained_account" if one else "model:xgboost" for one in bad],
        model=["xgboost@2026.11.2"] * N,
        amount=[50.0] * N,
        parties=[["c-thief"] for _ in bad],
        party_fields=[["nameOrig"]] * N,
        rules_hit=[["drained_account", "odd_hour"] if one else [] for one in bad],
        category=["TRANSFER"] * N,
        country=[""] * N,
        fraud_type=["account_takeover" if one else "" for one in bad],
        features=[np.zeros(28, "<f4").tobytes()] * N,
    )
    with in_tenant("public"), transaction.atomic(), connection.cursor() as cursor:
        tallies.add(cursor, schema, tallies.counted(columns))


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("trends", ["120", "Decisions: block"]),
        ("patterns", ["TRANSFER", "account_takeover", "xgboost@2026.11.2"]),
        ("scores", ["critical", "25.00 %"]),
        ("models", ["By labels", "1 of 120 decisions are labelled"]),
        ("rules", ["drained_account", "always"]),
        ("entities", ["c-thief", "Exact counts"]),
        ("drift", ["xgboost@2026.11.2", "drifted"]),
    ],
)
def test_a_view_says_what_was_added_up_in_few_queries(owner: Client, cast: Cast, view: str, says: list[str]) -> None:
    schema = cast.alice.tenant.schema_name
    added_up(schema)
    with in_tenant(schema):
        Label.objects.create(
            id="lbl_1", livemode=True, decision_id="dec_1", transaction_id="t", schema="paysim", label="fraud",
            source="issuer", known_at=datetime.now(UTC), recorded_at=datetime.now(UTC), recorded_by="", holds=True,
            decided_at=datetime.now(UTC), recommended_action="block", fraud_probability=0.95,
            model_name="xgboost", model_version="2026.11.2",
        )  # fmt: skip
    owner.get(f"/analytics/?view={view}")  # what a process asks once
    with CaptureQueriesContext(connection) as asked:
        answer = owner.get(f"/analytics/?view={view}&days=7&schema=paysim")
    queries = [one["sql"] for one in asked if not one["sql"].startswith("SET search_path")]
    assert len(queries) <= MOST_QUERIES, "\n".join(queries)
    text = " ".join(answer.content.decode().split())
    assert [said for said in says if said not in text] == []
    for found in set(re.findall(r'href="(/decisions/\?[^"]+)"', text)):
        assert owner.get(found.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_view_says_so(owner: Client, view: str) -> None:
    answer = owner.get(f"/analytics/?view={view}&days=no&schema=none")
    assert answer.status_code == 200
    assert "in the last 30 days" in answer.content.decode()


@pytest.mark.parametrize(
    ("view", "file", "says"),
    [
        ("trends", "trends", b"start,decisions,fraud,fraud_rate,actions_approve"),
        ("patterns", "patterns", b"by,value,decisions"),
        ("scores", "levels", b"level,decisions,share"),
        ("scores", "scores", b"from,to,decisions"),
        ("models", "models", b"schema,model,decisions"),
        ("rules", "rules", b"rule,decisions,hit_rate"),
        ("rules", "together", b"rules,decisions,overlap"),
        ("entities", "parties", b"missed,schema,field,value"),
        ("drift", "features", b"schema,model,name,psi"),
    ],
)
def test_every_view_is_a_file(cast: Cast, owner: Client, view: str, file: str, says: bytes) -> None:
    added_up(cast.alice.tenant.schema_name)
    asked = f"/analytics/?view={view}&file={file}"
    assert f"file={file}&amp;export=csv" in owner.get(asked).content.decode()
    told = b"".join(owner.get(f"{asked}&export=csv").streaming_content)  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(told.decode())))
    assert told.startswith(says)
    assert rows
    same = json.loads(b"".join(owner.get(f"{asked}&export=json").streaming_content))  # type: ignore[arg-type]
    assert [list(row) for row in same] == [list(row) for row in rows]


def test_who_may_not_export_gets_no_file_of_analytics(cast: Cast) -> None:
    client = Client()
    viewer = MembershipFactory(tenant=cast.alice.tenant, role="viewer")
    client.force_login(viewer.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert "export=csv" not in client.get("/analytics/?view=trends").content.decode()
    assert client.get("/analytics/?view=trends&file=trends&export=csv").status_code == 403
