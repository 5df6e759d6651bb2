"""What Stripe remembers and does, as far as Palisade asks it. Objects are dicts in the shape Stripe sends them.

`charges` is the truth of every test: what was really taken from a card, whatever anybody was told about it.
"""

import copy
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from tests.stripe_server.cards import CARDS, GENERIC, Card, Decline

Json = dict[str, Any]
MOST_A_PAGE = 100
#: Numbers that are looked at before they are taken, and asked about at a tax office.
TAX_IDS = {
    "eu_vat": re.compile("[A-Z]{2}[A-Z0-9+*]{2,12}"),
    "gb_vat": re.compile("GB[A-Z0-9]{5,12}"),
}
#: An intent in these may still be confirmed or cancelled.
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


class Refused(Exception):
    """An answer that is an error of Stripe's: its status and its `error` object."""

    def __init__(self, status: int, kind: str, message: str, code: str | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        said = {"type": kind, "message": message, "code": code, **more}
        self.body = {"error": {name: value for name, value in said.items() if value is not None}}


def invalid(message: str, code: str | None = None, **more: Any) -> Refused:
    return Refused(400, "invalid_request_error", message, code, **more)


def declined(decline: Decline, **more: Any) -> Refused:
    return Refused(402, "card_error", decline.message, decline.code, decline_code=decline.decline_code, **more)


def missing(kind: str, wanted: str) -> Refused:
    return Refused(404, "invalid_request_error", f"No such {kind}: '{wanted}'", "resource_missing", param="id")


class Ledger:
    """One account at Stripe. Every method is one call of its API; the caller holds `lock`."""

    def __init__(self, clock: Callable[[], float] = time.time, base_url: str = "") -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.base_url = base_url
        self.objects: dict[str, Json] = {}
        self.events: list[Json] = []
        self._issuer: dict[str, deque[Decline]] = {}

    # --- what tests ask ---

    def all(self, kind: str) -> list[Json]:
        return [one for one in self.objects.values() if one["object"] == kind]

    def charged(self, **metadata: str) -> list[Json]:
        """The charges that took money, for intents with this metadata."""
        wanted = metadata.items()
        return [one for one in self.all("charge") if one["paid"] and wanted <= one["metadata"].items()]

    def declines_next(self, card: str, times: int = 1, decline: Decline = GENERIC) -> None:
        """The issuer says no to the next charges of a payment method."""
        self._issuer.setdefault(card, deque()).extend([decline] * times)

    # --- customers and their cards ---

    def create_customer(self, said: Json) -> Json:
        made = self._new("customer", "cus", said, email=said.get("email"), name=said.get("name"))
        made["invoice_settings"] = {"default_payment_method": None}
        return self._happened("customer.created", made)

    def update_customer(self, wanted: str, said: Json) -> Json:
        customer = self.get("customer", wanted)
        before = {name: customer[name] for name in ("email", "name", "invoice_settings") if name in said}
        card = said.get("invoice_settings", {}).get("default_payment_method")
        if card:
            self._of_customer(self.get("payment_method", card), wanted)
            customer["invoice_settings"] = {"default_payment_method": card}
        customer.update({name: said[name] for name in ("email", "name") if name in said})
        return self._happened("customer.updated", customer, before)

    def delete_customer(self, wanted: str) -> Json:
        """With its cards; what was paid stays."""
        customer = self.get("customer", wanted)
        cards = [one["id"] for one in self.objects.values() if one.get("customer") == wanted]
        for gone in (wanted, *(card for card in cards if self.objects[card]["object"] == "payment_method")):
            del self.objects[gone]
        self._happened("customer.deleted", customer)
        return {"id": wanted, "object": "customer", "deleted": True}

    def create_tax_id(self, customer: str, said: Json) -> Json:
        """Of the European ones the tax office is asked, which takes a while."""
        self.get("customer", customer)
        if not TAX_IDS.get(said["type"], re.compile(".+")).fullmatch(said["value"]):
            raise invalid(f"Invalid value for {said['type']}.", "tax_id_invalid", param="value")
        status = "pending" if said["type"] in TAX_IDS else "unavailable"
        facts = {"type": said["type"], "value": said["value"], "customer": customer}
        made = self._new("tax_id", "txi", {}, **facts, verification={"status": status})
        return self._happened("customer.tax_id.created", made)

    def delete_tax_id(self, customer_and_own: str) -> Json:
        wanted = customer_and_own.partition("/")[2]
        self._happened("customer.tax_id.deleted", self.get("tax_id", wanted))
        del self.objects[wanted]
        return {"id": wanted, "object": "tax_id", "deleted": True}

    def verify_tax_id(self, wanted: str, status: str) -> Json:
        """The tax office answers: verified, unverified, unavailable."""
        tax_id = self.get("tax_id", wanted)
        tax_id["verification"] = {"status": status}
        return self._happened("customer.tax_id.updated", tax_id)

    def attach(self, wanted: str, said: Json) -> Json:
        card = CARDS.get(wanted)
        if card is None:
            raise missing("PaymentMethod", wanted)
        if card.at_attaching:
            raise declined(card.at_attaching)
        customer = self.get("customer", said["customer"])
        facts = {"brand": card.brand, "last4": card.last4, "exp_month": 12, "exp_year": 2034}
        made = self._new("payment_method", "pm", said, type="card", card=facts, customer=customer["id"])
        made["_test_card"] = wanted
        return self._happened("payment_method.attached", made)

    def detach(self, wanted: str, said: Json) -> Json:
        method = self.get("payment_method", wanted)
        before, method["customer"] = {"customer": method["customer"]}, None
        return self._happened("payment_method.detached", method, before)

    # --- saving a card ---

    def create_setup_intent(self, said: Json) -> Json:
        self.get("customer", said["customer"])
        made = self._new("setup_intent", "seti", said, customer=said["customer"], payment_method=None)
        made |= {"status": "requires_payment_method", "usage": said.get("usage", "off_session")}
        made["client_secret"] = f"{made['id']}_secret_{secrets.token_hex(8)}"
        self.objects[made["id"]] = made
        return self._happened("setup_intent.created", made)

    def create_checkout(self, said: Json) -> Json:
        if said.get("mode") != "setup":
            raise invalid("The stand-in knows sessions of mode 'setup' alone.")
        setup = self.create_setup_intent({"customer": said["customer"], "metadata": said.get("metadata", {})})
        made = self._new("checkout.session", "cs_test", said, customer=said["customer"], mode="setup")
        made |= {"status": "open", "setup_intent": setup["id"], "success_url": said["success_url"]}
        made["url"] = f"{self.base_url}/_person/checkout/{made['id']}"
        self.objects[made["id"]] = made
        return copy.deepcopy(made)

    def complete_setup(self, wanted: str, card: str) -> Json:
        """The person enters a card: what their browser does with a setup intent."""
        setup = self.get("setup_intent", wanted)
        try:
            method = self.attach(card, {"customer": setup["customer"]})
        except Refused as refused:
            setup["last_setup_error"] = refused.body["error"]
            self._happened("setup_intent.setup_failed", setup)
            raise
        setup |= {"status": "succeeded", "payment_method": method["id"]}
        return self._happened("setup_intent.succeeded", setup)

    def complete_checkout(self, wanted: str, card: str) -> Json:
        """The person enters a card on Stripe's page."""
        session = self.get("checkout.session", wanted)
        self.complete_setup(session["setup_intent"], card)
        session["status"] = "complete"
        return self._happened("checkout.session.completed", session)

    def create_portal(self, said: Json) -> Json:
        self.get("customer", said["customer"])
        made = self._new("billing_portal.session", "bps", said, customer=said["customer"])
        made |= {"return_url": said.get("return_url"), "url": f"{self.base_url}/_person/portal/{made['id']}"}
        return made

    # --- paying ---

    def create_intent(self, said: Json) -> Json:
        if said.get("off_session") and not said.get("confirm"):
            raise invalid("You may only use `off_session` with `confirm` set to true.", param="off_session")
        made = self._new(
            "payment_intent", "pi", said,
            amount=_amount(said), amount_received=0, currency=said["currency"], customer=said.get("customer"),
            payment_method=said.get("payment_method"), latest_charge=None, last_payment_error=None,
            description=said.get("description"), capture_method="automatic", canceled_at=None, cancellation_reason=None,
            payment_method_types=["card"],
        )  # fmt: skip
        made["client_secret"] = f"{made['id']}_secret_{secrets.token_hex(8)}"
        made["status"] = "requires_confirmation" if made["payment_method"] else "requires_payment_method"
        created = self._happened("payment_intent.created", made)
        return self.confirm(made["id"], said) if said.get("confirm") == "true" else created

    def confirm(self, wanted: str, said: Json) -> Json:
        intent = self.get("payment_intent", wanted)
        self._must_be_open(intent, "confirm")
        method = self._of_customer(
            self.get("payment_method", said.get("payment_method") or intent["payment_method"] or ""), intent["customer"]
        )
        intent["payment_method"] = method["id"]
        decline = self._decline_of(method)
        charge = self._charge(intent, method, decline)
        intent["latest_charge"] = charge["id"]
        if decline:
            raise self._declined(intent, charge, method, decline)
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
        succeeded = self._happened("payment_intent.succeeded", intent)
        if CARDS[method["_test_card"]].disputed:
            self.dispute(charge["id"])
        return succeeded

    def cancel(self, wanted: str, said: Json) -> Json:
        intent = self.get("payment_intent", wanted)
        self._must_be_open(intent, "cancel")
        intent |= {
            "status": "canceled",
            "canceled_at": int(self.clock()),
            "cancellation_reason": said.get("cancellation_reason"),
        }
        return self._happened("payment_intent.canceled", intent)

    def refund(self, said: Json) -> Json:
        charge = self._charge_of(said)
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(said.get("amount", left))
        if not 0 < amount <= left:
            raise invalid("Charge has already been refunded, or by more than is left.", "charge_already_refunded")
        made = self._new(
            "refund", "re", said, amount=amount, currency=charge["currency"], charge=charge["id"], status="succeeded",
            payment_intent=charge["payment_intent"], reason=said.get("reason"),
        )  # fmt: skip
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._happened("charge.refunded", charge)
        return made

    # --- what the issuer does ---

    def dispute(self, charge: str, reason: str = "fraudulent") -> Json:
        taken = self.get("charge", charge)
        taken["disputed"] = True
        made = self._new(
            "dispute", "du", {}, charge=charge, payment_intent=taken["payment_intent"], amount=taken["amount"],
            currency=taken["currency"], reason=reason, status="needs_response",
        )  # fmt: skip
        return self._happened("charge.dispute.created", made)

    def close_dispute(self, wanted: str, status: str) -> Json:
        """`status`: won or lost."""
        dispute = self.get("dispute", wanted)
        dispute["status"] = status
        return self._happened("charge.dispute.closed", dispute)

    # --- reading ---

    def get(self, kind: str, wanted: str) -> Json:
        """The live object. Raises `Refused`: 404."""
        found = self.objects.get(wanted)
        if found is None or found["object"] != kind:
            raise missing(kind, wanted)
        return found

    def listed(self, kind: str, said: Json) -> Json:
        """A page, newest first."""
        source = self.events if kind == "event" else self.all(kind)
        found = [one for one in reversed(source) if _matches(one, said)]
        after = [one["id"] for one in found].index(said["starting_after"]) + 1 if "starting_after" in said else 0
        limit = min(int(said.get("limit", 10)), MOST_A_PAGE)
        page = [shown(one) for one in found[after : after + limit]]
        return {"object": "list", "url": f"/v1/{kind}s", "has_more": len(found) > after + limit, "data": page}

    # --- within ---

    def _new(self, kind: str, prefix: str, said: Json, **facts: Any) -> Json:
        made = {
            "id": f"{prefix}_{secrets.token_hex(12)}",
            "object": kind,
            "created": int(self.clock()),
            "livemode": False,
            "metadata": said.get("metadata") or {},
            **facts,
        }
        self.objects[made["id"]] = made
        return made

    def _happened(self, what: str, to: Json, before: Json | None = None) -> Json:
        now = shown(to)
        data = {"object": copy.deepcopy(now)} | ({"previous_attributes": before} if before else {})
        self.events.append(
            {
                "id": f"evt_{secrets.token_hex(12)}",
                "object": "event",
                "api_version": "2026-10-28.endive",
                "created": int(self.clock()),
                "livemode": False,
                "pending_webhooks": 1,
                "request": None,
                "type": what,
                "data": data,
            }
        )
        return now

    def _charge(self, intent: Json, method: Json, decline: Decline | None) -> Json:
        return self._new(
            "charge", "ch", {"metadata": dict(intent["metadata"])}, amount=intent["amount"], amount_refunded=0,
            currency=intent["currency"], customer=intent["customer"], payment_intent=intent["id"],
            payment_method=method["id"], paid=decline is None, status="failed" if decline else "succeeded",
            failure_code=decline.code if decline else None, refunded=False, disputed=False,
        )  # fmt: skip

    def _declined(self, intent: Json, charge: Json, method: Json, decline: Decline) -> Refused:
        intent["status"] = "requires_payment_method"
        intent["last_payment_error"] = {
            "type": "card_error", "code": decline.code, "decline_code": decline.decline_code,
            "message": decline.message, "charge": charge["id"],
        }  # fmt: skip
        intent["payment_method"] = None
        now = self._happened("payment_intent.payment_failed", intent)
        return declined(decline, charge=charge["id"], payment_intent=now)

    def _decline_of(self, method: Json) -> Decline | None:
        if self._issuer.get(method["id"]):
            return self._issuer[method["id"]].popleft()
        card: Card = CARDS[method["_test_card"]]
        return card.at_charging

    def _must_be_open(self, intent: Json, verb: str) -> None:
        if intent["status"] not in _OPEN:
            raise invalid(
                f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
                "payment_intent_unexpected_state",
                payment_intent=shown(intent),
            )

    def _of_customer(self, method: Json, customer: str | None) -> Json:
        if method["customer"] != customer:
            raise invalid("The payment method does not belong to the customer.", param="payment_method")
        return method

    def _charge_of(self, said: Json) -> Json:
        if "charge" in said:
            return self.get("charge", said["charge"])
        intent = self.get("payment_intent", said.get("payment_intent", ""))
        return self.get("charge", intent["latest_charge"] or "")


def shown(one: Json) -> Json:
    """An object as it is sent: without what only the stand-in knows."""
    return {name: value for name, value in one.items() if not name.startswith("_")}


def _amount(said: Json) -> int:
    amount = int(said["amount"])
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", param="amount")
    return amount


def _matches(one: Json, said: Json) -> bool:
    return all(test(one, said) for test in _filters())


def _filters() -> Iterator[Callable[[Json, Json], bool]]:
    for name in ("customer", "payment_intent", "charge"):
        yield lambda one, said, name=name: name not in said or one.get(name) == said[name]  # type: ignore[misc]
    yield lambda one, said: "type" not in said or one["type"] == said["type"]
    yield lambda one, said: "types" not in said or one["type"] in said["types"]
    yield lambda one, said: one["created"] >= int(said.get("created", {}).get("gte", 0))
    yield lambda one, said: one["created"] < float(said.get("created", {}).get("lt", "inf"))
