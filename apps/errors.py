"""Everything that can be refused, as one table; every refusal is a `Problem` and one handler turns it into HTTP.

    Problem
    ├── 400 / 408 / 413 / 415 / 422 / 431   the request itself: malformed, too slow, too large, a field is wrong
    ├── 401                     who are you: no key, a malformed, unknown, revoked or expired one, or such a token
    ├── 402                     it has to be paid for: no payment method
    ├── 403                     you may not: scope, address, suspended tenant, plan
    ├── 404 / 405               no such thing here; another tenant's object is the same 404
    ├── 409                     not in this state: the same request is still being answered, a webhook is off
    ├── 429                     rate limit, included volume
    ├── 507                     no room for a file
    └── 503                     something we need is away; try again

A block is not an error: it is a 200 with an answer. Format: RFC 9457 (problem details).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apps import card_numbers


@dataclass(frozen=True)
class Kind:
    """One row of the table: the status, a title that never changes, and the fix."""

    status: int
    title: str
    fix: str


KINDS: Mapping[str, Kind] = {
    # --- the request ---
    "body_malformed": Kind(400, "The body is not valid JSON", "Send one JSON object, UTF-8, without NaN or Infinity."),
    "body_too_large": Kind(413, "The body is too large", "Send at most 1 MB a request, 25 MB a batch."),
    "request_malformed": Kind(400, "The request is not HTTP", "Send an HTTP/1.1 request; see `detail`."),
    "form_malformed": Kind(400, "The form can't be read", "Send multipart/form-data as every client makes it."),
    "file_missing": Kind(422, "There is no file", "Send it as the body, or as the part `file` of a form."),
    "file_unreadable": Kind(422, "The file can't be read", "See `detail`; nothing was billed."),
    "batch_not_now": Kind(409, "The batch is not in a state for this", "See `detail` for the state it is in."),
    "results_not_ready": Kind(409, "There are no results yet", "Wait until the batch stands still."),
    "range_invalid": Kind(416, "The range lies outside of the file", "Ask for bytes that are there."),
    "head_too_large": Kind(431, "The headers are too large", "Send at most 32 KB and 100 headers."),
    "request_too_slow": Kind(
        408, "The request came too slowly", "Send it whole within 5 s; a large body at 16 KB a second or more."
    ),
    "media_type_unsupported": Kind(415, "The content type is not supported", "Send Content-Type: application/json."),
    "field_invalid": Kind(
        422, "A field is missing or wrong", "See `param` for the field and `detail` for what it takes."
    ),
    "payload_invalid": Kind(400, "The payload is invalid", "Send the fields of the Hybrid interface."),
    "shape_unknown": Kind(422, "The body fits no known shape", "Send one of the shapes named in `detail`."),
    "schema_unknown": Kind(422, "The schema is unknown", "Use one of the schemas named in `detail`."),
    "model_unknown": Kind(
        422, "The model is not available", "Use one of the models named in `detail`, or leave it out."
    ),
    "inference_failed": Kind(500, "Model inference failed", "Try again later, or ask another model."),
    "model_not_available": Kind(
        400, "An older interface was asked for an unknown model", "Use one of the models named in `detail`."
    ),
    "header_invalid": Kind(400, "A header is wrong", "See `detail` for what the header takes."),
    "signature_invalid": Kind(400, "The signature is not right", "Sign with this webhook's secret, within 300 s."),
    "event_invalid": Kind(400, "The body is no event", "See `detail` for what an event has to be."),
    "query_invalid": Kind(400, "The query string is wrong", "See `detail` for what it takes."),
    "cursor_invalid": Kind(400, "The cursor is not one of ours", "Use `next_cursor` of the page before, unchanged."),
    "idempotency_mismatch": Kind(
        422, "The Idempotency-Key was used with another body", "Use a new key for a new body."
    ),
    "name_taken": Kind(409, "There is one of this name", "Choose another name, or use the one there is."),
    "list_in_use": Kind(409, "Rules in force ask for the list", "Retire the rules named in `detail`, or change them."),
    "aggregate_in_use": Kind(
        409, "Rules in force ask for the aggregate", "Retire the rules named in `detail`, or change them."
    ),
    "too_few_labels": Kind(422, "Too little is labelled", "Send labels (POST /v1/labels), then ask again."),
    "limit_reached": Kind(422, "There are as many as there may be", "Delete one first."),
    # --- who are you ---
    "key_missing": Kind(401, "No API key was sent", "Send Authorization: Bearer <key> or X-API-Key: <key>."),
    "key_malformed": Kind(401, "The API key is malformed", "Copy the key again; `detail` says what is wrong with it."),
    "key_unknown": Kind(401, "The API key is unknown", "Create a key, or copy it again."),
    "key_revoked": Kind(401, "The API key was revoked", "Use another key or create one."),
    "key_expired": Kind(401, "The API key has expired", "Use the key it was replaced by, or create one."),
    "token_invalid": Kind(401, "The token is not one of ours", "Get a new one: POST /v1/auth/token with the API key."),
    "token_expired": Kind(401, "The token has expired", "Get a new one: POST /v1/auth/token with the API key."),
    # --- you may not ---
    "tls_required": Kind(
        403, "The request came without TLS", "Call https://; a key that was sent in the open should be rotated."
    ),
    "scope_missing": Kind(403, "The API key lacks the scope", "Use a key with the scope named in `detail`."),
    "live_key_required": Kind(
        403, "This changes what the account agreed to", "Use a live key: test keys change nothing of it."
    ),
    "key_required": Kind(403, "This takes the API key itself", "Send the key instead of a token."),
    "address_refused": Kind(403, "The API key is not allowed from this address", "Call from an allowed network."),
    "tenant_suspended": Kind(403, "The account is suspended", "Write to support."),
    "tenant_closed": Kind(403, "The account is closed", "An owner can undo it for 30 days, in the portal."),
    "payment_method_required": Kind(402, "The plan needs a payment method", "Add one, then change the plan."),
    "plan_lacks_feature": Kind(403, "The plan does not include this", "Upgrade to a plan that includes it."),
    # --- no such thing ---
    "not_found": Kind(404, "There is no such object", "Check the id; test and live objects are apart."),
    "address_unknown": Kind(404, "There is no such address", "See `detail` for addresses near it, and /docs for all."),
    "method_not_allowed": Kind(405, "The method is not allowed here", "See the Allow header."),
    # --- not now ---
    "case_held": Kind(
        409, "Another reviewer holds the case", "Take another one, or wait until the lease in `detail` ends."
    ),
    "case_resolved": Kind(409, "The case is resolved", "Label the decision: a correction is a further label."),
    "case_assigned": Kind(409, "The case is assigned to somebody else", "Take another one, or let an admin assign it."),
    "case_other_reviewer": Kind(409, "It takes another reviewer", "See `detail`; a key is a reviewer."),
    "idempotency_in_progress": Kind(409, "The same request is still being answered", "Repeat it in a moment."),
    "model_not_ready": Kind(409, "The model is not in a state for this", "See `detail` for the state it is in."),
    "webhook_disabled": Kind(
        409, "The webhook is switched off", "Switch it on first: POST /v1/webhooks/{id} with enabled true."
    ),
    "policy_outdated": Kind(409, "Another version was published meanwhile", "Read it, and send yours based on it."),
    "paid_by_transfer": Kind(409, "Invoices are paid by bank transfer", "Write to support to agree on it."),
    "stripe_refused": Kind(422, "Your Stripe account refused", "Connect it again with a key that may do this."),
    "keys_refused": Kind(
        429, "Too many refused keys came from this address", "Wait as Retry-After says; a valid key is never held up."
    ),
    "rate_limited": Kind(429, "Too many requests", "Wait as long as Retry-After says, or ask for a higher rate."),
    "quota_exceeded": Kind(429, "The volume of the month is used up", "See `detail` for how to go on."),
    "bodies_waiting": Kind(503, "Too many bodies are on their way", "Try again as Retry-After says."),
    "server_busy": Kind(503, "Too many requests are waiting", "Try again as Retry-After says."),
    "storage_full": Kind(507, "There is no room for the file", "Try again later; nothing was kept or billed."),
    "journal_full": Kind(503, "The journal is full", "Try again as Retry-After says; nothing was scored or billed."),
    "pdf_unavailable": Kind(503, "PDFs can't be made on this server", "Read the same invoice as HTML: `….html`."),
    "stores_away": Kind(503, "Our stores are away", "Try again as Retry-After says; nothing was scored or billed."),
    "provider_away": Kind(503, "The payment provider is away", "Try again as Retry-After says; nothing was charged."),
    "internal": Kind(500, "Something went wrong on our side", "Tell support the request_id; nothing was billed."),
}


#: Wrong fields that are told at once; a row of a batch may have as many.
MOST_TOLD = 20


class FieldError(NamedTuple):
    """A field, parameter or header that is wrong, by its place in the request, and a sentence about it."""

    param: str
    detail: str


@dataclass
class Problem(Exception):
    """A refusal: its code names a row of `KINDS`; `detail` says what happened in this request, `param` which field.

    `errors` are all the wrong fields where there may be several. What it quotes of the request holds no card number,
    wherever and in whatever form it is told.
    """

    code: str
    detail: str = ""
    param: str = ""
    retry_after: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    errors: Sequence[FieldError] = ()

    def __post_init__(self) -> None:
        self.detail, self.param = card_numbers.mask(self.detail), card_numbers.mask(self.param)
        said = self.errors or ([FieldError(self.param, self.detail)] if self.code == "field_invalid" else [])
        self.errors = tuple(FieldError(card_numbers.mask(one.param), card_numbers.mask(one.detail)) for one in said)
        self.extra = card_numbers.mask_json(self.extra)

    @property
    def kind(self) -> Kind:
        return KINDS[self.code]

    def __str__(self) -> str:
        return f"{self.code}: {self.detail or self.kind.title}"


def fields_invalid(errors: Sequence[FieldError]) -> Problem:
    """The refusal of a request with these wrong fields, at least one."""
    return Problem("field_invalid", errors[0].detail, errors[0].param, errors=errors)


def read_all(*reads: Callable[[], Any]) -> list[Any]:
    """What each of them reads of a request. Raises `Problem`: the first refusal, with the wrong fields of all."""
    found: list[Any] = []
    refusals: list[Problem] = []
    for read in reads:
        try:
            found.append(read())
        except Problem as problem:
            if problem.code != "field_invalid":
                raise
            refusals.append(problem)
    if refusals:
        errors = [error for refusal in refusals for error in refusal.errors]
        raise Problem("field_invalid", refusals[0].detail, refusals[0].param, errors=errors[:MOST_TOLD])
    return found
