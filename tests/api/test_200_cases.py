"""200: review cases are opened once, held by one reviewer, resolved once, and become labels."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.accounts.tenancy import in_tenant
from apps.alerts import evaluation
from apps.alerts.models import Alert
from apps.api_keys.services import get_gate
from apps.batches import chunks, planning
from apps.notifications.models import Event
from apps.notifications.services import create_webhook
from apps.offboarding import removal, retention
from apps.review import tasks
from apps.review.cases import work
from apps.review.cases.opening import open_or_join
from apps.review.cases.work import Reviewer
from apps.review.models import Case, CaseNote, Evidence, Label
from apps.scoring.engine.decide import Policy
from apps.scoring.models import Decision
from apps.scoring.policies import publish
from apps.scoring.serving.runtime import get_scoring
from apps.usage.models import UsageDay
from tests.api.bodies import TRANSFER, asking
from tests.batches.sent import csv_of
from tests.cast import Api, enter, new_key
from tests.review.cases import a_case
from tests.review.cases import asking as a_decision
from tests.together import together

MANY_CASES = """
INSERT INTO review_case (id, livemode, schema, transaction_id, transaction_hash, created_at, state, decision_id,
    decided_at, decisions, amount, rules_hit, expected_loss, queue, rank, due_at, holder, assignee, resolution,
    resolved_by, label_id)
SELECT 'cas_' || n, true, 'payments', 'x' || n, md5(n::text), now(), 'open', 'x' || n, now(), 1, 1, '{}', 1, 'default',
    1, now(), '', '', '', '', ''
FROM generate_series(1, 4000) n
"""


@pytest.fixture
def reviewing(alice: Api) -> Any:
    """Alice has every decision of a model reviewed."""
    get_scoring.cache_clear()
    publish(tenant=alice.tenant, policy=Policy(review_at=0.0, block_at=1.0), gate=get_gate(), now=timezone.now())
    yield alice
    get_scoring.cache_clear()


def other(api: Api, **options: Any) -> Api:
    """The same tenant with another key: another reviewer."""
    return api.with_key(new_key(api.tenant, **options)[1])


def test_a_decision_to_review_becomes_one_case_and_webhooks_are_told(reviewing: Api, drain: Callable[[], int]) -> None:
    create_webhook(tenant=reviewing.tenant, livemode=True, url="https://example.com/h", now=timezone.now())
    decided = reviewing.post("/v1/decisions", asking(TRANSFER | {"transaction_id": "t1"})).json()
    assert decided["recommended_action"] == "review"
    assert reviewing.post("/v1/decisions", asking(TRANSFER | {"transaction_id": "t1"})).json()["status"] == "duplicate"
    drain()
    (case,) = reviewing.get("/v1/cases").json()["data"]
    assert (case["decision_id"], case["transaction_id"], case["state"]) == (decided["id"], "t1", "open")
    assert case["expected_loss"] == round(decided["fraud_probability"] * 5000, 4)
    assert reviewing.in_test_mode().get("/v1/cases").json()["data"] == []
    told = Event.objects.get(kind="case.created").data
    assert (told["case"], told["decision"]["id"]) == (case["id"], decided["id"])
    assert told["rules"] == told["decision"]["rules"] != []


def test_without_a_webhook_no_event_is_kept(reviewing: Api, drain: Callable[[], int]) -> None:
    reviewing.post("/v1/decisions", asking())
    drain()
    assert not Event.objects.filter(kind="case.created").exists()


def test_rows_of_a_file_become_cases_too(reviewing: Api) -> None:
    made = str(reviewing.call("POST", "/v1/batches?schema=paysim", csv_of(2), "text/csv").json()["id"])
    planning.plan(made)
    chunks.score_next(made, timezone.now())
    decisions = {one["id"]: one for one in reviewing.get("/v1/decisions").json()["data"]}
    cases = reviewing.get("/v1/cases").json()["data"]
    asked = {name for name, one in decisions.items() if one["recommended_action"] == "review"}
    assert {case["decision_id"] for case in cases} == asked != set()
    assert all(case["fraud_probability"] == decisions[case["decision_id"]]["fraud_probability"] for case in cases)


def less(amount: float) -> dict[str, Any]:
    """The same transaction with another amount."""
    left = {"newbalanceOrig": 10_000 - amount, "newbalanceDest": 1_000 + amount}
    return asking(TRANSFER | left | {"transaction_id": "t1", "amount": amount})


def test_a_superseding_decision_joins_the_case_that_is_open(reviewing: Api, drain: Callable[[], int]) -> None:
    first = reviewing.post("/v1/decisions", asking(TRANSFER | {"transaction_id": "t1"})).json()
    drain()
    (case,) = reviewing.get("/v1/cases").json()["data"]
    last = reviewing.post("/v1/decisions", less(4000.0)).json()
    drain()
    (joined,) = reviewing.get("/v1/cases").json()["data"]
    assert (joined["id"], joined["decisions"], joined["decision_id"]) == (case["id"], 2, last["id"])
    assert (first["status"], last["status"]) == ("new", "superseding")
    reviewing.post(f"/v1/cases/{case['id']}/resolve", {"resolution": "legitimate"})
    reviewing.post("/v1/decisions", less(3000.0))
    drain()
    assert len(reviewing.get("/v1/cases").json()["data"]) == 2


def test_an_earlier_decision_that_comes_late_changes_nothing_of_the_case(alice: Api) -> None:
    now = timezone.now()
    case = a_case(alice.tenant, at=now, transaction_id="t1", amount=50.0)
    with in_tenant(alice.tenant), transaction.atomic():
        late = a_decision("late", now - timedelta(hours=1), transaction_id="t1", amount=10.0)
        assert open_or_join([late], now) == []
    told = alice.get(f"/v1/cases/{case.pk}").json()
    assert (told["amount"], told["decision_id"], told["decisions"]) == (50.0, case.decision_id, 2)


def test_two_reviewers_never_hold_one_case(alice: Api) -> None:
    case = a_case(alice.tenant)
    keys = [other(alice) for _ in range(6)]
    answers = together(6, lambda number: keys[number].post(f"/v1/cases/{case.pk}/claim", {}).status_code)
    assert sorted(answers) == [200, 409, 409, 409, 409, 409]


def test_whoever_asks_for_the_next_case_gets_one_of_their_own(alice: Api) -> None:
    made = {a_case(alice.tenant, amount=100.0 * number).pk for number in range(1, 6)}

    def take(number: int) -> Any:
        who = Reviewer(f"reviewer-{number}")
        return work.claim_next(tenant=alice.tenant, livemode=True, reviewer=who, now=timezone.now())

    got = [case.pk for case in together(8, take) if case is not None]
    assert len(got) == len(set(got)) == 5 and set(got) == made


def test_a_lease_is_renewed_released_and_taken_over_once_it_ended(alice: Api) -> None:
    case = f"/v1/cases/{a_case(alice.tenant).pk}"
    ben = other(alice)
    first = alice.post(f"{case}/claim", {}).json()
    again = alice.post(f"{case}/claim", {}).json()
    assert again["lease_until"] >= first["lease_until"]
    held = ben.post(f"{case}/claim", {})
    assert (held.status_code, held.json()["code"]) == (409, "case_held")
    assert ben.post(f"{case}/resolve", {"resolution": "fraud"}).status_code == 409
    assert ben.post(f"{case}/release", {}).json()["holder"] == first["holder"]  # not his to give back
    assert alice.post(f"{case}/release", {}).json()["holder"] is None
    ben.post(f"{case}/claim", {})
    with in_tenant(alice.tenant):
        Case.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert alice.post(f"{case}/claim", {}).json()["holder"] == first["holder"]
    assert AuditEntry.objects.filter(action="case.claimed").count() == 3  # renewing is no news


def test_a_case_is_resolved_once_and_becomes_a_label_however_often_it_is_said(alice: Api) -> None:
    case = a_case(alice.tenant)
    create_webhook(tenant=alice.tenant, livemode=True, url="https://example.com/h", now=timezone.now())
    said = {"resolution": "fraud", "note": "Card reported stolen: 4111 1111 1111 1111.", "amount_lost": 20}
    answers = together(4, lambda _: alice.post(f"/v1/cases/{case.pk}/resolve", said))
    assert [answer.status_code for answer in answers] == [200] * 4
    told = alice.get(f"/v1/cases/{case.pk}").json()
    assert (told["state"], told["resolution"], told["holder"]) == ("resolved", "fraud", None)
    with in_tenant(alice.tenant):
        label = Label.objects.get()
        note = CaseNote.objects.get()
    assert (label.pk, label.label, label.source, label.decision_id) == (
        told["label"],
        "fraud",
        "analyst",
        case.decision_id,
    )
    assert "4111 1111" not in note.text and "1111" in note.text
    assert AuditEntry.objects.filter(action="case.resolved").count() == 1
    assert Event.objects.get(kind="case.resolved").data["label"] == label.pk
    late = other(alice).post(f"/v1/cases/{case.pk}/resolve", {"resolution": "legitimate"})
    assert (late.status_code, late.json()["code"]) == (409, "case_resolved")


def test_unsure_is_no_label(alice: Api) -> None:
    case = a_case(alice.tenant)
    told = alice.post(f"/v1/cases/{case.pk}/resolve", {"resolution": "unsure"}).json()
    assert (told["state"], told["label"]) == ("resolved", None)


def test_above_an_amount_two_must_agree_and_a_third_settles(alice: Api) -> None:
    alice.call("PATCH", "/v1/review-queues/default", b'{"second_review_above": 1000}')
    case = f"/v1/cases/{a_case(alice.tenant, amount=5000.0).pk}"
    ben, cai = other(alice, scopes=["predict", "read"]), other(alice)
    assert alice.post(f"{case}/resolve", {"resolution": "fraud"}).json()["state"] == "second_review"
    own = alice.post(f"{case}/resolve", {"resolution": "legitimate"})
    assert (own.status_code, own.json()["code"]) == (409, "case_other_reviewer")
    assert alice.post("/v1/cases/next", {}).json()["case"] is None  # it waits for somebody else
    disputed = ben.post(f"{case}/resolve", {"resolution": "legitimate"}).json()
    assert (disputed["state"], disputed["label"]) == ("disputed", None)
    dan = other(alice, scopes=["predict", "read"])
    assert dan.post(f"{case}/resolve", {"resolution": "fraud"}).json()["code"] == "case_other_reviewer"
    settled = cai.post(f"{case}/resolve", {"resolution": "legitimate"}).json()
    assert (settled["state"], settled["resolution"]) == ("resolved", "legitimate")
    assert [one["resolution"] for one in alice.get(case).json()["verdicts"]] == ["fraud", "legitimate", "legitimate"]
    small = f"/v1/cases/{a_case(alice.tenant, amount=900.0).pk}"
    assert alice.post(f"{small}/resolve", {"resolution": "fraud"}).json()["state"] == "resolved"


def test_new_facts_take_another_look(alice: Api) -> None:
    alice.call("PATCH", "/v1/review-queues/default", b'{"second_review_above": 1000}')
    case = a_case(alice.tenant, amount=5000.0, transaction_id="t1")
    alice.post(f"/v1/cases/{case.pk}/resolve", {"resolution": "fraud"})
    with in_tenant(alice.tenant), transaction.atomic():
        open_or_join([a_decision("new", timezone.now(), transaction_id="t1", amount=4000.0)], timezone.now())
    assert alice.get(f"/v1/cases/{case.pk}").json()["state"] == "open"
    assert other(alice).post(f"/v1/cases/{case.pk}/resolve", {"resolution": "fraud"}).json()["state"] == "second_review"


def test_what_is_assigned_is_nobody_elses(alice: Api) -> None:
    case = f"/v1/cases/{a_case(alice.tenant).pk}"
    ben, cai = other(alice, scopes=["predict", "read"]), new_key(alice.tenant, scopes=["predict", "read"])
    assert ben.post(f"{case}/assign", {"to": "key:1"}).status_code == 403
    assert alice.post(f"{case}/assign", {"to": "nobody@example.com"}).status_code == 422
    assert alice.post(f"{case}/assign", {"to": f"key:{cai[0].pk}"}).json()["assignee"] == f"key:{cai[0].pk}"
    assert ben.post(f"{case}/claim", {}).json()["code"] == "case_assigned"
    assert ben.post("/v1/cases/next", {}).json()["case"] is None
    assert alice.with_key(cai[1]).post("/v1/cases/next", {}).json()["case"] is not None


def test_queues_take_cases_in_their_order_and_sort_them_anew_when_they_change(alice: Api) -> None:
    small, large = a_case(alice.tenant, amount=10.0), a_case(alice.tenant, amount=5000.0)
    ruled = a_case(alice.tenant, amount=10.0, rules_hit=["mule"])
    said = {"name": "Large", "criteria": {"amount_from": 1000}, "sla_minutes": 60, "order": "oldest"}
    of_large = alice.post("/v1/review-queues", said).json()
    of_rule = alice.post("/v1/review-queues", {"name": "Mules", "criteria": {"rules": ["mule"]}}).json()

    def where() -> list[str]:
        return [alice.get(f"/v1/cases/{case.pk}").json()["queue"] for case in (small, large, ruled)]

    assert where() == ["default", of_large["id"], of_rule["id"]]
    told = alice.get("/v1/review-queues").json()["data"]
    assert [(one["name"], one["waiting"]) for one in told] == [("Large", 1), ("Mules", 1), ("All others", 1)]
    assert len(alice.get(f"/v1/cases?queue={of_large['id']}").json()["data"]) == 1
    assert alice.post("/v1/cases/next", {"queue": of_rule["id"]}).json()["case"]["id"] == ruled.pk
    alice.call("DELETE", f"/v1/review-queues/{of_large['id']}")
    assert where() == ["default", "default", of_rule["id"]]


def test_the_next_case_is_the_one_with_most_money_unless_another_waited_long(alice: Api) -> None:
    now = timezone.now()
    a_case(alice.tenant, at=now, amount=1000.0)
    old = a_case(alice.tenant, at=now - timedelta(days=3), amount=200.0)  # 3 SLAs: eight times as much
    rich = a_case(alice.tenant, at=now, amount=2000.0)
    got = [alice.post("/v1/cases/next", {}).json()["case"]["id"] for _ in range(2)]
    assert got == [rich.pk, old.pk] or got == [old.pk, rich.pk]


def test_cases_that_grow_old_move_to_their_queue_by_themselves(alice: Api) -> None:
    said = {"name": "Old", "criteria": {"older_than_minutes": 60}}
    old = alice.post("/v1/review-queues", said).json()["id"]
    case = a_case(alice.tenant)
    assert alice.get(f"/v1/cases/{case.pk}").json()["queue"] == "default"
    with in_tenant(alice.tenant):
        Case.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert (tasks.move_aged_cases(), tasks.move_aged_cases()) == (1, 0)
    assert alice.get(f"/v1/cases/{case.pk}").json()["queue"] == old


def test_what_is_overdue_is_said_counted_and_an_alert_that_ends(alice: Api) -> None:
    now = timezone.now()
    UsageDay.objects.create(
        tenant_id=alice.tenant.pk, day=now.date(), endpoint="decisions", livemode=True, decisions=1, units=1, degraded=0
    )
    case = a_case(alice.tenant, at=now - timedelta(days=2))
    assert alice.get(f"/v1/cases/{case.pk}").json()["overdue"] is True
    assert alice.get("/v1/review-queues/default").json()["overdue"] == 1
    evaluation.evaluate("minute", now)
    assert Alert.objects.get(kind="case_overdue").values["cases"] == 1
    alice.post(f"/v1/cases/{case.pk}/resolve", {"resolution": "legitimate"})
    evaluation.evaluate("minute", timezone.now())
    assert Alert.objects.get(kind="case_overdue").state == "resolved"


def test_evidence_is_kept_as_a_download_and_goes_with_its_case(alice: Api) -> None:
    case = a_case(alice.tenant)
    path = f"/v1/cases/{case.pk}/attachments"
    page = b"<script>alert(1)</script> 4111 1111 1111 1111"
    made = alice.post(path, {"name": "../x.html", "content": base64.b64encode(page).decode()}).json()
    assert (made["name"], made["media_type"]) == ("x.html", "text/plain; charset=utf-8")
    answer = alice.get(f"/v1/case-attachments/{made['id']}")
    assert answer["Content-Disposition"] == 'attachment; filename="x.html"'
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    assert b"4111 1111" not in answer.content
    assert alice.post(path, {"name": "x.exe", "content": base64.b64encode(b"MZ\0").decode()}).status_code == 422
    assert alice.post(path, {"name": "x", "content": "no base64!"}).status_code == 422
    file = f"{alice.tenant.schema_name}/evidence/{made['id']}"
    assert storages["batches"].exists(file)
    with in_tenant(alice.tenant):
        Case.objects.update(created_at=timezone.now() - timedelta(days=60))
    retention.change(tenant=alice.tenant, days={"cases": 30}, now=timezone.now(), actor="ann")
    retention.remove_old(timezone.now())
    assert not storages["batches"].exists(file)
    with in_tenant(alice.tenant):
        assert not Case.objects.exists() and not Evidence.objects.exists()


def test_a_persons_erasure_takes_their_cases_and_notes_that_name_them(alice: Api) -> None:
    case, others = a_case(alice.tenant), a_case(alice.tenant)
    alice.post(f"/v1/cases/{case.pk}/attachments", {"name": "a.txt", "content": "QW5u"})
    with in_tenant(alice.tenant):
        others_decision = Case.objects.get(pk=others.pk).decision_id
        Decision.objects.filter(pk=others_decision).update(facts={"amount": 1.0, "user_id": "Bea"}, parties=["bea"])
    alice.post(f"/v1/cases/{others.pk}/notes", {"text": "Sent to Ann, it seems."})
    alice.post(f"/v1/cases/{others.pk}/notes", {"text": "Annual fee."})
    told = alice.call("DELETE", "/v1/entities/user/Ann").json()
    assert told["state"] == "completed"
    with in_tenant(alice.tenant):
        assert list(Case.objects.values_list("pk", flat=True)) == [others.pk]
        assert [note.text for note in CaseNote.objects.all()] == ["Annual fee."]
        assert not Evidence.objects.exists()


def test_closing_an_account_removes_the_files() -> None:
    leaver = Api(enter("leaver", "basic"))
    case = a_case(leaver.tenant)
    made = leaver.post(f"/v1/cases/{case.pk}/attachments", {"name": "a.txt", "content": "QW5u"}).json()
    removal.remove(leaver.tenant)
    assert not storages["batches"].exists(f"{leaver.tenant.schema_name}/evidence/{made['id']}")


def test_the_graph_shows_who_shares_what_and_what_became_of_it(alice: Api, bob: Api) -> None:
    now = timezone.now()
    case = a_case(alice.tenant, at=now)
    for number in range(20):
        a_case(alice.tenant, at=now - timedelta(minutes=number + 1))
    a_case(bob.tenant)
    a_case(alice.tenant, livemode=False)
    told = alice.get(f"/v1/cases/{case.pk}/graph").json()
    assert told["decisions"][0]["id"] == case.decision_id
    assert {(one["field"], one["value"]) for one in told["parties"]} == {("user_id", "ann"), ("merchant_id", "m1")}
    assert len(told["decisions"]) == 13 and told["truncated"] is True
    assert len(told["edges"]) == 26


@pytest.mark.parametrize("column", ["transaction_id", "decision_id"])
def test_one_case_is_found_among_many_by_an_index(alice: Api, column: str) -> None:
    """By the statement of the list itself, among so many cases that reading all of them would cost more."""
    with in_tenant(alice.tenant), connection.cursor() as cursor:
        cursor.execute(MANY_CASES)
        cursor.execute("ANALYZE review_case")
        page = work.listed(True).filter(**{column: "x77"}).order_by("-created_at", "-id")[:21]
        plan = page.explain()
        assert [case.pk for case in page] == ["cas_77"]
    assert "case_by_" in plan and "Seq Scan" not in plan
