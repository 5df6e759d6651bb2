"""Problems: RFC 9457, one form, a page for each, and nothing of our insides."""

import re
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client

from apps.errors import KINDS
from tests.api.bodies import HONEST, TRANSFER, asking
from tests.cast import Api

MEMBERS = {"type", "title", "status", "detail", "code", "param", "request_id", "doc_url"}


def test_a_problem_has_all_its_members(alice: Api) -> None:
    answer = alice.post("/v1/decisions", asking(TRANSFER | {"amount": -1}), x_request_id="mine")
    told = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert set(told) == MEMBERS | {"errors"}
    assert set(alice.get("/v1/decisions/none").json()) == MEMBERS
    assert (told["status"], told["code"], told["param"]) == (422, "field_invalid", "transaction.amount")
    assert told["request_id"] == answer["X-Request-Id"] == "mine"
    assert told["title"] == KINDS["field_invalid"].title
    assert "a number from 0 to 1,000,000,000,000" in told["detail"]


def test_doc_url_leads_to_the_errors_own_line(alice: Api) -> None:
    told = alice.post("/v1/decisions", b"{").json()
    page, _, anchor = told["doc_url"].partition("#")
    assert told["type"] == told["doc_url"]
    assert page.startswith(f"{settings.API_URL}/")  # it leads there from wherever it is read
    assert f'id="{anchor}"' in Client().get(urlsplit(page).path).content.decode()


@pytest.mark.parametrize("code", KINDS)
def test_every_error_has_its_line_on_the_page(code: str) -> None:
    page = Client().get("/docs/errors").content.decode()
    line = re.search(rf'<tr id="error-{code}">(.*?)</tr>', page, re.DOTALL)
    assert line is not None
    assert str(KINDS[code].status) in line[1]
    assert KINDS[code].title.replace("'", "&#x27;") in line[1]


def test_hostile_input_is_not_echoed_as_markup(alice: Api) -> None:
    answer = alice.post("/v1/decisions", {"schema": "<script>alert(1)</script>", "transaction": TRANSFER})
    assert answer["Content-Type"] == "application/problem+json"
    assert alice.post("/v1/decisions", HONEST, x_request_id="<script>")["X-Request-Id"] != "<script>"
