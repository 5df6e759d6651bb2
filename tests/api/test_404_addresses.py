"""404: a wrong address is told what is near it; `/` says where to begin."""

from urllib.parse import urlsplit

import pytest

from apps.api.index import LINKS
from tests.cast import Api

#: A wrong address, and one it is told of, if any.
WRONG = [
    ("/v1", "/v1/decisions"),
    ("/v1/decision", "/v1/decisions"),
    ("/decisions", "/v1/decisions"),
    ("/V1/Usage/dayly", "/v1/usage/daily"),
    ("/predict/batches", "/predict/batch"),
    ("/v1/decisions/a b", "/v1/decisions/{decision_id}"),
    ("/v1/webhook/whe_1", "/v1/webhooks/{webhook_id}"),
    ("/v1/invoice/in_1.pdf", "/v1/invoices/{invoice_id}.pdf"),
    ("/admin/", None),
    ("/x" * 500, None),
    ("/" * 5_000, None),
]


@pytest.mark.parametrize(("path", "near"), WRONG, ids=[path[:30] for path, _ in WRONG])
def test_a_wrong_address_is_told_what_is_near_it(alice: Api, path: str, near: str | None) -> None:
    answer = alice.get(path)
    told = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert (told["code"], "/docs" in told["detail"]) == ("address_unknown", True)
    assert f" {near}" in told["detail"] if near else "Near" not in told["detail"]


def test_an_object_that_is_missing_is_another_matter(alice: Api) -> None:
    told = alice.get("/v1/decisions/dec_none").json()
    assert (told["code"], "test and live" in told["detail"]) == ("not_found", True)


def test_the_root_says_where_to_begin() -> None:
    links = Api().get("/").json()["links"]
    assert links.keys() == LINKS.keys()
    assert {Api().get(urlsplit(link).path).status_code for link in links.values()} == {200}
