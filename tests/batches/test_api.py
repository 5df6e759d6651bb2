"""`/v1/batches` and the Gateway's jobs: sent, looked at, fetched, stopped, gone on with, deleted."""

import io
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pyarrow.parquet as parquet
import pytest
from django.db import connection
from django.utils import timezone

from apps.batches import services, tasks
from apps.batches.models import Batch, Chunk
from tests.batches.sent import HEADER, csv_of, rows
from tests.cast import Api

Work = Callable[[Batch], Batch]
ADDRESS = "/v1/batches?schema=paysim"


def sent(api: Api, content: bytes, address: str = ADDRESS, kind: str = "text/csv") -> Any:
    return api.call("POST", address, content, kind)


def form(content: bytes, **fields: str) -> tuple[bytes, str]:
    parts = [
        f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--b0\r\nContent-Disposition: form-data; name="file"; filename="c:\\\\x\\\\a.csv"\r\n'
    file = head + b"Content-Type: text/csv\r\n\r\n" + content + b"\r\n"
    return b"".join([*parts, file, b"--b0--\r\n"]), "multipart/form-data; boundary=b0"


def test_a_file_is_sent_scored_and_fetched(bob: Api, work: Work) -> None:
    answer = sent(bob, csv_of(30))
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    work(Batch.objects.get())
    batch = bob.get(answer["Location"]).json()
    assert (batch["state"], batch["rows"]["done"], batch["units"], batch["percent"]) == ("completed", 30, 30, 100)
    assert batch["columns"][0] == {"column": "step", "field": "step", "how": "name"}
    assert batch["cost"] == {"amount": "0.00", "currency": "USD"}  # within what the plan includes
    results = bob.get(batch["results"]["csv"]["url"])
    whole = b"".join(results.streaming_content)
    assert (len(whole.splitlines()), results["Content-Length"]) == (31, str(len(whole)))
    part = bob.get(batch["results"]["csv"]["url"], range="bytes=5-9")
    assert (part.status_code, b"".join(part.streaming_content)) == (206, whole[5:10])
    assert part["Content-Range"] == f"bytes 5-9/{len(whole)}"
    assert bob.get(batch["results"]["csv"]["url"], if_none_match=results["ETag"]).status_code == 304
    assert bob.get(batch["results"]["csv"]["url"], range=f"bytes={len(whole)}-").status_code == 416


def test_a_form_is_as_good_as_a_body(bob: Api, work: Work) -> None:
    content, kind = form(csv_of(3), schema="paysim", explain="all")
    answer = sent(bob, content, "/v1/batches", kind).json()
    assert (answer["filename"], answer["explain"], answer["bytes"]) == ("a.csv", "all", len(csv_of(3)))
    done = work(Batch.objects.get())
    assert (done.rows_done, done.units) == (3, 3)


def test_another_format_is_made_when_it_is_asked_for(bob: Api, work: Work) -> None:
    address = sent(bob, csv_of(3))["Location"]
    assert bob.get(f"{address}/results").status_code == 409
    done = work(Batch.objects.get())
    for kind in ("parquet", "jsonl"):
        assert bob.get(f"{address}/results?format={kind}").status_code == 202
        tasks.assemble(done.pk)
    made = bob.get(f"{address}/results?format=parquet")
    assert parquet.read_table(io.BytesIO(b"".join(made.streaming_content))).num_rows == 3
    lines = b"".join(bob.get(f"{address}/results?format=jsonl").streaming_content).splitlines()
    assert len(lines) == 3


def test_rows_with_a_problem_are_told_and_free(bob: Api, work: Work) -> None:
    broken = HEADER + rows(2) + "1,TRANSFER,much,C1,1,1,C2,0,0\n1,TRANSFER,5\n" + rows(2, 5)
    address = sent(bob, broken.encode())["Location"]
    done = work(Batch.objects.get())
    assert (done.rows_done, done.units, done.problems) == (6, 4, {"field_invalid": 1, "row_malformed": 1})
    found = bob.get(f"{address}/problems?limit=1").json()
    assert [(one["row"], one["column"], one["problem"]) for one in found["data"]] == [(3, "amount", "field_invalid")]
    following = bob.get(f"{address}/problems?cursor={found['next_cursor']}").json()
    assert [one["row"] for one in following["data"]] == [4]
    assert not following["has_more"]


def test_a_dry_run_shows_the_mapping_and_bills_nothing(bob: Api) -> None:
    header = b"Step;TYPE;Amt;old balance org;newbalanceOrig;oldbalanceDest;newbalanceDest;colour\n"
    content = header + b"1;TRANSFER;9,5;10,5;1;0;0;red\n" * 9
    told = sent(bob, content, ADDRESS + "&dry_run=true").json()
    assert told["object"] == "batch_preview"
    assert [one["field"] for one in told["columns"]][:4] == ["step", "type", "amount", "oldbalanceOrg"]
    assert told["columns"][-1] == {"column": "colour", "field": "", "how": "none"}
    assert [one["recommended_action"] for one in told["rows"]] != []
    assert not Batch.objects.exists()
    missing = sent(bob, b"a,b\n1,2\n", ADDRESS + "&dry_run=true").json()
    assert "amount" in missing["missing"]


@pytest.mark.parametrize("address", [ADDRESS, "/jobs"])
def test_a_repeated_request_is_the_same_batch(bob: Api, work: Work, address: str) -> None:
    def again(content: bytes = csv_of(3), to: str = address, key: str = "k1") -> Any:
        return bob.call("POST", to, content, "text/csv", idempotency_key=key)

    first = again()
    assert "Idempotent-Replayed" not in first
    work(Batch.objects.get())
    second = again()
    assert (second.status_code, second["Idempotent-Replayed"]) == (202, "true")
    assert second.json().get("job_id", second.json().get("id")) == Batch.objects.get().pk
    assert "completed" in (second.json().get("status"), second.json().get("state"))  # as it stands now
    for other in (again(csv_of(4)), again(to=f"{address}{'&' if '?' in address else '?'}explain=all")):
        assert other.status_code == 422
    assert again(key="").status_code == 400
    assert "Idempotent-Replayed" not in again(key="k2")
    assert Batch.objects.count() == 2


def test_a_form_is_the_same_request_whatever_the_file_is_called(bob: Api) -> None:
    first, kind = form(csv_of(3), schema="paysim")
    for content in (first, first.replace(b"a.csv", b"b.csv")):
        assert bob.call("POST", "/v1/batches", content, kind, idempotency_key="k1").status_code == 202
    assert Batch.objects.count() == 1


def test_an_idempotency_key_is_free_after_a_day_and_of_what_is_deleted(bob: Api) -> None:
    def again() -> Any:
        return bob.call("POST", ADDRESS, csv_of(1), "text/csv", idempotency_key="k1")

    again()
    Batch.objects.update(created_at=timezone.now() - timedelta(hours=25))
    second = again()
    assert "Idempotent-Replayed" not in second
    bob.call("DELETE", second["Location"])
    assert "Idempotent-Replayed" not in again()


def test_of_two_requests_at_once_one_makes_the_batch(bob: Api) -> None:
    answers: list[Any] = []

    def ask() -> None:
        answers.append(bob.call("POST", ADDRESS, csv_of(50), "text/csv", idempotency_key="k1"))
        connection.close()

    together = [Thread(target=ask, daemon=True) for _ in range(4)]
    for one in together:
        one.start()
    for one in together:
        one.join(30)
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["id"] for answer in answers}) == Batch.objects.count() == 1


def test_what_is_wrong_is_told_before_anything_is_kept(bob: Api, charlie: Api) -> None:
    assert sent(bob, b"", ADDRESS).json()["code"] == "file_unreadable"
    assert sent(bob, csv_of(1), "/v1/batches?schema=x").json()["code"] == "schema_unknown"
    assert sent(bob, csv_of(1), ADDRESS + "&model=x").json()["code"] == "model_unknown"
    assert sent(bob, csv_of(1), ADDRESS + "&explain=some").json()["code"] == "field_invalid"
    assert sent(bob, csv_of(1), ADDRESS + "&callback=whe_1").json()["param"] == "callback"
    assert sent(bob, csv_of(1), kind="image/png").json()["code"] == "media_type_unsupported"
    assert sent(bob, b"--b0\r\n", kind="multipart/form-data; boundary=b0").json()["code"] == "form_malformed"
    assert sent(charlie, csv_of(1)).json()["code"] == "plan_lacks_feature"
    assert not Batch.objects.exists()


def test_a_cancelled_batch_scores_no_further_row(bob: Api, work: Work) -> None:
    address = sent(bob, csv_of(3))["Location"]
    assert bob.call("POST", f"{address}/cancel").json()["state"] == "cancelled"
    assert work(Batch.objects.get()).units == 0
    assert bob.call("POST", f"{address}/resume").json()["code"] == "batch_not_now"


def test_a_deleted_batch_is_gone_and_its_decisions_stay(bob: Api, work: Work) -> None:
    address = sent(bob, csv_of(3))["Location"]
    work(Batch.objects.get())
    assert bob.call("DELETE", address).json()["deleted"]
    assert bob.get(address).status_code == 404
    assert services.remove_deleted() == 1
    assert not Chunk.objects.exists()
    assert len(bob.get("/v1/decisions").json()["data"]) == 3


def test_a_row_can_be_read_as_any_decision(bob: Api, work: Work) -> None:
    drained = HEADER + "1,TRANSFER,180000,C1,180000,0,C2,50000,230000\n" + rows(1)
    sent(bob, drained.encode())
    work(Batch.objects.get())
    told = {row["risk_level"]: row for row in bob.get("/v1/decisions").json()["data"]}
    assert told["critical"]["reasons"]
    assert told["critical"]["rules"]
    for row in told.values():
        assert bob.get(f"/v1/decisions/{row['id']}").json() == row


def test_the_gateway_has_jobs(bob: Api, work: Work) -> None:
    made = sent(bob, csv_of(3), "/jobs").json()
    assert made["status"] == "queued"
    work(Batch.objects.get())
    assert [job["job_id"] for job in bob.get("/jobs").json()["jobs"]] == [made["job_id"]]
    job = bob.get(f"/jobs/{made['job_id']}").json()
    assert (job["status"], job["progress"], job["processed_rows"]) == ("completed", 100, 3)
    assert list(bob.get("/jobs/btc_x").json()) == ["detail"]


def test_test_mode_is_apart_and_never_billed(bob: Api, work: Work) -> None:
    sent(bob.in_test_mode(), csv_of(3))
    assert work(Batch.objects.get()).units == 0
    assert bob.get("/v1/batches").json()["data"] == []
    assert len(bob.in_test_mode().get("/v1/batches").json()["data"]) == 1


def test_results_hold_no_card_number(bob: Api, work: Work) -> None:
    card = "4111111111111111"
    sent(bob, (HEADER + f"1,TRANSFER,10,{card},20,10,C2,0,0\n").encode())
    done = work(Batch.objects.get())
    results = b"".join(bob.get(f"/v1/batches/{done.pk}/results").streaming_content).decode()
    assert card not in results
    assert card not in bob.get("/v1/decisions").content.decode()
