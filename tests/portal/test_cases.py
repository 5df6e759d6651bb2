"""The pages of review: what they show and to whom, what their forms do, and that they ask the database little."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.portal import case_graph
from apps.review.cases.graph import Graph, Node, Party
from apps.review.models import Case, Label
from tests.cast import Cast
from tests.portal.test_dashboard import MOST_QUERIES
from tests.portal.test_data_pages import browser
from tests.review.cases import a_case

pytestmark = pytest.mark.django_db(transaction=True)


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_nothing_to_review_says_when_there_will_be(cast: Cast) -> None:
    assert "Nothing to review" in text_of(browser(cast), "/cases/")


def test_a_case_is_listed_claimed_and_resolved_into_a_label(cast: Cast) -> None:
    case = a_case(cast.alice.tenant, livemode=False, transaction_id="txn-of-ann", at=timezone.now() - timedelta(days=2))
    analyst = browser(cast, "analyst")
    listed = text_of(analyst, "/cases/")
    assert "txn-of-ann" in listed and "overdue" in listed and "All others" in listed
    assert analyst.post("/cases/next/")["Location"] == f"/cases/{case.pk}/"
    page = text_of(analyst, f"/cases/{case.pk}/")
    assert "Yours" in page and "What was it?" in page
    held = text_of(browser(cast), f"/cases/{case.pk}/")
    assert "has it" in held and "Resolve</button>" not in held
    said = {"do": "resolve", "resolution": "fraud", "note": "Reported stolen."}
    assert analyst.post(f"/cases/{case.pk}/", said)["Location"] == "/cases/"
    with in_tenant(cast.alice.tenant):
        assert Label.objects.get().label == "fraud"
    assert f"/cases/{case.pk}/" not in text_of(analyst, "/cases/")
    assert "txn-of-ann" in text_of(analyst, "/cases/?state=resolved")
    assert "resolved as fraud" in text_of(analyst, f"/decisions/{case.decision_id}/")


def test_a_viewer_reads_and_can_do_nothing(cast: Cast) -> None:
    case = a_case(cast.alice.tenant, livemode=False)
    viewer = browser(cast, "viewer")
    for path in ("/cases/", f"/cases/{case.pk}/"):
        page = text_of(viewer, path)
        assert "Claim" not in page.replace("Claim: ", "") and "Resolve<" not in page and "Attach" not in page
    for path in (f"/cases/{case.pk}/", "/cases/next/", "/cases/queues/"):
        assert viewer.post(path, {"do": "claim"}).status_code == 403


def test_wrong_forms_are_told_where_they_stand(cast: Cast) -> None:
    case = a_case(cast.alice.tenant, livemode=False)
    owner = browser(cast)
    path = f"/cases/{case.pk}/"
    program = SimpleUploadedFile("a.exe", b"MZ\x00")
    for form in ({"do": "resolve"}, {"do": "note", "text": "\x00"}, {"do": "evidence", "file": program}):
        answer = owner.post(path, form)
        assert (answer.status_code, b'class="error"' in answer.content) == (422, True)


def test_evidence_is_a_download(cast: Cast) -> None:
    case = a_case(cast.alice.tenant, livemode=False)
    owner = browser(cast)
    owner.post(f"/cases/{case.pk}/", {"do": "evidence", "file": SimpleUploadedFile("a.html", b"<b>hi</b>")})
    with in_tenant(cast.alice.tenant):
        (found,) = Case.objects.get(pk=case.pk).evidence.all()
    answer = owner.get(f"/cases/evidence/{found.pk}/")
    assert (answer.content, answer["Content-Disposition"]) == (b"<b>hi</b>", 'attachment; filename="a.html"')
    assert answer["Content-Type"] == "application/octet-stream"


def test_queues_are_made_changed_and_chosen_on_their_pages(cast: Cast) -> None:
    a_case(cast.alice.tenant, livemode=False, transaction_id="t-large", amount=5000.0)
    owner = browser(cast)
    form = {
        "name": "Large",
        "amount_from": "1000",
        "position": "1",
        "order": "oldest",
        "sla_minutes": "60",
        "rules": "",
    }
    assert owner.post("/cases/queues/", form).status_code == 302
    assert "Large <strong>1</strong>" in text_of(owner, "/cases/")
    two = {"name": "Rest", "order": "money", "sla_minutes": "90", "second_review_above": "100"}
    assert owner.post("/cases/queues/default/", two).status_code == 302
    assert "Rest" in text_of(owner, "/cases/queues/")
    assert owner.post("/cases/queues/default/", two | {"sla_minutes": "0"}).status_code == 422
    with in_tenant(cast.alice.tenant):
        case = Case.objects.get()
    assert "two people have to agree" in text_of(owner, f"/cases/{case.pk}/")


def test_pages_ask_little_however_much_there_is(cast: Cast) -> None:
    now = timezone.now()
    case = a_case(cast.alice.tenant, livemode=False, at=now)
    for number in range(30):
        a_case(cast.alice.tenant, livemode=False, at=now - timedelta(minutes=number))
    owner = browser(cast)
    for path in ("/cases/", f"/cases/{case.pk}/", "/cases/queues/"):
        owner.get(path)
        with CaptureQueriesContext(connection) as asked:
            owner.get(path)
        queries = [one["sql"] for one in asked if not one["sql"].startswith("SET search_path")]
        assert len(queries) <= MOST_QUERIES, (path, "\n".join(queries))


def test_the_drawing_has_a_mark_for_each_and_a_line_for_each_edge() -> None:
    nodes = [Node(f"dec_{n}", "t" * 40, timezone.now(), 1.0, 0.5, "review", "fraud" if n else "") for n in range(3)]
    graph = Graph(nodes, [Party("user_id", "ann")], [(0, 0), (2, 0)], False)
    drawn = case_graph.drawing(graph)
    assert (len(drawn.decisions), len(drawn.parties), len(drawn.lines)) == (3, 1, 2)
    assert (drawn.decisions[1].kind, drawn.decisions[0].kind, len(drawn.decisions[0].text)) == ("fraud", "review", 30)
    assert drawn.height >= max(mark.y for mark in drawn.decisions)
    assert [one.shares for one in case_graph.related(graph)] == [[], [Party("user_id", "ann")]]
