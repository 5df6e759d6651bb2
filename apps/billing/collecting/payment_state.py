"""State of a payment and of a customer's cards as events tell it, and how two such states are merged. Pure.

Webhooks come in any order, any number of times, and beside the answers of our own calls. So nothing here says "then":
every piece of knowledge is merged by `max`, which is commutative, associative and idempotent, and the same pieces give
the same whole in whatever order they came (a join-semilattice, as in state-based CRDTs: Shapiro et al. 2011).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from apps.billing.provider_objects import Fields, Json

#: Where our own references stand in the provider's books.
REFERENCE, REFUND = "palisade_payment", "palisade_refund"
#: Of a payment, from what may still change to what can't. A payment has one confirmation: it never fails and succeeds.
PROGRESS = ("", "open", "processing", "canceled", "succeeded")
_PROGRESS_OF = {
    "requires_payment_method": "open",
    "requires_confirmation": "open",
    "requires_action": "open",
    "requires_capture": "processing",
    "processing": "processing",
    "canceled": "canceled",
    "succeeded": "succeeded",
}
#: The card's holder is asked for, and nobody is there: for us the bank said no.
_UNFINISHED = {"requires_action": "authentication_required"}
DISPUTES = ("", "open", "won", "lost")
LONGEST_BRAND = 40
_DISPUTE_OF = {"won": "won", "warning_closed": "won", "lost": "lost"}

Status = Literal["intent", "processing", "succeeded", "failed", "canceled", "refunded", "disputed"]


@dataclass(frozen=True)
class PaymentState:
    """One payment. Amounts in the currency's smallest unit as the provider counts it."""

    payment: str = ""
    progress: str = ""
    failure: str = ""
    charge: str = ""
    amount: int = 0
    refunded: int = 0
    dispute: str = ""

    @property
    def status(self) -> Status:
        """What it comes to."""
        if self.progress == "succeeded":
            return self._of_taken()
        if self.failure:
            return "failed"
        return _STATUS[self.progress]

    def _of_taken(self) -> Status:
        if self.amount and self.refunded >= self.amount:
            return "refunded"
        return "disputed" if self.dispute in ("open", "lost") else "succeeded"


_STATUS: Mapping[str, Status] = {
    "": "intent",
    "open": "intent",
    "processing": "processing",
    "canceled": "canceled",
}


def merge(one: PaymentState, other: PaymentState) -> PaymentState:
    """All that either knows."""
    return PaymentState(
        payment=max(one.payment, other.payment),
        progress=max(one.progress, other.progress, key=PROGRESS.index),
        failure=max(one.failure, other.failure),
        charge=max(one.charge, other.charge),
        amount=max(one.amount, other.amount),
        refunded=max(one.refunded, other.refunded),
        dispute=max(one.dispute, other.dispute, key=DISPUTES.index),
    )


def of_intent(intent: Json) -> PaymentState:
    """What a PaymentIntent says. This and all that follow raise `Unreadable` at what they don't document."""
    value = Fields(intent)
    status = value.word("status")
    return PaymentState(
        payment=value.id("id"),
        progress=_PROGRESS_OF.get(status, "open"),
        failure=_failure_code(value.object("last_payment_error")) or _UNFINISHED.get(status, ""),
        charge=value.id_if_any("latest_charge"),
        amount=value.number("amount"),
    )


def of_charge(charge: Json) -> PaymentState:
    """What a Charge says."""
    value = Fields(charge)
    return PaymentState(
        payment=value.id_if_any("payment_intent"),
        progress="succeeded" if value.flag("paid", False) and value.flag("captured", True) else "open",
        failure=value.text("failure_code"),
        charge=value.id("id"),
        amount=value.number("amount"),
        refunded=value.number("amount_refunded") if "amount_refunded" in value else 0,
    )


def of_dispute(dispute: Json) -> PaymentState:
    """What a Dispute says: what is disputed had succeeded."""
    value = Fields(dispute)
    return PaymentState(
        payment=value.id_if_any("payment_intent"),
        progress="succeeded",
        charge=value.id_if_any("charge"),
        dispute=_DISPUTE_OF.get(value.word("status"), "open"),
    )


#: What the provider says of a tax id, from what is still to come to what is known for certain.
TAX_ID_STATES = ("", "pending", "unavailable", "unverified", "verified")


def state_of_tax_id(tax_id: Json) -> str:
    """How the tax office's answer to a TaxId stands, "unavailable" where no office is asked."""
    said = Fields(tax_id).object("verification").text("status")
    return said if said in TAX_ID_STATES and said else "unavailable"


def reference_of(charged: Json) -> str:
    """Our reference in the metadata of what is charged, "" when it is not ours."""
    return Fields(charged).object("metadata").text(REFERENCE)


def _failure_code(error: Fields) -> str:
    """Why a bank declined, as exactly as it said: insufficient_funds, expired_card, …; "" when there was no error."""
    return error.text("decline_code") or error.text("code") or error.text("type")


@dataclass(frozen=True)
class Card:
    """One way to pay. `chosen_at`: when it was last made the one to use (seconds since 1970, 0 never)."""

    id: str
    brand: str = ""
    last4: str = ""
    expires: str = ""
    chosen_at: int = 0
    removed: bool = False


Cards = Mapping[str, Card]


def with_card(cards: Cards, value: Card) -> Cards:
    """The cards, and what is said of one of them. Ids are never used again: what is removed stays so."""
    known = cards.get(value.id, Card(value.id))
    merged = Card(
        id=value.id,
        brand=max(known.brand, value.brand),
        last4=max(known.last4, value.last4),
        expires=max(known.expires, value.expires),
        chosen_at=max(known.chosen_at, value.chosen_at),
        removed=known.removed or value.removed,
    )
    return {**cards, value.id: merged}


def card_in_use(cards: Cards) -> Card | None:
    """The one to charge: the last that was chosen, of those still there."""
    there = [card for card in cards.values() if card.chosen_at and not card.removed]
    return max(there, key=lambda card: (card.chosen_at, card.id), default=None)


def of_payment_method(method: Json) -> Card:
    """What a PaymentMethod says of itself."""
    value = Fields(method)
    kind = value.text("type", LONGEST_BRAND)
    card = value.object(kind or "card")
    expires = f"{card.number('exp_year', 9999):04d}-{card.number('exp_month', 12):02d}" if "exp_year" in card else ""
    return Card(value.id("id"), card.text("brand", LONGEST_BRAND) or kind, card.text("last4", 4), expires)


def chosen(card: Card, at: int) -> Card:
    return replace(card, chosen_at=at)
