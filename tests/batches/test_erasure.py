"""A person is removed while a batch of theirs runs: it is waited for, then its rows and files are gone."""

from collections.abc import Callable
from pathlib import Path

from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.batches import storage
from apps.batches.identity import row_names
from apps.batches.models import Batch
from apps.offboarding import tasks
from apps.offboarding.erased_batches import ids_of
from apps.scoring.models import Decision
from apps.scoring.reconciliation import reconcile_month
from tests.cast import Api

NAME = "Quatermain-88"
ROWS = f"amount,user_id,merchant_id\n20,{NAME},M1\n30,Other,M1\n25,{NAME.upper()},M2\n".encode()
OTHERS = b"amount,user_id,merchant_id\n20,Other,M1\n"
Send, Work = Callable[..., Batch], Callable[[Batch], Batch]


def files_naming(name: str) -> list[str]:
    folder = Path(storage.files().path(""))  # type: ignore[attr-defined]  # on a disk
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if name.lower().encode() in path.read_bytes().lower()]


def test_a_batch_of_theirs_is_waited_for_and_goes_with_its_files(alice: Api, send: Send, work: Work) -> None:
    batch = send(alice, ROWS, "payments")
    told = alice.call("DELETE", f"/v1/entities/user/{NAME}").json()
    assert (told["state"], told["waits_for"]) == ("holding", [batch.pk])
    work(batch)
    assert files_naming(NAME)
    assert len(alice.get("/v1/transactions").json()["data"]) == 3
    assert tasks.finish_erasures() == 1
    done = alice.get(f"/v1/erasures/{told['id']}").json()
    assert (done["state"], done["removed"]["batches"], done["removed"]["decisions"]) == ("completed", 1, 2)
    assert files_naming(NAME) == []
    with in_tenant(alice.tenant):
        assert Decision.objects.get().facts["user_id"] == "Other"
    now = timezone.now()
    assert [one for books in reconcile_month(now, now) for one in books.differences] == []


def test_ids_of_a_batch_are_those_between_its_first_and_last() -> None:
    mine, others = Batch(pk="batch_0190aabbccdd00000001"), Batch(pk="batch_0190aabbccdd00000002")
    first, last = ids_of(mine)
    (name,), (far,), (other,) = row_names(mine.pk, 0, 1), row_names(mine.pk, 9_999_999, 1), row_names(others.pk, 0, 1)
    assert first <= f"dec_{name}" < f"dec_{far}" <= last
    assert not first <= f"dec_{other}" <= last


def test_batches_that_do_not_name_them_stay(alice: Api, send: Send, work: Work) -> None:
    batch = work(send(alice, OTHERS, "payments"))
    told = alice.call("DELETE", f"/v1/entities/user/{NAME}").json()
    assert (told["state"], told["removed"]["batches"]) == ("completed", 0)
    assert Batch.objects.filter(pk=batch.pk, deleted_at=None).exists()
