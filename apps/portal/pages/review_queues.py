"""Review queues: which cases wait where, in which order, and for how long."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.accounts.tenancy import in_tenant
from apps.portal.case_forms import ORDER_WORDS, QueueForm
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.review.cases import queues, work
from apps.review.models import Queue


class QueuesPage(Page):
    """All queues of this mode; a new one."""

    title, template = "Review queues", "portal/pages/review_queues.html"
    changes = Permission.QUEUES

    def context(self, **kwargs: Any) -> dict[str, Any]:
        with in_tenant(self.tenant):
            rows, counts = queues.sorter(self.livemode).queues, work.counts_by_queue(self.livemode, self.now)
        return {
            "queues": [(row, ORDER_WORDS[row.order], *counts.get(row.code, (0, 0))) for row in rows],
            "form": QueueForm(),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        form = QueueForm(request.POST)
        if form.is_valid():
            whose: dict[str, Any] = {"tenant": self.tenant, "livemode": self.livemode, "actor": self.actor}
            try:
                queues.create_queue(**whose, facts=form.facts(), now=self.now)
            except queues.TooMany:
                form.add_error(None, f"A company may have {queues.MOST_QUEUES} queues in each mode.")
            else:
                messages.success(request, "The queue is there, and the cases that wait are sorted.")
                return redirect("review_queues")
        return self.page(**self.context() | {"form": form}, status=422)


class QueuePage(Page):
    """One queue as a form."""

    title, template = "Review queue", "portal/pages/review_queue.html"
    changes = Permission.QUEUES

    def context(self, **kwargs: Any) -> dict[str, Any]:
        queue = self._queue(kwargs["code"])
        return {"queue": queue, "form": QueueForm(queue=queue), "default": queue.code == queues.DEFAULT}

    def post(self, request: HttpRequest, code: str) -> HttpResponse:
        queue = self._queue(code)
        whose: dict[str, Any] = {"tenant": self.tenant, "queue": queue, "now": self.now, "actor": self.actor}
        if request.POST.get("do") == "delete":
            queues.delete_queue(**whose)
            messages.success(request, "The queue is deleted; its cases wait in others.")
            return redirect("review_queues")
        form = QueueForm(request.POST, queue=queue)
        if not form.is_valid():
            return self.page(**self.context(code=code) | {"form": form}, status=422)
        queues.change_queue(**whose, facts=form.facts())
        messages.success(request, "The queue is saved, and the cases that wait are sorted.")
        return redirect("review_queues")

    def _queue(self, code: str) -> Queue:
        found = queues.find(self.tenant, self.livemode, code)
        if found is None:
            raise Http404
        return found
