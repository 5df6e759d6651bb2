"""Files of lists that are too long to be waited for: taken at once, in force later, all at one moment or not at all."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from apps.batches import list_files, storage, tasks
from apps.batches.models import ListImport
from apps.offboarding import erasures
from apps.offboarding.models import Erasure
from apps.scoring.lists import importing
from apps.valkey import server
from tests.cast import Api
from tests.pace import within

LINES = b"u1\nu2\n\nu3\nu3\nu4"


@pytest.fixture(autouse=True)
def few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of six lines is a long one."""
    monkeypatch.setattr(importing, "AWAITED_LINES", 3)
    monkeypatch.setattr(importing, "AT_ONCE", 2)


def sent(api: Api, content: bytes = LINES, kind: str = "text/plain") -> Any:
    api.post("/v1/lists", {"name": "mules", "item_type": "user"})
    answer = api.call("POST", "/v1/lists/mules/import", content, kind)
    assert answer.status_code == 202, answer.content
    return answer.json()


def worked(import_id: str) -> bool:
    return list_files.work_off(import_id, server(settings.REDIS_URL, 5.0), timezone.now)


def _work_off(import_id: str) -> None:
    """Work a file off in a thread of its own."""
    worked(import_id)
    connections.close_all()


def stand(api: Api, import_id: str) -> Any:
    return api.get(f"/v1/lists/mules/imports/{import_id}").json()


def test_it_waits_is_worked_off_once_and_is_in_force(alice: Api) -> None:
    told = sent(alice)
    assert (told["state"], told["progress"], told["lines"], told["finished_at"]) == ("queued", 0, 6, None)
    assert alice.get("/v1/lists/mules").json()["items"] == 0
    assert list_files.waiting() == [told["id"]]
    assert worked(told["id"]) and not worked(told["id"])
    told = stand(alice, told["id"])
    assert (told["state"], told["progress"], told["added"], told["wrong"]) == ("completed", 100, 4, 0)
    assert alice.get("/v1/lists/mules").json()["items"] == 4
    assert len(alice.get("/v1/lists/mules/items?value=u3").json()["data"]) == 1
    upload = ListImport.objects.get(pk=told["id"]).upload
    assert not storage.exists(upload) and list_files.waiting() == []


def test_the_worker_s_round_asks_for_it(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_queue = [1, 0]
    monkeypatch.setattr(tasks, "_waiting_tasks", lambda: in_the_queue.pop(0))
    asked: list[str] = []
    monkeypatch.setattr(tasks.import_list, "delay", asked.append)
    told = sent(alice)
    assert (tasks.go_on(), asked) == (0, [])  # a worker has not taken the last one yet
    assert (tasks.go_on(), asked) == (1, [told["id"]])
    tasks.import_list(told["id"])
    assert stand(alice, told["id"])["state"] == "completed"
    assert tasks.go_on() == 0  # nothing waits: the broker is not asked, of which there is no answer left


def test_a_form_s_file_too_with_its_wrong_lines_told(alice: Api) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="m.csv"\r\n\r\n'
    rows = b"value,expires_at\nu1,\nu2,yesterday\nu3,\nu4,\nu5,\n"
    told = sent(alice, head + rows + b"\r\n--b--", "multipart/form-data; boundary=b")
    worked(told["id"])
    told = stand(alice, told["id"])
    assert (told["added"], told["wrong"], told["problems"][0]["line"]) == (4, 1, 3)
    assert "2027-01-05T10:00:00Z" in told["problems"][0]["detail"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(LINES + b"\n\xff", "Line 7 is not UTF-8. Nothing of the file is in force."), (LINES, "The list was deleted")],
)
def test_of_one_that_fails_nothing_is_in_force_and_it_says_why(alice: Api, content: bytes, reason: str) -> None:
    told = sent(alice, content)
    if "deleted" in reason:
        alice.call("DELETE", "/v1/lists/mules")
    worked(told["id"])
    row = ListImport.objects.get(pk=told["id"])
    assert row.state == "failed" and row.reason.startswith(reason)
    assert not storage.exists(row.upload)
    if "deleted" not in reason:
        assert alice.get("/v1/lists/mules").json()["items"] == 0


def test_while_one_is_at_it_how_far_it_is_is_told_and_nobody_else_begins(
    alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = sent(alice)
    reading, may_end = Event(), Event()
    merged: Callable[..., Any] = importing.bulk._merged

    def waits(*given: Any) -> Any:
        reading.set()
        assert may_end.wait(within(30))
        return merged(*given)

    monkeypatch.setattr(importing.bulk, "_merged", waits)
    worker = Thread(target=_work_off, args=(told["id"],), daemon=True)
    worker.start()
    try:
        assert reading.wait(within(30))
        assert (stand(alice, told["id"])["state"], stand(alice, told["id"])["progress"]) == ("running", 99)
        assert alice.get("/v1/lists/mules").json()["items"] == 0
        assert list_files.waiting() == [] and not worked(told["id"])
    finally:
        may_end.set()
        worker.join(within(30))
    assert stand(alice, told["id"])["state"] == "completed"


def test_what_a_worker_began_and_did_not_end_is_done_by_the_next(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    told = sent(alice)
    with monkeypatch.context() as dying:
        dying.setattr(importing.bulk, "_merged", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worked(told["id"])
    assert list_files.waiting() == [told["id"]]
    worked(told["id"])
    assert stand(alice, told["id"])["added"] == 4


def test_no_other_tenant_and_no_other_mode_sees_it(alice: Api, bob: Api) -> None:
    told = sent(alice)
    for other in (bob, alice.in_test_mode()):
        other.post("/v1/lists", {"name": "mules", "item_type": "user"})
        assert other.get(f"/v1/lists/mules/imports/{told['id']}").status_code == 404
    assert alice.get("/v1/lists/mules/imports/lim_1").status_code == 404


def test_there_is_an_end_to_files_that_wait(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_files, "MOST_WAITING", 1)
    sent(alice)
    refused = alice.call("POST", "/v1/lists/mules/import", LINES, "text/plain")
    assert (refused.status_code, refused.json()["code"]) == (422, "limit_reached")


def test_it_goes_with_its_tenant_and_with_time(alice: Api) -> None:
    told = sent(alice)
    upload = ListImport.objects.get(pk=told["id"]).upload
    list_files.forget(alice.tenant)
    assert not ListImport.objects.exists() and not storage.exists(upload)
    worked_off = sent(alice)
    worked(worked_off["id"])
    assert list_files.forget_old(timezone.now()) == 0
    assert list_files.forget_old(timezone.now() + 2 * list_files.KEPT) == 1


def test_who_is_erased_while_a_file_with_them_waits_is_not_listed_afterwards(alice: Api) -> None:
    told = sent(alice)
    erased = alice.call("DELETE", "/v1/entities/user/u3").json()
    assert (erased["state"], told["id"] in erased["waits_for"]) == ("holding", True)
    worked(told["id"])
    erasures.finish_held(server(settings.REDIS_URL, 5.0), timezone.now())
    assert alice.get("/v1/lists/mules/items?value=u3").json()["data"] == []
    assert alice.get("/v1/lists/mules").json()["items"] == 3
    assert Erasure.objects.get(pk=erased["id"]).removed["lists"] == 1
