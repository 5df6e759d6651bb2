"""Everything the description knows a place for, with everything nobody should put there.

Every parameter, path, header and field of every address: no answer is a 5xx, a refusal has its interface's own form,
and after a refusal the database is as it was. What comes before any view is looked at in tests/config/serving.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import pytest
from django.db import connection

from apps.api.documentation import OPENAPI
from tests import hostile
from tests.api import dialects
from tests.api.bodies import HONEST
from tests.api.test_problems import MEMBERS
from tests.campaign import SIZE, campaign
from tests.cast import Api

PATHS: dict[str, Any] = json.loads(OPENAPI.read_text())["paths"]
#: A good body with all that may stand in it, an address each. A new address that takes one gets its line here.
BODIES: dict[str, Any] = {
    "/v1/decisions": HONEST | {"model": "xgboost", "dry_run": True, "more": "unknown"},
    "/v1/decisions/batch": {"schema": "paysim", "transactions": [HONEST["transaction"]], "model": "xgboost"},
    "/v1/labels": {
        "labels": [
            {
                "transaction_id": "t-1",
                "label": "fraud",
                "source": "analyst",
                "amount_lost": 1.5,
                "known_at": "2026-01-01T00:00:00Z",
                "occurred_at": "2026-01-01T00:00:00Z",
            }
        ]
    },
    "/v1/imports": {"stripe_radar": {}, "apply": False},
    "/v1/models/train": {"schema": "payments"},
    "/v1/policies": {"policy": {"review_at": 0.2}, "note": "why", "based_on": 0, "dry_run": True},
    "/v1/policies/{policy_version}/rollback": {"note": "why"},
    "/v1/policies/simulate": {"days": 1, "thresholds": {"review_at": 0.2}, "costs": {"loss": 1.0}, "schema": "paysim"},
    "/v1/models/retraining": {"schema": "payments", "weekly": True, "promotes": False},
    "/v1/lists": {"name": "mine", "item_type": "user"},
    "/v1/lists/{list_name}/items": {
        "items": [{"value": "u1", "note": "A mule.", "expires_at": "2030-01-01T00:00:00Z"}]
    },
    "/v1/lists/{list_name}/items/remove": {"values": ["u1"]},
    "/v1/cases/next": {"queue": "default"},
    "/v1/cases/{case_id}/assign": {"to": "key:1"},
    "/v1/cases/{case_id}/notes": {"text": "Called back."},
    "/v1/cases/{case_id}/attachments": {"name": "a.txt", "content": "S25vd24="},
    "/v1/cases/{case_id}/resolve": {"resolution": "fraud", "note": "A theft.", "amount_lost": 1.5},
    "/v1/review-queues": {
        "name": "mine",
        "position": 3,
        "criteria": {
            "rules": ["mine"],
            "schemas": ["payments"],
            "amount_from": 1,
            "amount_to": 2.5,
            "probability_from": 0.1,
            "probability_to": 0.9,
            "older_than_minutes": 5,
        },
        "order": "oldest",
        "sla_minutes": 60,
        "second_review_above": 1000,
    },
    "/v1/transactions": {"schema": "paysim", "transactions": [HONEST["transaction"]]},
    "/transactions": {"transactions": dialects.GATEWAY.body["transactions"]},
    "/v1/predictions": {
        "transaction_id": "t-1",
        "fraud_probability": 0.5,
        "model": "mine",
        "model_version": "1",
        "is_fraud": True,
        "predicted_at": "2026-01-01T00:00:00Z",
    },
    "/predictions": {"predictions": [{"transaction_id": "t-1", "fraud_probability": 0.5, "model": "mine"}]},
    "/v1/retention": {"decisions": 400, "labels": None},
    "/v1/auth/token": {"scopes": ["read"], "expires_in": 60},
    "/v1/budgets": {"spend_cap": "31.00", "thresholds": [50, 80]},
    "/predict": dialects.COMMERCIAL.body,
    "/predict/batch": dialects.COMMERCIAL_BATCH.body,
    "/batch-predict": dialects.ENTERPRISE_BATCH.body,
    "/api/v1/score": dialects.GATEWAY.body,
    "/detect": dialects.DETECT.body,
    "/detect/ensemble": dialects.ENSEMBLE.body,
    "/v1/subscription": {"plan": "basic"},
    "/v1/credits": {"coupon": "NONE"},
    "/v1/payment-method": {"success_url": "https://a.example/ok", "cancel_url": "https://a.example/"},
    "/v1/payment-method/portal": {"return_url": "https://a.example/"},
    "/stripe/webhook": {"id": "evt_1", "type": "a.b", "created": 1, "data": {"object": {}}},
    "/v1/stripe/account": {"api_key": "sk_test_12345", "webhook_secret": "whsec_12345678"},
    "/stripe/screen/{handle}/{mode}": {"id": "evt_1", "type": "a.b", "created": 1, "data": {"object": {}}},
    "/fraud-alert": {"transaction_id": "t1", "fraud_probability": 0.9, "message": "a theft"},
    "/system-alert": {"service": "api", "severity": "warning", "message": "slow"},
    "/v1/alert-rules": {
        "kind": "fraud_rate_spike",
        "name": "mine",
        "enabled": True,
        "severity": "warning",
        "thresholds": {"factor": 4, "decisions": 500},
        "period_minutes": 30,
        "mail_to": ["a@example.com"],
        "channels": [],
        "quiet_hours": {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"},
        "escalation": [{"after_minutes": 30, "mail_to": ["b@example.com"]}],
    },
    "/v1/rules": {
        "id": "mine",
        "outcome": "review",
        "when": "amount > 5000.0",
        "schema": "payments",
        "reason_code": "MINE",
        "description": "mine",
        "state": "shadow",
        "share": 50,
        "reason": "why",
    },
    "/v1/rules/{rule_name}/snoozes": {
        "field": "user_id",
        "value": "Ann",
        "until": "2027-01-15T00:00:00Z",
        "reason": "why",
    },
    "/v1/rules/{rule_name}/snoozes/end": {"field": "user_id", "value": "Ann", "reason": "why"},
    "/v1/aggregates": {
        "name": "mine",
        "schema": "payments",
        "by": ["card_bin", "user_id"],
        "function": "distinct",
        "of": "merchant_id",
        "window": "24h",
        "where": "amount > 100.0",
        "description": "mine",
        "reason": "why",
    },
    "/v1/aggregates/{aggregate_name}/archive": {"reason": "why"},
    "/v1/models/{model_id}/shadow": {"promote_when": {"frauds": 100, "days": 14}},
    "/v1/rules/validate": {"when": "amount > 5000.0", "schema": "payments"},
    "/v1/alert-channels": {"name": "#fraud", "url": "https://hooks.slack.com/services/T/B/X"},
    "/v1/webhooks": {"url": "https://a.example/", "events": ["webhook.test"], "description": "mine"},
    "/v1/webhooks/{webhook_id}": {"url": "https://a.example/", "events": [], "description": "x", "enabled": True},
    "/v1/webhooks/{webhook_id}/rotate": {"overlap_hours": 1},
}
#: What is told as {"detail": …}, with `errors` where fields are wrong.
DIALECTS = {"/predict", "/predict/batch", "/batch-predict", "/api/v1/score", "/detect", "/detect/ensemble", "/models"}
DIALECTS |= {"/account/usage", "/fraud-alert", "/system-alert", "/history", "/alerts"}
DIALECTS |= {"/fraud-trends", "/transaction-patterns", "/risk-distribution", "/model-performance"}
DIALECTS |= {"/transactions", "/predictions", "/jobs", "/jobs/{job_id}", "/services/status", "/services", "/overview"}
OPERATIONS = [(method.upper(), path) for path, methods in PATHS.items() for method in methods]
#: What is asked of an address in place of an id that there is.
EXAMPLE = {"handle": "ab12cd", "mode": "live", "intent_id": "pi_1"}
MOST_PARAMETERS = 50


def test_every_address_that_takes_a_body_has_one_here() -> None:
    taken = {path: methods.get("post", {}).get("requestBody", {}).get("content", {}) for path, methods in PATHS.items()}
    assert set(BODIES) == {path for path, content in taken.items() if "application/json" in content}


@pytest.fixture
def kept(stranger: Api) -> Callable[[], Any]:
    """All rows of `public` and of the stranger's schema, as a number a table; but for when and from where keys
    were used, and for the quality of what is sent, which counts the refused."""
    seen: dict[str, Any] = {}
    _prepare_counting(stranger.tenant.schema_name)

    def look() -> Any:
        """Looked at only when something was written since: Postgres numbers the transactions that write."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
            (writes,) = cursor.fetchone()
            if seen.get("writes") != writes:
                cursor.execute("EXECUTE kept")
                seen.update(writes=writes, rows=sorted(cursor.fetchall()))  # in no order of their own
        return seen["rows"]

    return look


def _prepare_counting(schema: str) -> None:
    """To plan one statement over all tables takes longer than to run it: once a connection."""
    named = (
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', %s)"
        " AND tablename NOT IN ('ingest_qualityday', 'api_keys_keynetwork') ORDER BY 1, 2"
    )
    row = "(to_jsonb(one) - 'last_used_at' - 'last_used_ip')::text"
    counted = f"SELECT '{{0}}.{{1}}', count(*), sum(hashtext({row})) FROM {{0}}.{{1}} one"
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_prepared_statements WHERE name = 'kept'")
        if not cursor.fetchone():
            cursor.execute(named, [schema])
            cursor.execute(f"PREPARE kept AS {' UNION ALL '.join(counted.format(*one) for one in cursor.fetchall())}")


def address(path: str, **ids: str) -> str:
    """The address with ids in their places."""
    for name in _names(path):
        path = path.replace(f"{{{name}}}", ids.get(name) or EXAMPLE.get(name, "missing_0000"))
    return path


def _names(path: str) -> list[str]:
    return [part[1:].split("}")[0] for part in path.split("/") if part.startswith("{")]


def call(api: Api, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    """One request with the body of its address, and its answer looked at."""
    template = path.partition("?")[0]
    said = body if body is not None else json.dumps(BODIES[template]).encode() if template in BODIES else b""
    return api.call(method, address(path), said if method == "POST" else b"", **headers)


def in_form(answer: Any, path: str) -> bool:
    """Whether an answer is no fault of ours and, where it refuses, tells so in the form of its interface."""
    if answer.status_code < 400:
        return True
    if answer.status_code >= 500:
        return False
    if not answer.content:
        return answer.request["REQUEST_METHOD"] == "HEAD"
    told = json.loads(answer.content)
    if path.partition("?")[0] in DIALECTS and answer["Content-Type"] == "application/json":
        return {"detail"} <= told.keys() <= {"detail", "errors"}
    return answer["Content-Type"] == "application/problem+json" and set(told) >= MEMBERS


def holds(answer: Any, path: str, before: Any, kept: Callable[[], Any]) -> Any:
    """Asserts the form, and that a refusal left everything as it was; what is kept now."""
    assert in_form(answer, path), (path, answer.status_code, answer.content[:300])
    now = kept() if answer.status_code < 500 else None
    assert answer.status_code < 400 or now == before, (path, answer.status_code, answer.content[:300])
    return now


# --- parameters that many addresses have alike ---


def _kind(parameter: Any) -> tuple[str, ...]:
    return parameter["in"], parameter["name"], json.dumps(parameter["schema"], sort_keys=True)


#: Where each kind of parameter is taken.
PLACES: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
for _operation in OPERATIONS:
    for _parameter in PATHS[_operation[1]][_operation[0].lower()]["parameters"]:
        PLACES[_kind(_parameter)].append(_operation)


def share(values: Sequence[str], turn: int, places: int) -> Sequence[str]:
    """What of the values is tried at one of so many places of a kind; at each some, all at any few of them."""
    step = min(places, SIZE.alike)
    return values[turn % step :: step]


def tried(operation: tuple[str, str], where: str) -> Iterator[tuple[str, str]]:
    """(parameter, value) for those of an operation that stand in its `path` or `query`."""
    for one in PATHS[operation[1]][operation[0].lower()]["parameters"]:
        if one["in"] == where:
            places = PLACES[_kind(one)]
            values = share(hostile.ENCODED, places.index(operation), len(places))
            yield from ((one["name"], value) for value in values)


# --- query strings ---


def queries(method: str, path: str) -> Iterator[str]:
    """Values for every parameter, in the place of its name too; and query strings that are wrong as a whole."""
    turn, taken = OPERATIONS.index((method, path)), list(tried((method, path), "query"))
    others = share(hostile.ENCODED, turn, len(OPERATIONS))
    yield from (f"{name}={value}" for name, value in taken or [("unknown", value) for value in others])
    yield from (f"{value}=1" for value in others)
    yield from (
        "&".join(f"p{n}={n}" for n in range(1_500)),
        "&" * 1_500,
        "=" * 1_500,
        "limit=1&limit=2",
        "cursor=a&cursor=b",
    )
    yield from ("limit", "limit&cursor", "?limit=1", "limit=1;cursor=2", "\xff\xfe", "limit=\x85")


@campaign
@pytest.mark.parametrize("path", [path for method, path in OPERATIONS if method == "GET"] + ["/detect"])
def test_query_strings(stranger: Api, path: str) -> None:
    method = "GET" if path != "/detect" else "POST"
    for query in queries(method, path):
        answer = call(stranger, method, f"{path}?{query}")
        assert in_form(answer, path), (query[:100], answer.status_code, answer.content[:300])


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/invoices", "/v1/usage/daily"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("&".join(f"p{n}=1" for n in range(MOST_PARAMETERS + 1)), (400, "query_invalid", None)),
        ("&".join(f"p{n}=1" for n in range(1_500)), (400, "query_invalid", None)),
        ("limit=%ff", (400, "query_invalid", None)),
        ("start=2026-01-01&start=2026-01-02", (422, "field_invalid", "start")),
        ("start=%c2%85", (422, "field_invalid", "start")),
        ("a%00b=1", (422, "field_invalid", "a\x00b")),
    ],
)
def test_what_is_said_of_a_query_string(stranger: Api, path: str, query: str, said: tuple[int, str, str]) -> None:
    told = stranger.get(f"{path}?{query}").json()
    assert (told["status"], told["code"], told["param"]) == said


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/invoices"])
@pytest.mark.parametrize("cursor", ["%00", "%c2%85", "a" * 5_000])
def test_a_cursor_that_is_none_of_ours_is_refused_as_such(stranger: Api, path: str, cursor: str) -> None:
    told = stranger.get(f"{path}?cursor={cursor}").json()
    assert (told["status"], told["code"], told["param"]) == (400, "cursor_invalid", "cursor")


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/invoices", "/v1/webhooks/{webhook_id}/deliveries"])
@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "NaN", "1e9", "1.0", "9" * 5_000, "%d9%a3", "%c2%b2", "", "+1", "1%20"]
)
def test_counts_are_whole_numbers_within_their_bounds(stranger: Api, path: str, limit: str) -> None:
    told = stranger.get(f"{address(path)}?limit={limit}").json()
    assert (told["status"], told["param"]) == (422, "limit")
    assert "takes a whole number from 1 to 100, not " in told["detail"]


# --- paths, headers, methods ---


@campaign
@pytest.mark.parametrize(("method", "path"), [operation for operation in OPERATIONS if "{" in operation[1]])
def test_paths(stranger: Api, method: str, path: str, kept: Callable[[], Any]) -> None:
    before = kept()
    for name, value in tried((method, path), "path"):
        answer = call(stranger, method, path.replace(f"{{{name}}}", value))
        before = holds(answer, path, before, kept)
        assert answer.status_code in (400, 401, 404, 405, 415, 422, 200), (value, answer.content)


@campaign
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_headers(stranger: Api, method: str, path: str, kept: Callable[[], Any]) -> None:
    """A few values for each header of each address, and so all of them for each header at some address."""
    before, values = kept(), cycle(hostile.HEADERS)
    for _ in islice(values, 5 * OPERATIONS.index((method, path))):
        pass
    for name in hostile.READ:
        for value in islice(values, 1 if SIZE.alike > 1 else 2):
            environ = "CONTENT_LENGTH" if name == "Content-Length" else f"HTTP_{name.upper().replace('-', '_')}"
            if name == "Content-Type":
                answer = call(stranger, method, path, content_type=value)
            else:
                answer = call(Api(stranger.player, stranger.key, {environ: value}), method, path)
            assert in_form(answer, path), (name, value[:100], answer.status_code, answer.content[:300])
    assert method != "GET" or kept() == before


@pytest.mark.parametrize("path", [*PATHS, "/static/palisade.css", "/nothing"])
def test_methods(stranger: Api, path: str) -> None:
    there = {method.upper() for method in PATHS.get(path, {})}
    for method in hostile.METHODS:
        answer = call(stranger, method, path)
        assert in_form(answer, path), (method, answer.content)
        if path in PATHS and method not in there and not (method == "HEAD" and "GET" in there):
            assert answer.status_code == 405, method
            assert there <= set(answer["Allow"].split(", "))


# --- bodies ---


def members(said: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the members of a body are, at every depth."""
    inside = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for name, inner in inside:
        yield (*before, name)
        yield from members(inner, (*before, name))


def with_member(body: Any, at: tuple[Any, ...], value: str) -> bytes:
    """The body with JSON as text in the place of a member; "" takes it out."""
    changed = json.loads(json.dumps(body))
    *way, last = at
    holder = changed
    for step in way:
        holder = holder[step]
    if value == "":
        del holder[last]
    else:
        holder[last] = "the place"
    return json.dumps(changed).replace('"the place"', value).encode()


@pytest.mark.parametrize("path", BODIES)
def test_members_of_bodies(stranger: Api, path: str, kept: Callable[[], Any]) -> None:
    """A part of the values at each member, each of them at some."""
    before, place = kept(), path
    if "{webhook_id}" in path:
        made = stranger.post("/v1/webhooks", {"url": "https://a.example/"}).json()["id"]
        before, place = kept(), path.replace("{webhook_id}", made)
    for turn, at in enumerate(members(BODIES[path])):
        for value in ("", *hostile.OWN_JSON)[turn % 4 :: 4]:
            answer = call(stranger, "POST", place, with_member(BODIES[path], at, value))
            before = holds(answer, path, before, kept)


WHOLE = {
    "empty": b"",
    "lists": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "closed lists": b"[" * 100_000 + b"]" * 100_000,
    "a long name": b'{"%b": 1}' % (b"x" * 1_000_000),
    "a long text": b'"%b"' % (b"x" * 1_000_000),
    "a long number": b"9" * 100_000,
    "a long number in it": b'{"a": %b}' % (b"9" * 100_000),
    "a long fraction": b'{"a": 0.%b}' % (b"9" * 100_000),
    "an exponent": b'{"a": 1e1000000}',
    "NUL": b"\x00",
    "bytes": bytes(range(256)),
    "half a character": b'{"a": "\xed\xa0\x80"}',
    "utf-16": json.dumps({}).encode("utf-16"),
    "many names": b"{%b}" % b",".join(b'"p%d": 1' % n for n in range(20_000)),
    "a name twice": b'{"plan": "basic", "plan": "gold"}',
}


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE.keys())
def test_whole_bodies(stranger: Api, body: bytes, kept: Callable[[], Any]) -> None:
    before = kept()
    for path in BODIES:
        before = holds(call(stranger, "POST", path, body), path, before, kept)


TEXTS = ["a\x00b", "a\nb", "\x85", "\x7f"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_control_character_is_told_at_its_field(stranger: Api, text: str) -> None:
    made = stranger.post("/v1/webhooks", {"url": "https://a.example/"}).json()["id"]
    for path in ("/v1/webhooks", f"/v1/webhooks/{made}"):
        told = stranger.post(path, {"url": "https://a.example/", "description": text}).json()
        assert (told["status"], told["code"], told["param"]) == (422, "field_invalid", "description")
        assert "'description' holds a control character" in told["detail"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/budgets", "spend_cap"),
        ("/v1/payment-method", "success_url"),
        ("/v1/stripe/account", "api_key"),
        ("/v1/credits", "coupon"),
    ],
)
def test_no_line_ends_in_a_line_break(stranger: Api, path: str, field: str) -> None:
    """In Python's patterns "$" stands before one too."""
    told = stranger.post(path, BODIES[path] | {field: BODIES[path][field] + "\n"}).json()
    assert (told["status"], told["param"]) == (422, field)
