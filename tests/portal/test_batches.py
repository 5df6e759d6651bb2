"""The pages of batches: a file is uploaded, its columns are looked at and changed; it is scored, and fetched."""

import re
from typing import Any

import httpx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.batches.models import Batch
from tests.batches.sent import HEADER, csv_of, rows, worked
from tests.cast import Cast, Player
from tests.factories import MembershipFactory
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)
MOST_QUERIES = 15
RENAMED = HEADER.replace("amount", "how_much").replace("nameOrig", "colour")
SCORING = {"schema": "paysim", "model": "", "explain": "flagged", "callback": ""}


def browser(player: Player, role: str = "owner") -> Client:
    client = Client()
    membership = MembershipFactory(tenant=player.tenant, role=role)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def analyst(cast: Cast) -> Client:
    return browser(cast.alice, "analyst")


def upload(client: Client, content: bytes, schema: str = "paysim", name: str = "may.csv") -> Any:
    return client.post("/batches/", {"file": SimpleUploadedFile(name, content), "schema": schema})


def sent(client: Client, content: bytes) -> Batch:
    """A file that was uploaded and started."""
    address = upload(client, content)["Location"]
    assert client.post(address, SCORING | {"do": "start"}).status_code == 302
    return Batch.objects.get()


def told(client: Client, address: str) -> str:
    return re.sub(r"\s+", " ", client.get(address).content.decode())


def test_columns_are_shown_changed_and_then_scored(analyst: Client) -> None:
    address = upload(analyst, (RENAMED + rows(3)).encode())["Location"]
    page = told(analyst, address)
    assert "No column is read as <code>amount</code>" in page
    assert "100.5, 101.5, 102.5" in page
    analyst.post(address, SCORING | {"do": "start"})
    assert Batch.objects.get().state == "draft"  # not while something is missing
    chosen = SCORING | {"column_2": "amount", "column_3": "nameOrig"}
    analyst.post(address, chosen | {"do": "look"})
    page = told(analyst, address)
    assert "The first 3 rows can be scored" in page and "as you chose" in page
    analyst.post(address, chosen | {"do": "start"})
    done = worked(Batch.objects.get())
    assert (done.state, done.rows_done, done.mapping) == ("completed", 3, {"how_much": "amount", "colour": "nameOrig"})
    assert b"may.csv" in analyst.get("/batches/?state=completed").content


def test_a_mapping_that_can_not_be_is_told_and_kept_as_typed(analyst: Client) -> None:
    address = upload(analyst, csv_of(1))["Location"]
    answer = analyst.post(address, SCORING | {"do": "start", "column_2": "amuont", "column_0": "step"})
    page = answer.content.decode()
    assert (answer.status_code, 'value="amuont"' in page) == (422, True)
    assert "has no field &#x27;amuont&#x27;" in page
    assert analyst.post(address, SCORING | {"do": "start", "model": "x"}).status_code == 422
    assert Batch.objects.get().state == "draft"


def test_another_kind_is_looked_at_before_it_is_started(analyst: Client) -> None:
    address = upload(analyst, csv_of(1), "payments")["Location"]
    analyst.post(address, SCORING | {"do": "start", "column_0": "amount"})
    draft = Batch.objects.get()
    assert (draft.state, draft.schema, draft.mapping) == ("draft", "paysim", {})


def test_progress_results_and_problem_rows_are_there(analyst: Client) -> None:
    broken = HEADER + rows(2) + "1,TRANSFER,much,C1,1,1,C2,0,0\n1,TRANSFER,5\n" + rows(2, 5)
    batch = sent(analyst, broken.encode())
    address = f"/batches/{batch.pk}/"
    assert "every 2s" in told(analyst, f"{address}progress/")
    worked(batch)
    page = told(analyst, address)
    assert "every 2s" not in page and "6 of 6, 100 %" in page
    assert '<td class="number">3</td><td class="words">amount</td><td><code>amount</code></td>' in page
    assert "Write the value as the field takes it" in page
    results = b"".join(analyst.get(f"{address}results.csv").streaming_content)  # type: ignore[arg-type]
    assert (len(results.splitlines()), results.startswith(HEADER.strip().encode())) == (7, True)
    wrong = b"".join(analyst.get(f"{address}problems.csv").streaming_content).splitlines()  # type: ignore[arg-type]
    assert [line.split(b",")[0] for line in wrong] == [b"row", b"3", b"4"]
    assert wrong[1].startswith(b"3,1,TRANSFER,much,C1")
    assert analyst.get(f"{address}results.parquet").status_code == 404
    analyst.post(address, {"format": "parquet"})
    assert "every 2s" in told(analyst, address)  # it is being made
    worked(batch)
    assert analyst.get(f"{address}results.parquet").status_code == 200


def test_a_batch_is_stopped_gone_on_with_and_deleted(analyst: Client) -> None:
    batch = sent(analyst, csv_of(2))
    address = f"/batches/{batch.pk}/"
    Batch.objects.update(state="paused", rows_total=2)
    analyst.post(address, {"do": "resume"})
    assert Batch.objects.get().state == "running"
    analyst.post(address, {"do": "cancel"})
    assert Batch.objects.get().state == "cancelled"
    assert "It is cancelled" in analyst.post(address, {"do": "resume"}, follow=True).content.decode()
    analyst.post(address, {"do": "delete"})
    assert analyst.get(address).status_code == 404


def test_a_batch_of_the_other_mode_is_offered_there(analyst: Client) -> None:
    batch = sent(analyst, csv_of(1))
    analyst.post("/mode/", {"livemode": "1"})
    answer = analyst.get(f"/batches/{batch.pk}/")
    assert (answer.status_code, "test batch" in answer.content.decode()) == (404, True)


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"a,b\n", b"a,a\n1,2\n"])
def test_what_can_not_be_read_is_told_at_the_field(analyst: Client, content: bytes) -> None:
    answer = upload(analyst, content)
    assert (answer.status_code, 'class="field wrong"' in answer.content.decode()) == (422, True)
    assert not Batch.objects.exists()


def test_five_drafts_wait_and_no_more(analyst: Client) -> None:
    answers = [upload(analyst, csv_of(1)).status_code for _ in range(6)]
    assert answers == [302] * 5 + [422]
    assert "Waiting to be started" in told(analyst, "/batches/")


def test_who_may_not_is_shown_no_form(cast: Cast) -> None:
    assert "does not include batches" in told(browser(cast.charlie), "/batches/")
    assert upload(browser(cast.charlie), csv_of(1)).status_code == 422
    batch = sent(browser(cast.bob), csv_of(1))
    for stranger in (browser(cast.alice), browser(cast.charlie)):
        for page in ("", "progress/", "results.csv", "problems.csv"):
            assert stranger.get(f"/batches/{batch.pk}/{page}").status_code == 404
    worked(batch)
    viewer = browser(cast.bob, "viewer")
    page = told(viewer, f"/batches/{batch.pk}/")
    assert "Delete" not in page and "results.csv" not in page
    assert viewer.get(f"/batches/{batch.pk}/results.csv").status_code == 403


def test_pages_of_a_batch_ask_the_database_seldom(analyst: Client) -> None:
    draft = upload(analyst, csv_of(1))["Location"]
    done = worked(sent_beside(analyst))
    for address in (draft, f"/batches/{done.pk}/", f"/batches/{done.pk}/progress/", "/batches/"):
        analyst.get(address)
        with CaptureQueriesContext(connection) as asked:
            analyst.get(address)
        queries = [one["sql"] for one in asked if not one["sql"].startswith("SET search_path")]
        assert len(queries) <= MOST_QUERIES, "\n".join(queries)


def sent_beside(client: Client) -> Batch:
    address = upload(client, csv_of(2))["Location"]
    client.post(address, SCORING | {"do": "start"})
    return Batch.objects.get(pk=address.split("/")[2])


def test_a_large_file_is_received_on_a_disk_from_those_who_are_logged_in(cast: Cast) -> None:
    client, content = browser(cast.alice), csv_of(60_000)  # 3 MB
    with serving("portal") as address, httpx.Client(base_url=address) as http:
        file = {"file": ("large.csv", content, "text/csv")}
        turned_away = http.post("/batches/", files=file, data={"schema": "paysim"})
        assert (turned_away.status_code, "/account/login/" in turned_away.headers["Location"]) == (302, True)
        http.cookies.set("sessionid", client.cookies["sessionid"].value)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', http.get("/batches/").text)[1]  # type: ignore[index]
        form = {"csrfmiddlewaretoken": token, "schema": "paysim"}
        answer = http.post("/batches/", files=file, data=form, headers={"Origin": address})
        assert (answer.status_code, answer.headers.get("Location")) == (302, f"/batches/{Batch.objects.get().pk}/")
        assert "The first 100 rows can be scored" in http.get(answer.headers["Location"]).text
