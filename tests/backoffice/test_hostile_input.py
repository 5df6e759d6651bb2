"""What nobody should send to the portal and the operators' pages: no page fails, what is refused is told in words."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, override_settings

from apps.accounts.models import AuditEntry
from tests import hostile
from tests.backoffice.test_admin import MODELS, address, rows
from tests.campaign import SIZE

__all__ = ["rows"]  # the fixture
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:.*received a naive datetime:RuntimeWarning"),  # Django's own, of a filter
]

#: Of the percent-encoded values those that mean something to lists and ids.
VALUES = (
    *("%00", "a%00b", "%ff", "%0a", "", "abc", "-1", "0", "9" * 30, "9" * 5_000, "1e9", "NaN", "%d9%a3", "(", "%5b"),
    *("true", "None", "2026-02-30", "0001-01-01 00:00:00%2B23:59", "9999-12-31", "10000-01-01", "1,2,x", "%7b%7d"),
    *("%27", "%5c", "9999"),
)  # fmt: skip
IDS = ("\x00", "abc", "", "-1", "9" * 30, "9" * 5_000, "\u00b2", "x" * 500, "1,2")
TEXTS = (
    *("\x00", "a\x00b", "\x85", "9" * 5_000, "1E+1000000", "-1", "NaN", "Infinity", "9999-99", "\u0663"),
    "[" * 9_000,
)


@pytest.fixture
def browser(browser: Client) -> Client:
    """One that shows a fault's page instead of raising it."""
    browser.raise_request_exception = False
    return browser


def in_words(answer: Any) -> bool:
    """Whether an answer is no fault of ours, and a refusal says more than its number."""
    if answer.status_code == 400:
        return b"was refused" in answer.content and b"</html>" in answer.content
    return answer.status_code < 500


def page_of(model: str) -> Any:
    return next(one for kind, one in admin.site._registry.items() if kind._meta.label_lower == model)


def parameters(model: str) -> Iterator[str]:
    """What a list of that model reads, and what it might be made to."""
    page = page_of(model)
    filters = [
        one if isinstance(one, str) else one[0] if isinstance(one, tuple) else "state" for one in page.list_filter
    ]
    yield from ("q", "p", "o", "e", "all", "_facets", "_popup", "_to_field", "unknown", "pk__in", "id__exact", "id__in")
    for name in filters:
        yield from (name, f"{name}__exact", f"{name}__in", f"{name}__isempty", f"{name}__isnull", f"{name}__gte")
    if page.date_hierarchy:
        yield from (f"{page.date_hierarchy}__{part}" for part in ("year", "month", "day", "gte"))
    for field in page.model._meta.fields:
        yield from (f"{field.name}__regex", f"{field.name}__gte")


@pytest.mark.parametrize("model", MODELS)
def test_every_page_of(browser: Client, rows: None, model: str) -> None:
    """All of a model's in one test: the rows take as long to make as half of it takes to try."""
    try_lists(browser, model)
    try_ids(browser, model)
    try_actions(browser, model)
    try_forms(browser, model)


def try_lists(browser: Client, model: str) -> None:
    """Each parameter with one of the values, each of them with some parameter; some, in `make campaign` all, with a NUL
    too."""
    for turn, name in enumerate(parameters(model), start=MODELS.index(model)):
        for value in (VALUES[turn % len(VALUES)], *(["%00"] if turn % SIZE.alike == 0 else [])):
            answer = browser.get(f"{address(model, 'changelist')}?{name}={value}")
            assert in_words(answer), (name, value[:80], answer.status_code, answer.content[-300:])


def try_ids(browser: Client, model: str) -> None:
    """Each page of a row with a part of the values, each of them at some model."""
    listed, values = address(model, "changelist"), (*VALUES, "_00", "_ff", "x" * 5_000)
    for turn, page in enumerate(("change", "history", "delete"), start=MODELS.index(model)):
        for value in values[turn % 5 :: 5]:
            answer = browser.get(f"{listed}{value}/{page}/")
            assert in_words(answer), (page, value[:80], answer.status_code)


def try_actions(browser: Client, model: str) -> None:
    """Each action with a part of the ids, each of them with some action."""
    before = AuditEntry.objects.count()
    for turn, action in enumerate(("delete_selected", "unknown", "\x00", *page_of(model).actions)):
        for chosen in IDS[turn % 3 :: 3]:
            said = {"action": action, "_selected_action": chosen, "index": "9" * 5_000, "select_across": "0"}
            answer = browser.post(address(model, "changelist"), said)
            assert in_words(answer), (action, chosen[:80], answer.status_code)
    assert AuditEntry.objects.count() == before


def try_forms(browser: Client, model: str) -> None:
    """Fields of the page that adds, begun by the query and sent."""
    opened = browser.get(address(model, "add"))
    if opened.status_code != 200:
        return
    for turn, name in enumerate(opened.context["adminform"].form.fields):
        for value in VALUES[turn % 14 :: 14]:
            answer = browser.get(f"{address(model, 'add')}?{name}={value}")
            assert in_words(answer), (name, value[:80], answer.status_code)
        for text in TEXTS[turn % 6 :: 6]:
            answer = browser.post(address(model, "add"), {name: text, f"{name}_0": text, f"{name}_1": text})
            assert in_words(answer), (name, text[:80], answer.status_code)


def test_autocompletion(browser: Client, rows: None) -> None:
    field = "/admin/autocomplete/?app_label=billing&model_name=refund&field_name=payment"
    for value in VALUES:
        for query in (f"{field}&term={value}", f"{field}&page={value}", f"/admin/autocomplete/?app_label={value}"):
            assert in_words(browser.get(query)), query[:100]


def test_a_link_says_to_which_row_a_new_one_belongs(browser: Client, rows: None) -> None:
    from apps.billing.models import Payment

    payment = Payment.objects.get()
    opened = browser.get(f"{address('billing.refund', 'add')}?payment={payment.pk}&amount=7&reason=x")
    form = opened.context["adminform"].form
    assert str(form.initial["payment"]) == str(payment.pk)
    assert not {"amount", "reason"} & set(form.initial)


@pytest.mark.parametrize("path", ["/", "/admin/", "/admin/login/", "/admin/accounts/tenant/", "/nothing", "/health"])
def test_what_is_refused_is_told_in_words(browser: Client, path: str) -> None:
    for query in ("q=%00", "a%00=1", "&".join(f"p{n}=1" for n in range(1_500)), "next=%0a", "q=" + "a+" * 10_000):
        answer = browser.get(f"{path}?{query}")
        assert in_words(answer), (query[:40], answer.status_code)
    told = browser.get(f"{path}?q=%00")
    assert told.status_code == 400
    assert "The parameter &#x27;q&#x27; holds a control character (U+0000)." in told.content.decode()
    assert "Content-Security-Policy" in told.headers
    many = browser.get(f"{path}?" + "a=1&" * 1_500)
    assert (many.status_code, b"too many" in many.content) == (400, True)


@pytest.mark.parametrize("path", ["/admin/login/", "/", "/admin/accounts/tenant/"])
def test_forms_that_hold_what_no_store_can(browser: Client, path: str) -> None:
    for said in ({"username": "a\x00b", "password": "x"}, {"a\x00": "1"}, {"password": "\x00"}):
        assert in_words(browser.post(path, said)), said
    many = browser.post("/admin/login/", {f"p{n}": "1" for n in range(1_500)})
    assert (many.status_code, b"too many" in many.content) == (400, True)


COOKIES = [
    '"\\000\\000\\000\\000\\000\\000\\000\\000"',
    '"aaaaaaaa\\000"',
    '"\\377"',
    "\xff" * 10,
    "a" * 4_000,
    '"',
    "",
]


@pytest.mark.parametrize("cookie", COOKIES)
@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "a\\000"])
def test_cookies(operator: Any, name: str, cookie: str) -> None:
    """Octal numbers in a quoted one are characters, NUL as well."""
    client = Client(raise_request_exception=False)
    for path in ("/admin/", "/admin/login/", "/"):
        answer = client.generic("GET", path, headers={"Cookie": f"{name}={cookie}"})
        assert answer.status_code < 400, answer.status_code


MULTIPART = 'multipart/form-data; boundary="b"'
BODIES = {
    "no parts": b"",
    "half": b"--b\r\nContent-Disposition: form-data; name=",
    "odd charset": b"--b\r\nContent-Disposition: form-data; name*=hex''%41\r\n\r\nx\r\n--b--\r\n",
    "odd encoding": b"--b\r\nContent-Disposition: form-data; name=a\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n!!!\r\n--b--\r\n",
    "NUL": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\x00\r\n--b--\r\n',
    "NUL in a name": b'--b\r\nContent-Disposition: form-data; name="a\x00"\r\n\r\nx\r\n--b--\r\n',
    "a file": b'--b\r\nContent-Disposition: form-data; name="a"; filename="\x00/../x"\r\n\r\nx\r\n--b--\r\n',
    "many": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 1_500 + b"--b--\r\n",
    "large": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 3_000_000 + b"\r\n--b--\r\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("kind", [MULTIPART, "multipart/form-data", "multipart/form-data; boundary=\xff"])
def test_multipart(browser: Client, body: bytes, kind: str) -> None:
    assert in_words(browser.generic("POST", "/admin/login/", body, kind))


def test_methods(browser: Client) -> None:
    for path in ("/", "/health", "/admin/", "/admin/login/", "/admin/accounts/tenant/"):
        for method in hostile.METHODS:
            answer = browser.generic(method, path)
            assert in_words(answer), (method, path)
    assert browser.put("/").status_code == 405


def test_with_debugging_on_too(browser: Client) -> None:
    with override_settings(DEBUG=True):
        assert browser.get("/admin/?q=%00").status_code == 400
