"""Stripe's test payment methods (https://docs.stripe.com/testing), one row each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Decline(NamedTuple):
    """How an issuer says no: Stripe's error code, and the decline code behind `card_declined`."""

    code: str
    decline_code: str | None = None

    @property
    def message(self) -> str:
        return _MESSAGES.get(self.decline_code or self.code, "Your card was declined.")


_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}
GENERIC = Decline("card_declined", "generic_decline")
AUTHENTICATION = Decline("authentication_required", "authentication_required")


@dataclass(frozen=True)
class Card:
    """A test card. `at_attaching`: how attaching it is refused; `at_charging`: how every charge of it is."""

    brand: str
    last4: str
    at_attaching: Decline | None = None
    at_charging: Decline | None = None
    disputed: bool = False


def _never_attached(last4: str, code: str, decline_code: str | None = None) -> Card:
    decline = Decline(code, decline_code)
    return Card("visa", last4, at_attaching=decline, at_charging=decline)


CARDS: Mapping[str, Card] = {
    "pm_card_visa": Card("visa", "4242"),
    "pm_card_mastercard": Card("mastercard", "4444"),
    "pm_card_amex": Card("amex", "8431"),
    # Attaching them is refused already.
    "pm_card_visa_chargeDeclined": _never_attached("0002", "card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _never_attached("9995", "card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": _never_attached("9987", "card_declined", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": _never_attached("9979", "card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": _never_attached("0069", "expired_card"),
    "pm_card_chargeDeclinedIncorrectCvc": _never_attached("0127", "incorrect_cvc"),
    "pm_card_chargeDeclinedProcessingError": _never_attached("0119", "processing_error"),
    # Attaches; every charge fails.
    "pm_card_chargeCustomerFail": Card("visa", "0341", at_charging=GENERIC),
    # Wants its holder present, every time.
    "pm_card_authenticationRequired": Card("visa", "3184", at_charging=AUTHENTICATION),
    # The charge succeeds and is disputed as fraudulent at once.
    "pm_card_createDispute": Card("visa", "0259", disputed=True),
}
