"""The door of `GET /account/usage`, of the Commercial interface: its field names, its form of errors."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse

from apps.api import problems
from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import DIALECT_PROBLEM, REQUEST_ID, Answer, Operation
from apps.errors import Problem
from apps.usage.admission import refused_calls
from apps.usage.statements import reports
from apps.usage.statements.reports import AccountUsage


class AccountUsageView(ApiView):
    """GET: the month so far."""

    endpoint = "account_usage"
    problem_content_type = "application/json"

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id, now = self.admit_only(request).tenant_id, self.now
        refused = refused_calls.count(self.key.handle, now)
        return json_answer(reports.account(tenant_id, refused, now))

    def render_problem(self, problem: Problem) -> bytes:
        return problems.detail_only(problem)


TAG = "Older interfaces"
OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET",
        "/account/usage",
        "getAccountUsage",
        TAG,
        "Commercial: usage of this month",
        "Requests, how many of them were answered, what they cost so far and will by the month's end. Scope: `read`.",
        Answer(AccountUsage, "The month so far, UTC."),
        scope="read",
        parameters=(REQUEST_ID,),
        problem=DIALECT_PROBLEM,
    ),
)
