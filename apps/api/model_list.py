"""The door of `/v1/models`."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from django.http import HttpRequest, HttpResponse

from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import REQUEST_ID, Answer, Operation
from apps.scoring.serving import model_cards
from apps.scoring.serving.runtime import get_scoring


class ModelList(msgspec.Struct, frozen=True):
    """Every schema's models, the champion first, and its ensemble."""

    object: Literal["list"]
    data: list[Any]


class ModelsView(ApiView):
    """GET: the models there are, with what they were trained on and what they are worth."""

    endpoint = "v1_models"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        return json_answer(ModelList("list", list(model_cards.of_all(get_scoring().engine.models))))


TAG = "Models"
OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET",
        "/v1/models",
        "listModels",
        TAG,
        "List models",
        "The models that can be asked for by name, the champion of each schema first: what each was trained on, under "
        "which licence, and what it is worth on later time, with intervals; and the ensemble of all of a schema's "
        "models. Scope: `read`.",
        Answer(ModelList, "Every schema's models and ensemble."),
        scope="read",
        parameters=(REQUEST_ID,),
    ),
)
