"""The door of `GET /account/usage`, of the Commercial interface: its field names, its form of errors."""

from django.http import HttpRequest, HttpResponse

from apps.api import problems
from apps.api.endpoint import ApiView, json_answer
from apps.errors import Problem
from apps.usage.admission import refused_calls
from apps.usage.metering.events import moment
from apps.usage.statements import reports


class AccountUsageView(ApiView):
    """GET: the month so far."""

    endpoint = "account_usage"
    problem_content_type = "application/json"

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id, now = self.admit_only(request).tenant_id, moment(self.received_us)
        refused = refused_calls.count(self.key.handle, now)
        return json_answer(reports.account(tenant_id, refused, now))

    def render_problem(self, problem: Problem) -> bytes:
        return problems.detail_only(problem)
