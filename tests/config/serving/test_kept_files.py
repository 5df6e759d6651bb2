"""Files asked for again are answered as the first time; whoever asks for less than the whole is answered by Django."""

import httpx
import pytest

from config.serving import kept_files

FILE = "/static/portal.css"
GZIP, PLAIN = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}
#: Of each answer its own.
OWN = {"date", "x-request-id"}


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OWN}


@pytest.mark.parametrize("asked", [GZIP, PLAIN], ids=["gzip", "plain"])
@pytest.mark.parametrize("query", ["", "?v=000000000000"])
def test_the_second_answer_is_the_first(portal: str, asked: dict[str, str], query: str) -> None:
    with httpx.Client(base_url=portal, headers=asked) as client:
        first, again = (client.get(FILE + query) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert (first.content, headers_of(first)) == (again.content, headers_of(again))
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert again.headers["content-encoding"] == "gzip" if asked is GZIP else "content-encoding" not in again.headers
    assert {"content-length", "x-content-type-options", "content-security-policy"} <= set(again.headers)


def test_a_large_file_comes_whole(portal: str) -> None:
    with httpx.Client(base_url=portal, headers=PLAIN) as client:
        first, again = (client.get("/static/openapi.json") for _ in range(2))
    assert len(again.content) > 4 * kept_files.PIECE
    assert again.content == first.content


@pytest.mark.parametrize(
    ("asked", "status"), [({"Range": "bytes=0-9"}, 206), ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304)]
)
def test_who_asks_for_less_gets_less(portal: str, asked: dict[str, str], status: int) -> None:
    with httpx.Client(base_url=portal, headers=PLAIN) as client:
        client.get(FILE)
        assert client.get(FILE, headers=asked).status_code == status
        assert client.head(FILE).content == b""
        assert client.get("/static/nothing.css").status_code == 404


def test_made_up_addresses_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_files, "MOST", 10)
    files = kept_files.KeptFiles("/static/")
    for number in range(8):
        files._remember((str(number),), kept_files.Kept({}, b"four"))
        assert files._bytes == sum(len(kept.content) for kept in files._kept.values()) <= 10
