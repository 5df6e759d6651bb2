"""404: another tenant's object is the same answer as a missing one, at every address the description knows."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.api.documentation import OPENAPI
from apps.batches import assembly, chunks, planning
from apps.batches.models import Batch
from apps.billing.invoicing.invoices import draft_invoice, issue, issue_credit_note
from apps.billing.models import Invoice
from apps.periods import Period
from tests.api.bodies import DRAINED, asking
from tests.batches.sent import csv_of
from tests.cast import Api
from tests.own_models.kept import an_own_model
from tests.review.cases import a_case

PATHS: dict[str, Any] = json.loads(OPENAPI.read_text())["paths"]


def an_invoice(tenant: Tenant) -> str:
    """Issued now: whenever this runs its tenant owes nothing for long and is not limited by it."""
    now, month = timezone.now(), Period.of(timezone.now()).before()
    one = {"description": "Training", "amount": Decimal(9), "start": month.start, "end": month.end, "now": now}
    with transaction.atomic():
        invoice = draft_invoice(tenant=tenant, **one)
        issue([invoice], now)
    return invoice.public_id


def a_credit_note(tenant: Tenant) -> str:
    invoice = Invoice.objects.get(public_id=an_invoice(tenant))
    return issue_credit_note(invoice=invoice, amount=Decimal(1), reason="A gift", now=timezone.now()).public_id


def a_batch(owner: Api) -> str:
    """One with results that can still be stopped."""
    made = str(owner.call("POST", "/v1/batches?schema=paysim", csv_of(1), "text/csv").json()["id"])
    planning.plan(made)
    chunks.score_next(made, timezone.now())
    assembly.assemble(made)
    Batch.objects.filter(pk=made).update(state="running")
    return made


def a_label(owner: Api) -> str:
    said = {"decision_id": MAKE["decision_id"](owner), "label": "fraud", "source": "issuer"}
    return str(owner.post("/v1/labels", said).json()["id"])


def a_list(owner: Api) -> str:
    return str(owner.post("/v1/lists", {"name": "mules", "item_type": "user"}).json()["name"])


def an_attachment(owner: Api) -> str:
    path = f"/v1/cases/{a_case(owner.tenant).pk}/attachments"
    return str(owner.post(path, {"name": "a.txt", "content": "S25vd24="}).json()["id"])


A_RULE = {"id": "large", "outcome": "review", "when": "amount > 9000000", "state": "shadow"}
AN_AGGREGATE = {"name": "counted", "schema": "payments", "by": ["user_id"], "function": "count", "window": "1h"}
SNOOZE = {"field": "user_id", "value": "Ann", "until": f"{timezone.now() + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"}
#: What is sent where an empty body is refused before anything is looked for.
BODIES: dict[str, Any] = {
    "/v1/cases/{case_id}/notes": {"text": "Called back."},
    "/v1/cases/{case_id}/attachments": {"name": "a.txt", "content": "S25vd24="},
    "/v1/cases/{case_id}/resolve": {"resolution": "unsure"},
    "/v1/rules/{rule_name}/snoozes": SNOOZE,
    "/v1/rules/{rule_name}/snoozes/end": {"field": "user_id", "value": "Ann"},
}
#: What both modes share: the policy decides in both.
IN_BOTH_MODES = {"rule_name", "aggregate_name", "policy_version"}


def a_policy(owner: Api) -> str:
    """Its number with zeros: one digit alone stands in many words."""
    return f"{owner.post('/v1/policies', {'policy': {'review_at': 0.2}}).json()['version']:09d}"


#: How to make one of what a path names. A new kind of object gets its line here.
MAKE: dict[str, Callable[[Api], str]] = {
    "decision_id": lambda owner: str(owner.post("/v1/decisions", asking(DRAINED)).json()["id"]),
    "policy_version": lambda owner: a_policy(owner),
    "simulation_id": lambda owner: str(owner.post("/v1/policies/simulate", {"days": 1}).json()["id"]),
    "erasure_id": lambda owner: str(owner.call("DELETE", "/v1/entities/user/Ann").json()["id"]),
    "batch_id": lambda owner: a_batch(owner),
    "job_id": lambda owner: a_batch(owner),
    "case_id": lambda owner: a_case(owner.tenant).pk,
    "attachment_id": lambda owner: an_attachment(owner),
    "queue_id": lambda owner: str(owner.post("/v1/review-queues", {"name": "Mine"}).json()["id"]),
    "label_id": lambda owner: a_label(owner),
    "list_name": lambda owner: a_list(owner),
    "model_id": lambda owner: an_own_model(owner),
    "alert_id": lambda owner: str(
        owner.post("/system-alert", {"service": "api", "message": "slow"}).json()["notification_id"]
    ),
    "rule_id": lambda owner: str(owner.post("/v1/alert-rules", {"kind": "volume_drop"}).json()["id"]),
    "rule_name": lambda owner: str(owner.post("/v1/rules", A_RULE).json().get("id", A_RULE["id"])),
    "aggregate_name": lambda owner: str(
        owner.post("/v1/aggregates", AN_AGGREGATE).json().get("name", AN_AGGREGATE["name"])
    ),
    "channel_id": lambda owner: str(
        owner.post("/v1/alert-channels", {"name": "#a", "url": "https://hooks.slack.com/services/T/B/X"}).json()["id"]
    ),
    "webhook_id": lambda owner: str(owner.post("/v1/webhooks", {"url": "https://example.com/"}).json()["id"]),
    "invoice_id": lambda owner: an_invoice(owner.tenant),
    "note_id": lambda owner: a_credit_note(owner.tenant),
    "delivery_id": lambda owner: str(owner.post(f"/v1/webhooks/{MAKE['webhook_id'](owner)}/test", {}).json()["id"]),
}
MISSING = "dec_0000000000000000000000000"
#: What paths name that is no object of ours, or takes a body to be asked for: tests/billing/collecting/
#: test_screening.py, test_200_erasure.py, tests/sla/test_evaluation.py and test_4xx_lists.py look after these.
ELSEWHERE = {"intent_id", "handle", "mode", "entity_id", "month", "list_name"}


def addressed() -> Iterator[Any]:
    for path, methods in PATHS.items():
        for method, operation in methods.items():
            names = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            if names and not ELSEWHERE & set(names):
                yield pytest.param(method.upper(), path, names, id=f"{method.upper()} {path}")


def listing() -> list[str]:
    """What can be read behind a key without naming an object."""
    return [
        path
        for path, methods in PATHS.items()
        if "{" not in path and "get" in methods and "security" not in methods["get"]
    ]


def ask(api: Api, method: str, path: str, names: list[str], ids: list[str]) -> tuple[int, str]:
    """Status and body, with the ids that were asked for blotted out."""
    address = path
    for name, one in zip(names, ids, strict=True):
        address = address.replace(f"{{{name}}}", one)
    body = json.dumps(BODIES.get(path, {})).encode()
    answer = api.call(method, address, body if method != "GET" else b"", x_request_id="same")
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    told = content.decode(errors="replace")  # a PDF is no text
    for one in ids:
        told = told.replace(one, "ID")
    return answer.status_code, told


@pytest.mark.parametrize(("method", "path", "names"), list(addressed()))
@pytest.mark.parametrize("recorded", [False, True])
def test_anothers_object_is_answered_as_a_missing_one(
    alice: Api, bob: Api, drain: Callable[[], int], method: str, path: str, names: list[str], recorded: bool
) -> None:
    ids = [MAKE[name](alice) for name in names]
    if recorded:
        drain()
    missing = ask(bob, method, path, names, [MISSING for _ in names])
    assert missing[0] == 404
    assert ask(bob, method, path, names, ids) == missing
    if not IN_BOTH_MODES & set(names):
        assert ask(alice.in_test_mode(), method, path, names, ids) == missing
    assert ask(alice, method, path, names, ids)[0] == 200


@pytest.mark.parametrize("path", listing())
def test_lists_never_contain_anothers(alice: Api, bob: Api, drain: Callable[[], int], path: str) -> None:
    marks = [MAKE["decision_id"](alice), alice.tenant.slug, alice.tenant.handle, alice.tenant.schema_name]
    drain()
    told = bob.get(path)
    assert told.status_code == 200 or told.json()["code"] == "plan_lacks_feature"
    assert not [mark for mark in marks if mark in told.content.decode()]


def test_a_cursor_of_another_tenant_opens_nothing(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    for _ in range(3):
        MAKE["decision_id"](alice)
    drain()
    cursor = alice.get("/v1/decisions?limit=1").json()["next_cursor"]
    assert bob.get(f"/v1/decisions?cursor={cursor}").json()["data"] == []
