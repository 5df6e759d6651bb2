"""What is known of a payment and of a customer's cards, and how two pieces of knowledge become one. Pure.

Webhooks come in any order, any number of times, and beside the answers of our own calls. So nothing here says "then":
every piece of knowledge is merged by `max`, which is commutative, associative and idempotent, and the same pieces give
the same whole in whatever order they came (a join-semilattice, as in state-based CRDTs: Shapiro et al. 2011).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Json = Mapping[str, Any]
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
_DISPUTE_OF = {"won": "won", "warning_closed": "won", "lost": "lost"}

Status = Literal["intent", "processing", "succeeded", "failed", "canceled", "refunded", "disputed"]


@dataclass(frozen=True)
class Known:
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


def merge(one: Known, other: Known) -> Known:
    """All that either knows."""
    return Known(
        payment=max(one.payment, other.payment),
        progress=max(one.progress, other.progress, key=PROGRESS.index),
        failure=max(one.failure, other.failure),
        charge=max(one.charge, other.charge),
        amount=max(one.amount, other.amount),
        refunded=max(one.refunded, other.refunded),
        dispute=max(one.dispute, other.dispute, key=DISPUTES.index),
    )


def of_intent(intent: Json) -> Known:
    """What a PaymentIntent says."""
    error = intent.get("last_payment_error") or {}
    return Known(
        payment=intent["id"],
        progress=_PROGRESS_OF.get(intent["status"], "open"),
        failure=failure_code(error) or _UNFINISHED.get(intent["status"], ""),
        charge=_id(intent.get("latest_charge")),
        amount=intent["amount"],
    )


def of_charge(charge: Json) -> Known:
    """What a Charge says."""
    return Known(
        payment=_id(charge.get("payment_intent")),
        progress="succeeded" if charge.get("paid") and charge.get("captured", True) else "open",
        failure=charge.get("failure_code") or "",
        charge=charge["id"],
        amount=charge["amount"],
        refunded=charge.get("amount_refunded") or 0,
    )


def of_dispute(dispute: Json) -> Known:
    """What a Dispute says: what is disputed had succeeded."""
    return Known(
        payment=_id(dispute.get("payment_intent")),
        progress="succeeded",
        charge=_id(dispute.get("charge")),
        dispute=_DISPUTE_OF.get(dispute["status"], "open"),
    )


def failure_code(error: Json) -> str:
    """Why a bank said no, as exactly as it did: insufficient_funds, expired_card, …; "" when there was no error."""
    return str(error.get("decline_code") or error.get("code") or error.get("type") or "")


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


def with_card(cards: Cards, said: Card) -> Cards:
    """The cards, and what is said of one of them. Ids are never used again: what is removed stays so."""
    known = cards.get(said.id, Card(said.id))
    merged = Card(
        id=said.id,
        brand=max(known.brand, said.brand),
        last4=max(known.last4, said.last4),
        expires=max(known.expires, said.expires),
        chosen_at=max(known.chosen_at, said.chosen_at),
        removed=known.removed or said.removed,
    )
    return {**cards, said.id: merged}


def card_in_use(cards: Cards) -> Card | None:
    """The one to charge: the last that was chosen, of those still there."""
    there = [card for card in cards.values() if card.chosen_at and not card.removed]
    return max(there, key=lambda card: (card.chosen_at, card.id), default=None)


def of_payment_method(method: Json) -> Card:
    """What a PaymentMethod says of itself."""
    card = method.get(method.get("type") or "card") or {}
    expires = f"{card['exp_year']:04d}-{card['exp_month']:02d}" if card.get("exp_year") else ""
    return Card(method["id"], card.get("brand") or method.get("type") or "", card.get("last4") or "", expires)


def chosen(card: Card, at: int) -> Card:
    return replace(card, chosen_at=at)


def _id(said: Any) -> str:
    """An id, or the object that was sent in its place."""
    return str(said["id"]) if isinstance(said, Mapping) else str(said or "")
