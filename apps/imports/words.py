"""What the words of Stripe Radar and Amazon Fraud Detector are called here: tables. Pure.

Both score card payments, so the kind of transaction is `payments`. A row says what is asked for here in their
attribute's place; where that is not quite the same, the remark says so and stands in the report. Attributes without a
row are left out, and the rules that ask for them; `WHY` says why of those that many rules ask for.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from apps.currencies import CURRENCIES
from apps.scoring.engine.aggregates import Aggregate

SCHEMA = "payments"
Kind = Literal["number", "text", "flag", "dollars", "domain", "currency"]

COUNTED = "Here it is counted over all payments, and before the payment itself."
AS_DOLLARS = "Compared as US dollars' worth, by our own rates of the currencies."


class Ours(NamedTuple):
    """What is asked for here. `kind`: how what it is compared with is written; `remark`: what is not quite the same."""

    name: str
    kind: Kind
    remark: str = ""
    factor: float = 1.0  # how many of ours one of theirs is
    aggregate: Aggregate | None = None  # what is counted for it, beside what always is


def _counts() -> Iterator[tuple[str, Ours]]:
    """Radar's counts of authorized charges, by whom and over how long. Those of all charges: `velocities.py`."""
    for theirs, role in (("customer", "user_id"), ("email", "email"), ("ip_address", "ip_address")):
        for span, window in (("hourly", "1h"), ("daily", "24h"), ("weekly", "7d")):
            yield f"authorized_charges_per_{theirs}_{span}", Ours(f"{role}.count_{window}", "number", COUNTED)


#: Radar's attributes: https://docs.stripe.com/radar/rules/supported-attributes
RADAR: Mapping[str, Ours] = {
    "currency": Ours("currency", "currency"),
    "card_country": Ours("country", "text", "The country of the card, as the guard for Stripe's payments reads it."),
    "card_bin": Ours("card_bin", "text"),
    "customer": Ours("user_id", "text"),
    "email": Ours("email", "text"),
    "email_domain": Ours("email", "domain"),
    "ip_address": Ours("ip_address", "text"),
    "destination": Ours("merchant_id", "text"),
    **{
        f"amount_in_{code.lower()}": Ours("log_amount", "dollars", AS_DOLLARS, known.dollars)
        for code, known in CURRENCIES.items()
    },
    "hours_since_last_charge_on_customer": Ours("user_id.since_last", "number", "Told in seconds here.", 3_600.0),
    **dict(_counts()),
}  # fmt: skip

_SCORE = "Rules are asked beside the model here, not after it: set the policy's thresholds instead."
_NO_LIVE_CHARGE = "What became of earlier charges is not counted here."
#: Why an attribute has no row, by how it begins; the first that fits.
WHY: Mapping[str, str] = {
    "risk_": _SCORE,
    "metadata": "Metadata is not sent here: map it to a field (`fields`).",
    "ip_": "Where an IP address is, is not known here: map it to a field you send (`fields`).",
    "is_anonymous_ip": "Whose network an IP address is of is not known here.",
    "blocked_charges": _NO_LIVE_CHARGE,
    "declined_charges": _NO_LIVE_CHARGE,
    "authorized_charges": _NO_LIVE_CHARGE,
    "blocked_transactions": _NO_LIVE_CHARGE,
    "declined_transactions": _NO_LIVE_CHARGE,
    "authorized_transactions": _NO_LIVE_CHARGE,
    "dispute_count": _NO_LIVE_CHARGE,
    "efw_count": _NO_LIVE_CHARGE,
    "refund_count": _NO_LIVE_CHARGE,
    "cvc_check": "What the card's bank says of a code or an address is not sent here.",
    "address_": "What the card's bank says of a code or an address is not sent here.",
    "is_3d_secure": "Whether 3D Secure was passed is not sent here.",
}
NO_ROW = "Nothing here tells it."

#: Both sides of a comparison at once: who is compared with whom → the flag that says they differ.
DIFFER: Mapping[frozenset[str], Ours] = {
    frozenset(("card_country", "ip_country")): Ours(
        "foreign_transaction",
        "flag",
        "Send `foreign_transaction`: whether card and IP are of two countries.",
    ),
}

#: Amazon Fraud Detector's variable types: docs.aws.amazon.com/frauddetector/latest/ug/variable-types.html
VARIABLE_TYPES: Mapping[str, Ours] = {
    "EMAIL_ADDRESS": Ours("email", "text"),
    "IP_ADDRESS": Ours("ip_address", "text"),
    "PRICE": Ours("amount", "number"),
    "CURRENCY_CODE": Ours("currency", "currency"),
    "CARD_BIN": Ours("card_bin", "text"),
    "FINGERPRINT": Ours("device_id", "text"),
    "PRODUCT_CATEGORY": Ours("merchant_category", "text", "Send our categories: others are weighed as misc."),
    "ORDER_ID": Ours("transaction_id", "text"),
    "BILLING_COUNTRY": Ours("country", "text", "The billing country, where the payment is taken to be made."),
}
#: Variables without a telling type, by their names.
VARIABLE_NAMES: Mapping[str, Ours] = {
    **dict.fromkeys(("user_id", "customer_id", "account_id", "customer"), Ours("user_id", "text")),
    **dict.fromkeys(("merchant_id", "merchant", "seller_id"), Ours("merchant_id", "text")),
    **dict.fromkeys(("device_id", "device_fingerprint"), Ours("device_id", "text")),
    **dict.fromkeys(("amount", "order_price", "transaction_amount", "amt"), Ours("amount", "number")),
    **dict.fromkeys(("currency", "currency_code"), Ours("currency", "currency")),
    **dict.fromkeys(("merchant_category", "category"), Ours("merchant_category", "text")),
    **dict.fromkeys(("card_bin", "bin"), Ours("card_bin", "text")),
    **dict.fromkeys(("email", "email_address", "customer_email"), Ours("email", "text")),
    **dict.fromkeys(("ip", "ip_address"), Ours("ip_address", "text")),
    **dict.fromkeys(("country", "billing_country", "card_country"), Ours("country", "text")),
    **dict.fromkeys(("card_present",), Ours("card_present", "flag")),
    **dict.fromkeys(("online_order", "is_online"), Ours("online_order", "flag")),
    **dict.fromkeys(("foreign_transaction", "is_foreign"), Ours("foreign_transaction", "flag")),
}

Label = Literal["fraud", "legitimate"]
Outcome = Literal["allow", "block", "challenge", "review", "note"]
#: Radar's actions.
RADAR_OUTCOMES: Mapping[str, Outcome] = {
    "allow": "allow", "block": "block", "review": "review", "request_3ds": "challenge",
}  # fmt: skip
#: Words in the names people give outcomes, the gravest first.
OUTCOME_WORDS: Mapping[Outcome, tuple[str, ...]] = {
    "block": ("block", "deny", "denied", "decline", "reject", "refuse", "high_risk", "highrisk", "fraud", "cancel"),
    "challenge": ("challenge", "verify", "verification", "mfa", "otp", "3ds", "step_up", "stepup", "friction"),
    "review": ("review", "investigat", "manual", "medium", "suspicious", "inspect", "hold"),
    "allow": ("approve", "allow", "accept", "pass", "low_risk", "lowrisk", "legit", "safe"),
}
#: Words in the names people give labels.
LABEL_WORDS: Mapping[Label, tuple[str, ...]] = {
    "legitimate": ("legit", "not_fraud", "non_fraud", "nonfraud", "genuine", "good", "valid", "safe"),
    "fraud": ("fraud", "bad", "chargeback", "abuse", "scam", "stolen"),
}
#: What the items of a list are, by the field they are looked up with.
ITEM_TYPES: Mapping[str, str] = {
    "email": "email", "ip_address": "ip", "country": "country", "card_bin": "bin", "user_id": "user",
    "device_id": "device", "merchant_id": "merchant",
}  # fmt: skip
#: Radar's types of lists → ours: https://docs.stripe.com/api/radar/value_lists/object
RADAR_LIST_TYPES: Mapping[str, str] = {
    "card_bin": "bin", "country": "country", "customer_id": "user", "email": "email", "ip_address": "ip",
    "string": "text", "case_sensitive_string": "text", "card_fingerprint": "card",
}  # fmt: skip


def why_not(attribute: str) -> str:
    """Why an attribute has no row."""
    return next((why for begins, why in WHY.items() if attribute.startswith(begins)), NO_ROW)


def outcome_of(name: str) -> Outcome | None:
    """What an outcome of that name asks for, by its words; None where they say nothing."""
    said = name.lower().replace("-", "_").replace(" ", "_")
    return next((outcome for outcome, words in OUTCOME_WORDS.items() if any(word in said for word in words)), None)


def label_of(name: str) -> Label | None:
    """What a label of that name says, by its words; None where they say nothing."""
    said = name.lower().replace("-", "_").replace(" ", "_")
    return next((label for label, words in LABEL_WORDS.items() if any(word in said for word in words)), None)
