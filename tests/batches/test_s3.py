"""Batches' files in a bucket: a real server that speaks S3, on this machine."""

from collections.abc import Callable, Iterator

import boto3
import pytest
from django.conf import settings
from django.test import override_settings
from moto.server import ThreadedMotoServer

from apps.batches import services, storage, tasks
from apps.batches.models import Batch
from config.batch_files import batch_files
from tests.batches.sent import csv_of
from tests.cast import Api

ADDRESS, BUCKET = "/v1/batches?schema=paysim", "palisade-files"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedMotoServer]:
    """The server with an empty bucket, in which batches' files are for as long as it runs."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a key")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=BUCKET)
    files = batch_files(storage.scratch(), BUCKET, endpoint, "us-east-1")
    storage.files.cache_clear()
    with override_settings(STORAGES={**settings.STORAGES, "batches": files}):
        yield server
    storage.files.cache_clear()
    server.stop()


def test_a_batch_lives_in_a_bucket(bob: Api, work: Callable[[Batch], Batch], server: ThreadedMotoServer) -> None:
    address = bob.call("POST", ADDRESS, csv_of(30), "text/csv")["Location"]
    done = work(Batch.objects.get())
    assert (done.state, done.units) == ("completed", 30)
    results = f"{address}/results"
    whole = b"".join(bob.get(results).streaming_content)
    assert len(whole.splitlines()) == 31
    assert b"".join(bob.get(results, range="bytes=5-9").streaming_content) == whole[5:10]
    assert storage.read(done.results["csv"]["name"]) == whole
    _, names = storage.files().listdir(storage.place(done, ""))
    assert sorted(names) == ["results.csv", "upload"]
    bob.call("DELETE", address)
    services.remove_deleted()
    assert storage.files().listdir(storage.place(done, "")) == ([], [])


def test_what_is_not_there_and_a_store_that_is_away_are_told_apart(bob: Api, server: ThreadedMotoServer) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("nothing")
    queued = bob.call("POST", ADDRESS, csv_of(3), "text/csv").json()["id"]
    server.stop()
    answer = bob.call("POST", ADDRESS, csv_of(3), "text/csv")
    assert (answer.status_code, answer.json()["code"]) == (503, "stores_away")
    tasks.plan(queued)  # it waits
    assert [one.state for one in Batch.objects.all()] == ["queued"]
