"""The wire: HTTP/1.1, form in and JSON out, idempotency keys, and faults on demand.

Idempotency as Stripe's API v1 keeps it: the first answer under a key is saved once execution has begun, a 402 and a 500
too, and told again for 24 hours; other parameters under the key are refused; while the first is under way the second is
a 409. What is refused before execution (401, unknown parameters, 429) is not saved.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from stripe import params
from stripe.params import billing_portal, checkout

from tests.http_server import EndingServer
from tests.pace import within
from tests.stripe_server.ledger import Json, Ledger, Refused, invalid, shown
from tests.stripe_server.parameters import complaint, decoded
from tests.stripe_server.webhooks import Send, deliver

KEY_SECONDS = 24 * 3600
#: `drop`: the connection ends without an answer. `hang`: the answer comes after `Stand.hang_seconds`. `before` and
#: `after` the call is executed. 500 is saved under the key, 429 and 503 are not.
Fault = Literal["drop_before", "drop_after", "hang_before", "hang_after", "500_before", "500_after", "429", "503"]
Ask = Callable[[Ledger, Json, str], Json]


class Route(NamedTuple):
    """A call: how it is addressed, the type of its parameters, what it does (`wanted`: the ids in its path)."""

    method: str
    path: re.Pattern[str]
    params: type
    do: Ask


def _route(method: str, path: str, parameters: type, do: Ask) -> Route:
    return Route(method, re.compile(f"/v1/{path}".replace("ID", "([A-Za-z0-9_]+)") + "$"), parameters, do)


def _get(kind: str) -> Ask:
    return lambda ledger, said, wanted: shown(ledger.get(kind, wanted))


def _list(kind: str) -> Ask:
    return lambda ledger, said, wanted: ledger.listed(kind, said)


ROUTES = (
    _route("POST", "customers", params.CustomerCreateParams, lambda at, said, _: at.create_customer(said)),
    _route("GET", "customers/ID", params.CustomerRetrieveParams, _get("customer")),
    _route("POST", "customers/ID", params.CustomerModifyParams, lambda at, said, one: at.update_customer(one, said)),
    _route("DELETE", "customers/ID", params.CustomerDeleteParams, lambda at, said, one: at.delete_customer(one)),
    _route("POST", "customers/ID/tax_ids", params.CustomerTaxIdCreateParams, lambda at, said, one: at.create_tax_id(one, said)),  # noqa: E501
    _route("GET", "customers/ID/tax_ids", params.CustomerTaxIdListParams, lambda at, said, one: at.listed("tax_id", said | {"customer": one})),  # noqa: E501
    _route("DELETE", "customers/ID/tax_ids/ID", params.CustomerTaxIdDeleteParams, lambda at, said, both: at.delete_tax_id(both)),  # noqa: E501
    _route("GET", "payment_methods/ID", params.PaymentMethodRetrieveParams, _get("payment_method")),
    _route("POST", "payment_methods/ID/attach", params.PaymentMethodAttachParams, lambda at, said, one: at.attach(one, said)),  # noqa: E501
    _route("POST", "payment_methods/ID/detach", params.PaymentMethodDetachParams, lambda at, said, one: at.detach(one, said)),  # noqa: E501
    _route("POST", "setup_intents", params.SetupIntentCreateParams, lambda at, said, _: at.create_setup_intent(said)),
    _route("GET", "setup_intents/ID", params.SetupIntentRetrieveParams, _get("setup_intent")),
    _route("POST", "checkout/sessions", checkout.SessionCreateParams, lambda at, said, _: at.create_checkout(said)),
    _route("GET", "checkout/sessions/ID", checkout.SessionRetrieveParams, _get("checkout.session")),
    _route("POST", "billing_portal/sessions", billing_portal.SessionCreateParams, lambda at, said, _: at.create_portal(said)),  # noqa: E501
    _route("POST", "payment_intents", params.PaymentIntentCreateParams, lambda at, said, _: at.create_intent(said)),
    _route("GET", "payment_intents", params.PaymentIntentListParams, _list("payment_intent")),
    _route("GET", "payment_intents/ID", params.PaymentIntentRetrieveParams, _get("payment_intent")),
    _route("POST", "payment_intents/ID/confirm", params.PaymentIntentConfirmParams, lambda at, said, one: at.confirm(one, said)),  # noqa: E501
    _route("POST", "payment_intents/ID/cancel", params.PaymentIntentCancelParams, lambda at, said, one: at.cancel(one, said)),  # noqa: E501
    _route("POST", "refunds", params.RefundCreateParams, lambda at, said, _: at.refund(said)),
    _route("GET", "refunds", params.RefundListParams, _list("refund")),
    _route("GET", "charges", params.ChargeListParams, _list("charge")),
    _route("GET", "disputes", params.DisputeListParams, _list("dispute")),
    _route("GET", "events", params.EventListParams, _list("event")),
)  # fmt: skip


@dataclass
class Saved:
    """What is kept under an idempotency key; `answer` None while the first request is under way."""

    asked: tuple[str, str]
    at: float
    answer: tuple[int, bytes] | None = None


@dataclass
class Trouble:
    """A fault for the next `times` calls that match, such as "POST /v1/payment_intents/*/confirm"."""

    match: str
    do: Fault
    times: int = 1


@dataclass
class Stand:
    """The server. `fault` may name a fault for a call (method, path, how many calls came before)."""

    api_key: str = "sk_test_stand_in"
    webhook_secret: str = "whsec_stand_in"
    port: int = 0
    clock: Callable[[], float] = time.time
    hang_seconds: float = 1.0
    fault: Callable[[str, str, int], Fault | None] | None = None
    troubles: list[Trouble] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        stand = self

        class Handler(_Handler):
            served = stand

        self.http = EndingServer(("127.0.0.1", self.port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.ledger = Ledger(self.clock, self.url)
        self.saved: dict[str, Saved] = {}
        self._counting = threading.Lock()

    def __enter__(self) -> "Stand":
        for route in ROUTES:  # building the checks takes a second: not within anybody's timeout
            complaint(route.params, {})
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.http.shutdown()
        self.http.server_close()

    def trouble(self, match: str, do: Fault, times: int = 1) -> None:
        self.troubles.append(Trouble(match, do, times))

    def deliver(self, send: Send, *, start: int = 0, repeats: int = 1) -> list[int]:
        """Send the events since `start` to an endpoint."""
        return deliver(self.ledger.events[start:], send, self.webhook_secret, repeats)

    def answer(self, method: str, path: str, query: str, form: str, key: str, bearer: str) -> tuple[int, bytes, bool]:
        """Status, body and whether it is answered at all."""
        if bearer != f"Bearer {self.api_key}":
            return *_told(Refused(401, "invalid_request_error", "Invalid API Key provided.")), True
        fault = self._fault(method, path)
        if fault in ("429", "503"):
            return *_told(Refused(int(fault), "api_error", "Too much at once.", "rate_limit")), True
        if fault == "drop_before":
            return 0, b"", False
        if fault == "hang_before":
            time.sleep(self.hang_seconds)
            return 0, b"", False
        status, body = self._once(method, path, query or form, key, fault)
        if fault == "hang_after":
            time.sleep(self.hang_seconds)
        return status, body, fault not in ("drop_after", "hang_after")

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._counting:
            self.calls.append(f"{method} {path}")
            count = len(self.calls)
            for trouble in self.troubles:
                if trouble.times and fnmatch(self.calls[-1], trouble.match):
                    trouble.times -= 1
                    return trouble.do
        return self.fault(method, path, count) if self.fault else None

    def _once(self, method: str, path: str, form: str, key: str, fault: Fault | None) -> tuple[int, bytes]:
        """Execute, once a key."""
        found = self._find(method, path)
        if isinstance(found, Refused):
            return _told(found)
        route, wanted = found
        said = decoded(form)
        wrong = complaint(route.params, said)
        if wrong:
            self.complaints.append(f"{method} {path}: {wrong}")
            return _told(invalid(wrong, "parameter_unknown"))
        if method == "GET" or not key:
            return self._execute(route, said, wanted, fault)
        with self._counting:
            saved = self.saved.get(key)
            if saved is not None and self.clock() - saved.at < KEY_SECONDS:
                return _again(saved, (f"{method} {path}", form))
            saved = self.saved[key] = Saved((f"{method} {path}", form), self.clock())
        saved.answer = self._execute(route, said, wanted, fault)
        return saved.answer

    def _execute(self, route: Route, said: Json, wanted: str, fault: Fault | None) -> tuple[int, bytes]:
        broken = Refused(500, "api_error", "Something went wrong on Stripe's end.")
        if fault == "500_before":
            return _told(broken)
        with self.ledger.lock:
            try:
                answer = 200, json.dumps(shown(route.do(self.ledger, said, wanted))).encode()
            except Refused as refused:
                answer = _told(refused)
            except Exception as fault_of_ours:  # a bug of the stand-in: said at the end of the test
                self.complaints.append(f"{route.method} {route.path.pattern}: {fault_of_ours!r}")
                answer = _told(broken)
        return _told(broken) if fault == "500_after" else answer

    def _find(self, method: str, path: str) -> tuple[Route, str] | Refused:
        for route in ROUTES:
            match = route.path.match(path) if route.method == method else None
            if match:
                return route, "/".join(match.groups())
        self.complaints.append(f"{method} {path}: the stand-in has no such call")
        return Refused(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path}).")


def _told(refused: Refused) -> tuple[int, bytes]:
    return refused.status, json.dumps(refused.body).encode()


def _again(saved: Saved, asked: tuple[str, str]) -> tuple[int, bytes]:
    if saved.asked != asked:
        message = "Keys for idempotent requests can only be used with the same parameters they were first used with."
        return _told(Refused(400, "idempotency_error", message))
    if saved.answer is None:
        message = "There is currently another in-progress request using this Idempotent Key."
        return _told(Refused(409, "idempotency_error", message, "idempotency_key_in_use"))
    return saved.answer


class _Handler(BaseHTTPRequestHandler):
    """HTTP in, `Stand.answer` out. `/_control/` and `/_person/` are not Stripe's."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    served: Stand

    def do_GET(self) -> None:
        self._serve("GET")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def do_POST(self) -> None:
        self._serve("POST")

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if url.path.startswith(("/_control/", "/_person/")):
            return self._played(url.path, form)
        status, body, told = self.served.answer(
            method, url.path, url.query, form,
            self.headers.get("Idempotency-Key", ""), self.headers.get("Authorization", ""),
        )  # fmt: skip
        if not told:
            self.close_connection = True
            return None
        return self._send(status, body)

    def _played(self, path: str, form: str) -> None:
        _, where, what, *names = path.split("/")
        try:
            with self.served.ledger.lock:
                done = _PLAYS[f"{where}/{what}"](self.served, decoded(form), names[0] if names else "")
        except Refused as refused:
            return self._send(*_told(refused))
        if isinstance(done, str):
            return self._send(303, b"", done)
        return self._send(200, json.dumps(done).encode())

    def _send(self, status: int, body: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", "req_stand_in")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _complete_checkout(stand: Stand, said: Json, wanted: str) -> str:
    return str(stand.ledger.complete_checkout(wanted, said.get("payment_method", "pm_card_visa"))["success_url"])


def _complete_setup(stand: Stand, said: Json, wanted: str) -> Json:
    return stand.ledger.complete_setup(wanted, said.get("payment_method", "pm_card_visa"))


def _make_trouble(stand: Stand, said: Json, wanted: str) -> Json:
    stand.trouble(said["match"], said["do"], int(said.get("times", 1)))
    return {"troubles": len(stand.troubles)}


def _charges(stand: Stand, said: Json, wanted: str) -> Json:
    return {"charges": [shown(one) for one in stand.ledger.charged(**said)]}


def post_to(url: str) -> Send:
    import urllib.request

    def send(body: bytes, signed: str) -> int:
        headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=within(10)) as answer:
            return int(answer.status)

    return send


def _webhooks(stand: Stand, said: Json, wanted: str) -> Json:
    """Send all events so far: `url`, `repeats`, `order` (as they happened, or reversed)."""
    events = stand.ledger.events[:: -1 if said.get("order") == "reversed" else 1]
    return {"statuses": deliver(events, post_to(said["url"]), stand.webhook_secret, int(said.get("repeats", 1)))}


#: What the person at the browser, the issuer and the weather do, when they are played over HTTP.
_PLAYS: dict[str, Callable[[Stand, Json, str], Json | str]] = {
    "_person/checkout": _complete_checkout,
    "_person/portal": lambda stand, said, wanted: str(stand.ledger.objects[wanted]["return_url"]),
    "_control/checkout": _complete_checkout,
    "_control/setup": _complete_setup,
    "_control/trouble": _make_trouble,
    "_control/charges": _charges,
    "_control/webhooks": _webhooks,
    "_control/dispute": lambda stand, said, wanted: stand.ledger.dispute(wanted),
    "_control/close_dispute": lambda stand, said, wanted: stand.ledger.close_dispute(wanted, said["status"]),
}
