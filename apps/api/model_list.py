"""The door of `/v1/models`."""

from django.http import HttpRequest, HttpResponse

from apps.api.endpoint import ApiView, json_answer
from apps.scoring.serving import model_cards
from apps.scoring.serving.runtime import get_scoring


class ModelsView(ApiView):
    """GET: the models there are, with what they were trained on and what they are worth."""

    endpoint = "v1_models"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        return json_answer({"object": "list", "data": list(model_cards.of_all(get_scoring().engine.models))})
