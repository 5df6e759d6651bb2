"""What webhooks are told of cases: the case, with the decision as it was answered and every rule's outcome in it."""

from typing import Any

import msgspec

from apps.review.models import Case
from apps.scoring.models import Decision
from apps.scoring.serving.decision_formats import answer_of
from apps.times import rfc3339

CREATED, RESOLVED = "case.created", "case.resolved"


def data_of(case: Case, decision: Decision | None) -> dict[str, Any]:
    """The `data` of an event. `decision` is None where the decision was removed since."""
    answer = None if decision is None else msgspec.json.decode(answer_of(decision))
    return {
        "case": case.pk,
        "state": case.state,
        "queue": case.queue,
        "schema": case.schema,
        "transaction_id": case.transaction_id,
        "decision_id": case.decision_id,
        "amount": case.amount,
        "expected_loss": round(case.expected_loss, 4),
        "created_at": rfc3339(case.created_at),
        "due_at": rfc3339(case.due_at),
        "resolution": case.resolution or None,
        "resolved_by": case.resolved_by or None,
        "label": case.label_id or None,
        "decision": answer,
        "rules": answer.get("rules", []) if answer else [],
    }
