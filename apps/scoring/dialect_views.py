"""The doors of the older, published interfaces. `/predict` tells its three bodies apart by their wrapper."""

from typing import Any, ClassVar

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from apps.errors import Problem
from apps.scoring import answers, dialects
from apps.scoring.calls import Call, Question, question_of
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.views import ScoringView
from apps.usage.bodies import decode


class PredictView(ScoringView):
    """POST /predict: Hybrid by its `payload`. Errors are {"detail": …}."""

    endpoint = "predict"
    scopes: ClassVar = {"POST": "predict"}
    problem_content_type = "application/json"

    def post(self, request: Request) -> HttpResponse:
        call, question = self.understood(request, self._question)
        answered = self.scoring.decide(call, question, self.elapsed_ms)
        return self.answered(answered, dialects.render_hybrid(answers.decode(answered.body)))

    def _question(self, request: Request) -> tuple[Call, Question]:
        body = self.read_body(request)
        said = decode(body, dict[str, Any])
        if "payload" not in said:
            raise Problem("shape_unknown", f"The body fits no known shape: {dialects.SHAPES}.")
        call = self.call(request, body)
        return call, question_of(call, SCHEMAS["paysim"], dialects.parse_hybrid(said))

    def render_problem(self, problem: Problem) -> bytes:
        return msgspec.json.encode({"detail": problem.detail or f"{problem.kind.title}. {problem.kind.fix}"})
