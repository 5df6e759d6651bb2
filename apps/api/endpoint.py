"""The door every endpoint of the API stands behind, step by step as DRF takes them:

    authentication   a key of the right form is presented (no I/O) that somebody has (asked once a minute and process);
                     demo mode presents the demo tenant's. All of it before the body is read: config/serving asks
                     `before_body` while that is still on its way
    permission   ┐
    throttle     ┴   one call of the gate, made by the handler once it knows what is asked: `admit`
    handler          the endpoint
    finalize         rate-limit headers, request id, timing, metrics

Bodies come in and go out as bytes: msgspec decodes and validates them in one pass, so DRF's parsers, renderers and
negotiation have nothing to do here and are left out (they cost 60 µs a request).
"""

import logging
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, NoReturn, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from prometheus_client import Histogram
from rest_framework.views import APIView

from apps import card_numbers, tracing
from apps.accounts.audit import ORIGIN, Origin
from apps.api import problems
from apps.api.client_address import check_host, client_address
from apps.api.presented_key import presented_key
from apps.api.response_headers import shielded, with_own
from apps.api_keys import uses
from apps.api_keys.gate import Admission, Ask, Rate, rate_headers
from apps.api_keys.keys import PresentedKey
from apps.decoding import decode
from apps.errors import Problem
from apps.log_context import ANSWERING, NOBODY, Answering
from apps.request_ids import request_id_of
from apps.sla import failures
from apps.usage.admission import refused_calls, refused_keys
from apps.usage.admission.admission import Admissions, get_admissions, period_of
from apps.usage.metering.events import moment

Body = TypeVar("Body")
Understood = TypeVar("Understood")

SECONDS = Histogram(
    "palisade_request_seconds",
    "Server time of a request; its _count is the number of requests",
    ["endpoint", "status"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5),
)

#: A line a request, where PALISADE_LOG_REQUESTS asks for it.
requests = logging.getLogger("palisade.requests")
LONGEST_PATH = 200
#: Scopes of calls that score.
SCORING = ("predict", "batch")
MEGABYTE = 1024 * 1024
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_LENGTH = re.compile("[0-9]{1,15}")


class ApiView(APIView):
    """An endpoint behind the gate. `scopes` says which scope each method needs."""

    scopes: ClassVar[dict[str, str]] = {"GET": "read"}
    endpoint: ClassVar[str] = ""
    body_limit: ClassVar[int] = MEGABYTE
    takes_uploads: ClassVar[bool] = False  # a body longer than a piece becomes a file while it arrives
    needs_key: ClassVar[bool] = True
    in_company: ClassVar[bool] = False  # answered side by side with others: it may not ask inside a transaction
    problem_content_type: ClassVar[str] = "application/problem+json"
    http_method_names = ["get", "head", "post"]
    parser_classes = []
    renderer_classes = []

    key: PresentedKey
    digest = ""
    recognised = False  # a key of the right form was presented
    request_id = ""
    tenant_schema = ""  # of whoever was admitted
    rate: Rate | None = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """DRF's, as a trace where there are any."""
        if not tracing.is_on():
            return super().dispatch(request, *args, **kwargs)
        with tracing.request(f"{request.method} {self.endpoint}") as span:
            return self._told(span, request, super().dispatch(request, *args, **kwargs))

    def _told(self, span: tracing.Span, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response, and its trace knows of it."""
        span.set_attribute("http.request.method", str(request.method))
        span.set_attribute("http.response.status_code", response.status_code)
        span.set_attribute("palisade.request_id", self.request_id)
        span.set_attribute("palisade.tenant", self.tenant_schema)
        return response

    @classmethod
    def before_body(cls, request: HttpRequest) -> HttpResponseBase | None:
        """The refusal of who may not even send a body, or None: authentication, as `initial` does it."""
        view = cls()
        view.request = asked = view.initialize_request(request)
        view.headers = view.default_response_headers
        try:
            view.initial(asked)
        except Exception as failure:
            with tracing.request(f"{request.method} {cls.endpoint}") as span:
                response = view.finalize_response(asked, view.handle_exception(failure))
                return view._told(span, asked, response)
        return None

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """The only place the clocks are read. Endpoints get Django's request: DRF's adds parsers and negotiation, made
        anew for each, and hands everything else on at 1 µs a look."""
        self.started = time.perf_counter()
        self.received_us = time.time_ns() // 1000
        self.request_id = request_id_of(request.META)
        ANSWERING.set(Answering(self.request_id))
        return request

    def initial(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Authentication. Permission and throttle are the gate's, in one call: see `admit`."""
        check_host(request)
        address = client_address(request.META)
        try:
            self.key, self.digest = presented_key(request.META, self.received_us / 1_000_000)
        except Problem as refusal:
            raise refused_keys.counted_here(refusal, address) from refusal
        self.recognised = True
        self.admissions.recognise(self.key, self.digest, address)

    def admit(self, ask: Ask) -> Admission:
        """Admit the request; an endpoint that scores lets scoring ask, all others ask here."""
        return self.admitted(self.admissions.admit(ask))

    def admit_only(self, request: HttpRequest) -> Admission:
        """Admit a request that scores nothing. What it changes is audited with its origin; its key was used."""
        ask = self.ask(request)
        ORIGIN.set(Origin(ask.address, self.request_id))
        admission = self.admit(ask)
        if not admission.storage_away:
            uses.note(admission.key_id, self.now, ask.address)
        return admission

    def admit_live(self, request: HttpRequest) -> Admission:
        """Admit a call that changes the contract. Only live keys may."""
        admission = self.admit_only(request)
        if not self.key.livemode:
            raise Problem("live_key_required")
        return admission

    def understood(self, request: HttpRequest, understand: Callable[[HttpRequest], Understood]) -> Understood:
        """What `understand` reads of the request; a problem with it is answered only to those the gate lets in."""
        try:
            return understand(request)
        except Problem as problem:
            self.refuse(request, problem)

    def decoded(self, request: HttpRequest, kind: type[Body]) -> Body:
        """The body as a struct; a problem with it is answered only to those the gate lets in."""
        return self.understood(request, lambda request: decode(self.read_body(request), kind))

    def refuse(self, request: HttpRequest, problem: Problem) -> NoReturn:
        """Refuse a body, but only to those the gate lets in: a wrong key with a broken body is a wrong key."""
        counted = refused_calls.riding(self.key.handle, self.key.livemode, self.now) if self._scores(request) else None
        self.admitted(self.admissions.admit(self.ask(request), counted))
        raise problem

    def admitted(self, admission: Admission) -> Admission:
        self.rate, self.tenant_schema = admission.rate, admission.tenant_schema
        ANSWERING.set(Answering(self.request_id, admission.tenant_schema, admission.key_id))
        return admission

    def ask(self, request: HttpRequest) -> Ask:
        """What the gate is asked when nothing is scored: key, scope, address, rate."""
        period = period_of(self.now)
        return Ask(self.key, self.digest, self.scope(request), client_address(request.META), period)

    def scope(self, request: HttpRequest) -> str:
        """The scope this request needs."""
        return self.scopes["GET" if request.method == "HEAD" else str(request.method)]

    def read_body(self, request: HttpRequest) -> bytes:
        """The body within its limit. Raises `Problem`: 413, 415."""
        media_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Problem("media_type_unsupported", f"The content type is '{card_numbers.cut(media_type, 80)}'.")
        length = content_length(request.META)
        if length > self.body_limit:
            raise Problem("body_too_large", f"The body has {length:,} bytes.")
        return request.body

    @property
    def now(self) -> datetime:
        """When the request came, UTC."""
        return moment(self.received_us)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1000

    @property
    def default_response_headers(self) -> dict[str, str]:
        """None: DRF would compute Allow and Vary for every answer."""
        return {}

    @property
    def admissions(self) -> Admissions:
        return get_admissions()

    def render_problem(self, problem: Problem) -> bytes:
        """A refusal in this interface's own form."""
        return problems.body(problem, self.request_id)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        elapsed = time.perf_counter() - self.started
        own = {
            "X-Request-Id": self.request_id,
            "Server-Timing": f"total;dur={elapsed * 1000:.2f}",
            "Content-Length": str(len(response.content)),
        }
        with_own(shielded(response), own if self.rate is None else own | rate_headers(self.rate))
        SECONDS.labels(self.endpoint, response.status_code).observe(elapsed)
        if response.status_code >= 500 and self._scores(request):
            self._note_failure()
        if requests.isEnabledFor(logging.INFO):
            path = card_numbers.cut(request.path_info, LONGEST_PATH)
            requests.info("%s %s %d %.2f ms", request.method, path, response.status_code, elapsed * 1000)
        ANSWERING.set(NOBODY)
        return response

    def _note_failure(self) -> None:
        """Count a call for scoring that failed: for its success rate once it was admitted, for the SLA in any case."""
        if self.rate is not None:
            refused_calls.note(self.key.handle, self.key.livemode, self.now)
        if self.recognised and self.key.livemode:
            failures.note(self.key.handle, self.now)

    def _scores(self, request: Any) -> bool:
        """Whether this is a call that would be counted as usage."""
        return self.scopes.get(str(request.method)) in SCORING


def json_answer(body: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    """An answer of bytes that are JSON already, or of anything msgspec encodes."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpResponse(content, content_type="application/json", headers=headers)


def content_length(meta: dict[str, Any]) -> int:
    """The body's length as it was announced, 0 when it was not. Raises `Problem` when it is none."""
    header = meta.get("CONTENT_LENGTH") or "0"
    if not _LENGTH.fullmatch(header):
        raise Problem("header_invalid", "Content-Length takes the number of the body's bytes.", "Content-Length")
    return int(header)


def idempotency_key(meta: dict[str, Any]) -> str:
    """The Idempotency-Key header, "" when there is none. Raises `Problem` when it is not one."""
    header = meta.get("HTTP_IDEMPOTENCY_KEY")
    if header is None:
        return ""
    if not _IDEMPOTENCY_KEY.fullmatch(header):  # an empty one too: its sender believes to be safe
        raise Problem("header_invalid", "Idempotency-Key takes 1 to 255 visible ASCII characters.", "Idempotency-Key")
    return str(header)
