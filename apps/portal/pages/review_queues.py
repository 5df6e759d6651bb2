"""Review queues: which cases wait where, in which order, and for how long."""

from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.accounts.tenancy import in_tenant
from apps.portal.case_forms import ORDER_WORDS, QueueForm
from apps.portal.filters import search_in
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.review.cases import queues, work
from apps.review.models import Queue


class QueueRow(NamedTuple):
    """A queue, how many cases wait in it, and how many of them are overdue."""

    queue: Queue
    waiting: int
    overdue: int

    @property
    def order(self) -> str:
        return ORDER_WORDS[self.queue.order]


QUEUES = Table(
    row="portal/rows/review_queue.html",
    filters=(search_in("Name", lambda one: one.queue.name, lambda one: one.queue.code),),
    columns=(
        Column("name", "Queue", lambda one: one.queue.name, ("name",)),
        Column("order", "Order", lambda one: one.order),
        Column("sla_minutes", "Due after minutes", lambda one: one.queue.sla_minutes, ("sla_minutes",), number=True),
        Column("second_review_above", "Two people above", lambda one: one.queue.second_review_above, number=True),
        Column("waiting", "Waiting", lambda one: one.waiting, ("waiting",), number=True),
        Column("overdue", "Overdue", lambda one: one.overdue, ("overdue",), number=True),
    ),
)
NO_QUEUES = Empty("No queues", "Make one below.")


class QueuesPage(Page):
    """All queues of this mode; a new one."""

    title, template = "Review queues", "portal/pages/review_queues.html"
    changes = Permission.QUEUES

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(QUEUES, self._rows(), "queues") if QUEUES.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"table": QUEUES.show(self.request, self._rows(), NO_QUEUES), "form": QueueForm()}

    def _rows(self) -> list[QueueRow]:
        """In the order in which they are asked for a case."""
        with in_tenant(self.tenant):
            rows, counts = queues.sorter(self.livemode).queues, work.counts_by_queue(self.livemode, self.now)
        return [QueueRow(row, *counts.get(row.code, (0, 0))) for row in rows]

    def post(self, request: HttpRequest) -> HttpResponse:
        form = QueueForm(request.POST)
        if form.is_valid():
            whose: dict[str, Any] = {"tenant": self.tenant, "livemode": self.livemode, "actor": self.actor}
            try:
                queues.create_queue(**whose, facts=form.facts(), now=self.now)
            except queues.TooMany:
                form.add_error(None, f"A company may have {queues.MOST_QUEUES} queues in each mode.")
            else:
                messages.success(request, "The queue is created, and open cases are sorted into it.")
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
            messages.success(request, "The queue is deleted; its cases moved to other queues.")
            return redirect("review_queues")
        form = QueueForm(request.POST, queue=queue)
        if not form.is_valid():
            return self.page(**self.context(code=code) | {"form": form}, status=422)
        queues.change_queue(**whose, facts=form.facts())
        messages.success(request, "The queue is saved, and open cases are sorted again.")
        return redirect("review_queues")

    def _queue(self, code: str) -> Queue:
        found = queues.find(self.tenant, self.livemode, code)
        if found is None:
            raise Http404
        return found
