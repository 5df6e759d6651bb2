"""Levers: what a customer could have sent otherwise, as one table a kind of transaction. Pure.

Every field of a schema is a lever, follows one, or is named in `NEVER` with the reason why nobody is told to change it:
who somebody is, where they are and what they did before are no advice. The tests hold that none is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from apps.scoring.engine.schemas.card_activity import AUTHENTICATION, UNKNOWN_AUTHENTICATION
from apps.scoring.engine.transaction import TransactionSchema


class AmountLever(NamedTuple):
    """The amount, lowered: its field, the feature whose reference tells what people pay, and the fields that follow.

    `follow(transaction, amount)` tells what else the sender would have sent with that amount.
    """

    field: str
    feature: str
    follow: Callable[[Any, float], Mapping[str, Any]]


class Way(NamedTuple):
    """Another way to pay: the fields it sets together, what is said to the customer, and of whom it may be asked."""

    sets: Mapping[str, Any]
    says: str
    of: Callable[[Any], bool] = lambda transaction: True


class Levers(NamedTuple):
    """All of a schema."""

    amount: AmountLever
    ways: Sequence[Way] = ()


def _nothing_follows(transaction: Any, amount: float) -> Mapping[str, Any]:
    return {}


def _ratio_follows(transaction: Any, amount: float) -> Mapping[str, Any]:
    """The ratio to a median falls with the amount."""
    ratio = transaction.ratio_to_median_purchase_price
    return {} if ratio is None else {"ratio_to_median_purchase_price": ratio * amount / transaction.amount}


def _balances_follow(transaction: Any, amount: float) -> Mapping[str, Any]:
    """What is not sent stays where it was; gaps of the ledger stay as they are.

    An origin that held less than it sent keeps its balance until it holds enough; a destination whose balance did not
    move at all is none that such a ledger keeps.
    """
    t, kept = transaction, transaction.amount - amount
    if t.newbalanceOrig > t.oldbalanceOrg:
        origin = t.newbalanceOrig - kept
    elif t.oldbalanceOrg >= t.amount:
        origin = t.newbalanceOrig + kept
    else:
        origin = max(t.newbalanceOrig, t.oldbalanceOrg - amount)
    received = t.newbalanceDest - t.oldbalanceDest
    destination = t.newbalanceDest - (kept if received > 0 else -kept if received < 0 else 0.0)
    return {"newbalanceOrig": round(origin, 2), "newbalanceDest": round(destination, 2)}


def _derived_are_left_out(transaction: Any, amount: float) -> Mapping[str, Any]:
    """They are computed when absent."""
    return {"Log_Transaction_Amount": None, "Amount_Velocity_Interact": None}


def _proven_by_less(method: str) -> Callable[[Any], bool]:
    """Whether somebody was proven by less than this method."""
    return lambda transaction: (
        AUTHENTICATION.get(transaction.Authentication_Method, UNKNOWN_AUTHENTICATION) < AUTHENTICATION[method]
    )


def _proven_by(method: str, says: str) -> Way:
    return Way({"Authentication_Method": method}, says, _proven_by_less(method))


LEVERS: Mapping[str, Levers] = {
    "paysim": Levers(AmountLever("amount", "amount", _balances_follow)),
    "payments": Levers(
        AmountLever("amount", "log_amount", _ratio_follows),
        (
            Way({"used_pin_number": True}, "Enter the card's PIN."),
            Way({"card_present": True, "used_chip": True}, "Pay with the card itself, by its chip."),
            Way({"online_order": False, "card_present": True, "used_chip": True, "used_pin_number": True},
                "Pay in the shop, with the card's chip and its PIN."),
        ),
    ),
    "card_activity": Levers(
        AmountLever("Transaction_Amount", "amount_usd", _derived_are_left_out),
        (
            _proven_by("PIN", "Enter the PIN."),
            _proven_by("OTP", "Confirm with a one-time code."),
            _proven_by("2FA", "Confirm with two factors, such as the bank's app."),
        ),
    ),
    "ieee_cis": Levers(AmountLever("TransactionAmt", "TransactionAmt", _nothing_follows)),
}  # fmt: skip

_IDENTITY = "who somebody is, or what is theirs"
_PLACE = "where they are"
_PAST = "what they did before"
_WHEN = "when it was: another hour has another past"
_BOUGHT = "what is bought, and from whom"
_LEDGER = "what the sender's books say"
_COUNTED = "what the sender counts or measures of the person, the card and the device"

#: Field → why nobody is told to change it; "*" stands for every field that is not named.
NEVER: Mapping[str, Mapping[str, str]] = {
    "paysim": {
        **dict.fromkeys(("nameOrig", "nameDest", "transaction_id"), _IDENTITY),
        **dict.fromkeys(("oldbalanceOrg", "oldbalanceDest"), _LEDGER),
        "step": _WHEN,
        "type": _BOUGHT,
    },
    "payments": {
        **dict.fromkeys(("user_id", "transaction_id", "device_id", "email", "card_bin"), _IDENTITY),
        **dict.fromkeys(("country", "ip_address", "distance_from_home_km", "distance_from_last_transaction",
                         "foreign_transaction"), _PLACE),
        **dict.fromkeys(("merchant_id", "merchant_category", "currency"), _BOUGHT),
        "repeat_retailer": _PAST,
        "timestamp": _WHEN,
    },
    "card_activity": {
        **dict.fromkeys(("User_ID", "Device_ID", "Card_Type", "transaction_id"), _IDENTITY),
        **dict.fromkeys(("Transaction_Location", "Distance_Between_Transactions_km"), _PLACE),
        **dict.fromkeys(("Merchant_ID", "Transaction_Category", "Transaction_Currency"), _BOUGHT),
        **dict.fromkeys(("Previous_Transaction_Count", "Transaction_Velocity", "Time_Since_Last_Transaction_min"),
                        _PAST),
        **dict.fromkeys(("Timestamp", "Transaction_Hour", "Transaction_Day", "Transaction_Month",
                         "Transaction_Weekday", "Hour_sin", "Hour_cos", "Weekday_sin", "Weekday_cos"), _WHEN),
        **dict.fromkeys(("Velocity_Distance_Interact", "Time_Distance_Interact"), _COUNTED),
        "Transaction_Status": _LEDGER,
    },
    "ieee_cis": {
        **dict.fromkeys(("transaction_id", "TransactionID", "P_emaildomain", "R_emaildomain"), _IDENTITY),
        **dict.fromkeys(("addr1", "addr2"), _PLACE),
        "ProductCD": _BOUGHT,
        "TransactionDT": _WHEN,
        "*": _COUNTED,
    },
}  # fmt: skip


def never(schema: TransactionSchema, field: str) -> str | None:
    """Why nobody is told to change a field; None of one that may be."""
    table = NEVER[schema.name]
    return None if field in changeable(schema) else table.get(field, table.get("*"))


def changeable(schema: TransactionSchema) -> frozenset[str]:
    """The fields of the levers, and those that follow them."""
    levers = LEVERS[schema.name]
    some = schema.recalled(dict.fromkeys(schema.fields, 1.0))
    set_by_ways = (field for way in levers.ways for field in way.sets)
    return frozenset((levers.amount.field, *levers.amount.follow(some, 1.0), *set_by_ways))
