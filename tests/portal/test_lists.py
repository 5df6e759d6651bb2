"""The pages of lists: made, filled by pasting and by files, searched, emptied, and added to from a decision's page."""

import re
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.batches import list_files
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Rule
from apps.scoring.lists import importing
from apps.scoring.models import ListItem, ValueList
from apps.scoring.policies import publish
from apps.valkey import server
from tests.cast import Cast
from tests.factories import DecisionFactory, MembershipFactory
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)
MOST_QUERIES = 15


def browser(cast: Cast, role: str = "owner") -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant, role=role)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def filled(cast: Cast, item_type: str = "ip", *values: str) -> Client:
    analyst = browser(cast, "analyst")
    made = analyst.post("/lists/", {"name": "offices", "item_type": item_type, "description": "Our own"})
    assert (made.status_code, made["Location"]) == (302, "/lists/offices/")
    if values:
        assert analyst.post("/lists/offices/", {"values": "\n".join(values)}).status_code == 302
    return analyst


def test_values_are_pasted_searched_and_removed(cast: Cast) -> None:
    analyst = filled(cast, "ip", "192.0.2.0/24", "2001:db8::1")
    assert "2 items" in text_of(analyst.get("/lists/offices/"))
    found = text_of(analyst.get("/lists/offices/?q=192.0.2.77"))
    assert "192.0.2.0/24" in found and "2001:db8::1" not in found
    item = re.search(r'value="(itm_\d+)"', found)
    assert item is not None
    assert analyst.post("/lists/offices/", {"do": "remove", "item": item[1]}).status_code == 302
    assert "Nothing found" in text_of(analyst.get("/lists/offices/?q=192.0.2.77"))
    assert b"2001:db8::1" in b"".join(analyst.get("/lists/offices/?export=csv").streaming_content)  # type: ignore[arg-type]


def test_one_wrong_value_keeps_all_of_them_out_and_is_told(cast: Cast) -> None:
    analyst = filled(cast)
    answer = analyst.post("/lists/offices/", {"values": "192.0.2.1\n4111111111111111\n"})
    assert answer.status_code == 422
    assert "411111******1111: takes an IP address" in text_of(answer)
    with in_tenant(cast.alice.tenant):
        assert not ListItem.objects.exists()


def test_a_file_s_wrong_lines_are_told_and_the_rest_is_kept(cast: Cast) -> None:
    analyst = filled(cast)
    file = SimpleUploadedFile("a.csv", b"value,note\n192.0.2.1,hq\nnowhere,x\n")
    answer = text_of(analyst.post("/lists/offices/", {"do": "file", "file": file}))
    assert "1 added" in answer and "Line 3: &#x27;value&#x27; takes an IP address" in answer


def test_a_list_in_use_says_by_which_rules_and_stays(cast: Cast) -> None:
    analyst = filled(cast)
    rule = Rule("at_home", "note", when="ip_address in lists.offices")
    publish(tenant=cast.alice.tenant, policy=Policy(rules=(rule,)), gate=get_gate(), now=timezone.now())
    assert "at_home" in text_of(analyst.get("/lists/")) and "at_home" in text_of(analyst.get("/lists/offices/"))
    analyst.post("/lists/offices/", {"do": "delete"})
    assert "These rules use it: at_home" in text_of(analyst.get("/lists/offices/"))
    publish(tenant=cast.alice.tenant, policy=Policy(), gate=get_gate(), now=timezone.now())
    assert analyst.post("/lists/offices/", {"do": "delete"})["Location"] == "/lists/"
    assert analyst.get("/lists/offices/").status_code == 404


def test_a_decision_s_user_is_put_into_a_list_from_its_page(cast: Cast) -> None:
    with in_tenant(cast.alice.tenant):
        DecisionFactory(id="dec_1", facts={"amount": 20.0, "user_id": "Ann-of-Bern", "email": "4111111111111111"},
                        hidden={"email": "0" * 32})  # fmt: skip
    analyst = filled(cast, "user")
    page = text_of(analyst.get("/decisions/dec_1/"))
    assert "user_id: Ann-of-Bern" in page and "email: 4111" not in page
    assert analyst.post("/decisions/dec_1/list/", {"list": "offices", "field": "user_id"}).status_code == 302
    assert "an***rn" in text_of(analyst.get("/lists/offices/?q=ann-of-bern"))
    analyst.post("/decisions/dec_1/list/", {"list": "offices", "field": "email"})
    assert "Nothing was added" in text_of(analyst.get("/decisions/dec_1/"))
    assert browser(cast, "viewer").post("/decisions/dec_1/list/", {}).status_code == 403


def test_what_is_of_the_other_mode_or_company_is_not_shown(cast: Cast) -> None:
    filled(cast, "ip", "192.0.2.1")
    other = Client()
    membership = MembershipFactory(tenant=cast.bob.tenant)
    other.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert other.get("/lists/offices/").status_code == 404
    assert "offices" not in text_of(other.get("/lists/"))
    with in_tenant(cast.alice.tenant):
        ValueList.objects.update(livemode=True)
    assert "This is a live list" in text_of(browser(cast).get("/lists/offices/"))


@pytest.mark.parametrize("path", ["/lists/", "/lists/offices/"])
def test_a_page_asks_few_questions(cast: Cast, path: str) -> None:
    analyst = filled(cast, "ip", *(f"192.0.2.{number}" for number in range(60)))
    analyst.get(path)
    with CaptureQueriesContext(connection) as asked:
        assert analyst.get(path).status_code == 200
    queries = [one["sql"] for one in asked if not one["sql"].startswith("SET search_path")]
    assert len(queries) <= MOST_QUERIES, "\n".join(queries)


def test_a_long_file_is_put_in_force_later_and_the_page_says_how_far_it_is(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AWAITED_LINES", 1)
    analyst = filled(cast)
    file = SimpleUploadedFile("a.csv", b"value,note\n192.0.2.1,hq\nnowhere,x\n192.0.2.2,\n")
    assert analyst.post("/lists/offices/", {"do": "file", "file": file}).status_code == 302
    page = text_of(analyst.get("/lists/offices/"))
    assert "4 lines" in page and 'hx-get="/lists/offices/progress/"' in page
    (waiting,) = list_files.waiting()
    list_files.work_off(waiting, server(settings.REDIS_URL, 5.0), timezone.now)
    part = text_of(analyst.get("/lists/offices/progress/"))
    assert "2 added" in part and "Line 3: &#x27;value&#x27; takes an IP address" in part and "hx-get" not in part
    assert "2 items" in text_of(analyst.get("/lists/offices/"))


def test_a_large_file_is_received_on_a_disk_from_those_who_are_logged_in(cast: Cast) -> None:
    client = filled(cast)
    content = b"".join(b"10.%d.%d.%d,%60s\n" % (n // 65_536, n // 256 % 256, n % 256, b"") for n in range(50_000))
    with serving("portal") as address, httpx.Client(base_url=address) as http:
        file, form = {"file": ("large.csv", b"value,note\n" + content, "text/csv")}, {"do": "file"}  # 3.7 MB
        turned_away = http.post("/lists/offices/", files=file, data=form)
        assert (turned_away.status_code, "/account/login/" in turned_away.headers["Location"]) == (302, True)
        http.cookies.set("sessionid", client.cookies["sessionid"].value)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', http.get("/lists/offices/").text)[1]  # type: ignore[index]
        form |= {"csrfmiddlewaretoken": token}
        answer = http.post("/lists/offices/", files=file, data=form, headers={"Origin": address}, timeout=60)
        assert (answer.status_code, answer.headers.get("Location")) == (302, "/lists/offices/")
        assert "50,000 items" in http.get("/lists/offices/").text
