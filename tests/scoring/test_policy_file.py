"""A policy's file: every way it may be written, packed or broken, by `manage.py policy_publish`."""

import gzip
import json
import zlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Tenant
from apps.scoring.policies import load
from apps.scoring.policy_file import MOST_BYTES, InvalidPolicy, members
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)

POLICY = {
    "medium": 0.2,
    "rules": [
        {"id": "mules", "outcome": "fatal_block", "all": [{"field": "merchant_id", "op": "in", "value": ["M-é"]}]},
        {"id": "large", "outcome": "review", "all": [{"field": "amount", "op": "gt", "value": 5000}]},
    ],
}
PLAIN = json.dumps(POLICY, ensure_ascii=False).encode()


def packed(data: bytes) -> bytes:
    """By gzip, without the time."""
    return gzip.compress(data, mtime=0)


def _packed_by_hand(data: bytes) -> bytes:
    return packed(data[:9]) + packed(data[9:])


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN, b"\xef\xbb\xbf" + PLAIN, packed(PLAIN), zlib.compress(PLAIN), zlib.compress(PLAIN, 1),
        packed(b"\xef\xbb\xbf" + PLAIN), _packed_by_hand(PLAIN), b"\n\n  " + PLAIN.replace(b",", b",\r\n"),
        json.dumps(POLICY).encode(), packed(PLAIN + b" " * (MOST_BYTES - len(PLAIN))),
    ],
    ids=["plain", "mark", "gzip", "zlib", "zlib-fast", "gzip-mark", "gzip-parts", "lines", "escaped", "largest"],
)  # fmt: skip
def test_a_file_is_taken_however_it_is_written(cast: Cast, tmp_path: Path, raw: bytes) -> None:
    policy = _published(tmp_path, raw)
    assert (policy.medium, [rule.id for rule in policy.rules]) == (0.2, ["mules", "large"])
    assert policy.rules[0].all[0].value == ("M-é",)


def _with(**changed: Any) -> dict[str, Any]:
    return {"id": "r", "outcome": "review", "all": [{"field": "amount", "op": "gt", "value": 5}]} | changed


def _rules(*rules: Any) -> bytes:
    return json.dumps({"rules": list(rules)}).encode()


def _asking(**condition: Any) -> bytes:
    return _rules(_with(all=[{"field": "amount", "op": "gt"} | condition]))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        # the bytes
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (PLAIN.decode().encode("utf-16"), "UTF-16"),
        (PLAIN.decode().encode("utf-16-be"), "UTF-16"),
        (PLAIN.decode().encode("utf-32"), "UTF-"),
        (PLAIN.decode().encode("latin-1"), "line 1, column 127: this is not UTF-8"),
        (packed(PLAIN)[:-12], "cut off"),
        (packed(PLAIN)[:40] + b"\0" * 40, "damaged"),
        (packed(PLAIN) + b"more", "damaged"),
        (packed(packed(PLAIN)), "packed twice"),
        (b'{"rules": ' + b" " * MOST_BYTES, "The file has more than 5,000,000 bytes"),
        (packed(b" " * (MOST_BYTES + 1)), "unpacks to has more than 5,000,000 bytes"),
        (packed(b"0" * 50_000_000), "unpacks to has more than 5,000,000"),
        # the JSON
        (b'{"medium": 0.2,\n "high": 0.5,}', "line 2, column 14: the JSON breaks"),
        (b"{'medium': 0.2}", "line 1, column 2"),
        (b'{"medium": 0.2} {}', "line 1, column 17"),
        (b'{"medium": ', "line 1, column 12"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "the whole file must be one JSON object"),
        (b'"policy"', "the whole file"),
        (b'{"medium": 0.2, "medium": 0.3}', "'medium' stands there twice"),
        (b'{"rules": [{"id": "a", "id": "b"}]}', "rules[0]: 'id' stands there twice"),
        (b'{"colour": 1}', "unknown: colour"),
        # numbers
        (b'{"medium": NaN}', "medium: the number is not finite"),
        (b'{"medium": -Infinity}', "medium: the number is not finite"),
        (b'{"medium": 1e999}', "medium: the number is not finite"),
        (b'{"high": ' + b"9" * 5000 + b"}", "high: the number has 5,000 digits; at most 40"),
        (b'{"high": 0.' + b"9" * 5000 + b"}", "high: the number has 5,001 digits; at most 40"),
        (_asking(value=9007199254740993), "rules[0].all[0].value: whole numbers beyond 9,007,199,254,740,991"),
        (b'{"medium": true}', "'medium' takes a number, not true or false"),
        (b'{"medium": "0.3"}', "'medium' takes a number, not text"),
        (b'{"medium": null}', "'medium' takes a number, not null"),
        # thresholds
        (b'{"medium": 0.9, "high": 0.5}', "medium <= high <= critical <= 1 must hold; medium is 0.9, high is 0.5"),
        (b'{"medium": 0}', "0 < medium"),
        (b'{"critical": 1.5}', "critical <= 1"),
        (b'{"review_at": -1}', "0 <= review_at <= block_at <= 1 must hold; review_at is -1"),
        (b'{"review_at": 0.8, "block_at": 0.7}', "review_at <= block_at"),
        (b'{"block_at": 7}', "block_at <= 1"),
        (b'{"default_action": "explode"}', "takes one of approve, review, challenge, block"),
        (b'{"home_country": " "}', "home_country: it is blank"),
        (b'{"home_country": "Kenya "}', "home_country: it has spaces"),
        (b'{"home_country": "a\\u0000"}', "home_country: the text holds a control character (U+0000)"),
        (b'{"home_country": "\\ud800"}', "home_country: the text holds half a character (U+D800)"),
        # rules
        (b'{"rules": {}}', "'rules' takes a list, not a JSON object"),
        (b'{"rules": [7]}', "rules[0]: 'rules[0]' takes a JSON object"),
        (_rules(_with(all=[])), "rules[0].all (rule 'r'): the list has a length of 0"),
        (_rules(_with(outcome="explode")), "(rule 'r'): 'rules[0].outcome' takes one of fatal_block"),
        (_rules(_with(), _with(id="s", all=[{"field": "amount", "op": "like", "value": 1}])),
         "rules[1].all[0].op (rule 's'): 'rules[1].all[0].op' takes one of"),
        (_rules(_with(colour=1)), "There is no field 'colour' here"),
        (_rules(_with(reason="X")), "Did you mean 'reason_code'?"),
        (_rules(_with(id="no spaces")), "rules[0].id"),
        (_rules({"id": "r"}), "is missing"),
        (_rules(_with(), _with()), "'r' is there twice"),
        (_rules(*[_with(id=f"r{n}") for n in range(101)]), "At most 100 live rules"),
        (_asking(value={"a": 1}), "rules[0].all[0].value (rule 'r')"),
        (_asking(), "either a 'value' or an 'other'"),
        (_asking(value=1, other="step"), "either a 'value' or an 'other'"),
        (_asking(value=[1]), "'in' and 'not_in' take a list"),
        (_asking(op="in", value=1), "'in' and 'not_in' take a list"),
        (_asking(op="in", value=list(range(10_001))), "at most 10,000 items"),
        (_asking(value="5000"), "rules[0].all[0].value (rule 'r', field 'amount'): 'amount' is a number"),
        (_asking(field="merchant_id", op="in", value=[17]), "'merchant_id' is text, like \"M-17\"; not 17"),
        (_asking(field="merchant_id", op="not_in", value=[17, 18]), "not 17"),
        (_asking(field="shoe", value=1), "'shoe'"),
        # built-in rules
        (b'{"built_in": [{"id": "black_whole", "outcome": "off"}]}', "built_in[0] ('black_whole'): there is no such"),
        (b'{"built_in": [{"id": "black_hole", "outcome": "allow"}]}', "'built_in[0].outcome' takes one of"),
        (b'{"built_in": [{"id": "black_hole", "limit": {}}]}', "Did you mean 'limits'?"),
        (b'{"built_in": [{"id": "black_hole", "limits": {"step": 3}}]}', "no limit on 'step'; it has: amount"),
        (_rules(_with(schema="pay")), "rules[0].schema (rule 'r'): there is no schema 'pay'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_changes_nothing(
    cast: Cast, tmp_path: Path, raw: bytes, said: str
) -> None:
    before = Tenant.objects.get(slug="alice").policy_version
    with pytest.raises(CommandError) as refusal:
        _published(tmp_path, raw)
    told = str(refusal.value)
    assert told.startswith("--file: ") and said in told, told
    assert len(told) < 1000 and told.isprintable()
    assert Tenant.objects.get(slug="alice").policy_version == before


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, "is a directory"),
        (lambda folder: folder / "gone.json", "no such file"),
        (lambda folder: folder / "a\0b", "can not be read"),
        (lambda folder: Path("/dev/zero"), "more than 5,000,000 bytes"),
    ],
)
def test_what_is_no_file_is_said_so(
    cast: Cast, tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:  # fmt: skip
    with pytest.raises(CommandError, match=said):
        call_command("policy_publish", "--tenant", "alice", "--file", str(make(tmp_path)), stdout=StringIO())


@pytest.mark.parametrize("country", [" ", "Kenya ", "a\x00b", "K" * 129])
def test_a_home_country_nobody_can_name_is_refused(cast: Cast, country: str) -> None:
    with pytest.raises(CommandError, match=r"--home-country: .*home_country"):
        call_command("policy_publish", "--tenant", "alice", "--home-country", country, stdout=StringIO())


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(b"\0" * 400_000_000, 9)
    assert len(bomb) < MOST_BYTES
    with pytest.raises(InvalidPolicy, match="more than 5,000,000 bytes"):
        members(bomb)


def _published(folder: Path, raw: bytes) -> Any:
    file = folder / "policy.json"
    file.write_bytes(raw)
    call_command("policy_publish", "--tenant", "alice", "--file", str(file), stdout=StringIO())
    tenant = Tenant.objects.get(slug="alice")
    return load(tenant.schema_name, tenant.policy_version)
