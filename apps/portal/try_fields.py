"""What the try-it page offers of each kind of transaction: its fields as controls, and examples to begin from. Pure.

A field that is left empty is not sent. A new schema gets its entry here; a test holds that each example is scored.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Control = Literal["amount", "slider", "switch", "choice", "text"]


class Field(NamedTuple):
    """A control: `least` and `most` of a slider, `choices` of a choice; `whole` numbers are sent as such."""

    name: str
    label: str
    control: Control
    most: float = 0
    unit: str = ""
    choices: tuple[str, ...] = ()
    whole: bool = False


class Kind(NamedTuple):
    """A schema as the page offers it. `always`: sent beside what the form says."""

    title: str
    fields: tuple[Field, ...]
    examples: Mapping[str, Mapping[str, Any]]
    always: Mapping[str, Any] = {}


_CATEGORIES = (
    "grocery",
    "restaurant",
    "fuel",
    "shopping",
    "electronics",
    "travel",
    "entertainment",
    "health",
    "utilities",
)

_PROVIDERS = ("gmail.com", "hotmail.com", "yahoo.com", "icloud.com", "outlook.com", "anonymous.com", "protonmail.com")
_KINDS_OF_GOODS = ("Groceries", "Travel", "Gaming", "Electronics")
_AUTHENTICATIONS = ("OTP", "PIN", "Biometric", "3DS", "Password", "None")

KINDS: Mapping[str, Kind] = {
    "payments": Kind(
        "Card payment",
        (
            Field("amount", "Amount", "amount", 10_000, "EUR"),
            Field("merchant_category", "What is bought", "choice", choices=_CATEGORIES),
            Field("distance_from_home_km", "Distance from home", "slider", 10_000, "km"),
            Field("distance_from_last_transaction", "Distance from the last payment", "slider", 10_000, "km"),
            Field("ratio_to_median_purchase_price", "Times the usual amount", "slider", 50),
            Field("foreign_transaction", "Abroad", "switch"),
            Field("online_order", "Ordered online", "switch"),
            Field("card_present", "Card present", "switch"),
            Field("used_chip", "Chip used", "switch"),
            Field("used_pin_number", "PIN entered", "switch"),
            Field("repeat_retailer", "Bought there before", "switch"),
        ),
        {
            "A weekly shop": {
                "amount": 64.2, "merchant_category": "grocery", "distance_from_home_km": 2, "card_present": True,
                "used_chip": True, "used_pin_number": True, "repeat_retailer": True, "foreign_transaction": False,
                "online_order": False, "ratio_to_median_purchase_price": 1.1, "distance_from_last_transaction": 1,
            },
            "A stolen card": {
                "amount": 2400, "merchant_category": "electronics", "distance_from_home_km": 5000,
                "card_present": False, "used_chip": False, "used_pin_number": False, "repeat_retailer": False,
                "foreign_transaction": True,
                "online_order": True, "ratio_to_median_purchase_price": 40, "distance_from_last_transaction": 5000,
            },
        },
        {"user_id": "try-it", "merchant_id": "try-it-shop", "currency": "EUR"},
    ),
    "paysim": Kind(
        "Transfer between accounts",
        (
            Field("type", "Type", "choice", choices=("TRANSFER", "CASH_OUT", "PAYMENT", "CASH_IN", "DEBIT")),
            Field("amount", "Amount", "amount", 1_000_000),
            Field("oldbalanceOrg", "Sender's balance before", "amount", 1_000_000),
            Field("newbalanceOrig", "Sender's balance after", "amount", 1_000_000),
            Field("oldbalanceDest", "Receiver's balance before", "amount", 1_000_000),
            Field("newbalanceDest", "Receiver's balance after", "amount", 1_000_000),
        ),
        {
            "A usual transfer": {
                "type": "TRANSFER", "amount": 5000, "oldbalanceOrg": 10000, "newbalanceOrig": 5000,
                "oldbalanceDest": 1000, "newbalanceDest": 6000,
            },
            "An emptied account": {
                "type": "TRANSFER", "amount": 180000, "oldbalanceOrg": 180000, "newbalanceOrig": 0,
                "oldbalanceDest": 0, "newbalanceDest": 180000,
            },
        },
        {"step": 1, "nameOrig": "C-try-it", "nameDest": "C-try-it-too"},
    ),
    "card_activity": Kind(
        "Card activity",
        (
            Field("Transaction_Amount", "Amount", "amount", 10_000, "USD"),
            Field("Transaction_Category", "What is bought", "choice", choices=_KINDS_OF_GOODS),
            Field("Transaction_Location", "Where", "text"),
            Field("Distance_Between_Transactions_km", "Distance from the payment before", "slider", 10_000, "km"),
            Field("Time_Since_Last_Transaction_min", "Minutes since the payment before", "slider", 1_440, "min"),
            Field("Transaction_Velocity", "Payments in the short window", "slider", 50, whole=True),
            Field("Transaction_Hour", "Hour of the day", "slider", 23, whole=True),
            Field("Authentication_Method", "Authentication", "choice", choices=_AUTHENTICATIONS),
        ),
        {
            "Groceries at home": {
                "Transaction_Amount": 40, "Transaction_Category": "Groceries", "Transaction_Location": "Tashkent",
                "Distance_Between_Transactions_km": 2, "Time_Since_Last_Transaction_min": 600,
                "Transaction_Velocity": 1,
                "Transaction_Hour": 17, "Authentication_Method": "PIN",
            },
            "8,000 km in ten minutes": {
                "Transaction_Amount": 900, "Transaction_Category": "Electronics", "Transaction_Location": "Toronto",
                "Distance_Between_Transactions_km": 8000, "Time_Since_Last_Transaction_min": 10,
                "Transaction_Velocity": 6, "Transaction_Hour": 3, "Authentication_Method": "None",
            },
        },
        {
            "User_ID": 1, "Merchant_ID": 1, "Device_ID": 1, "Card_Type": "Visa", "Transaction_Currency": "USD",
            "Transaction_Status": "Completed", "Previous_Transaction_Count": 20, "Transaction_Day": 11,
            "Transaction_Month": 6, "Transaction_Weekday": 3,
        },
    ),
    "ieee_cis": Kind(
        "Online card payment",
        (
            Field("TransactionAmt", "Amount", "amount", 2_000, "USD"),
            Field("ProductCD", "Product code", "choice", choices=("W", "H", "R", "S", "C")),
            Field("card4", "Card network", "choice", choices=("visa", "mastercard", "american express", "discover")),
            Field("card6", "The card draws on", "choice", choices=("debit", "credit")),
            Field("P_emaildomain", "Payer's e-mail is at", "choice", choices=_PROVIDERS),
            Field("R_emaildomain", "Recipient's e-mail is at", "choice", choices=_PROVIDERS),
            Field("DeviceType", "Device", "choice", choices=("desktop", "mobile")),
            Field("C1", "Linked to the card (C1)", "slider", 50, whole=True),
            Field("C4", "Linked to the card (C4)", "slider", 20, whole=True),
            Field("C8", "Linked to the card (C8)", "slider", 20, whole=True),
            Field("C13", "Linked to the card (C13)", "slider", 100, whole=True),
            Field("C14", "Linked to the card (C14)", "slider", 50, whole=True),
            Field("D1", "Since something earlier (D1)", "slider", 600, "days", whole=True),
        ),
        {
            "A usual purchase": {
                "TransactionAmt": 59, "ProductCD": "W", "card4": "visa", "card6": "debit",
                "P_emaildomain": "gmail.com", "C1": 1, "C4": 0, "C8": 0, "C13": 6, "C14": 1, "D1": 120,
            },
            "A card that is passed round": {
                "TransactionAmt": 250, "ProductCD": "C", "card4": "visa", "card6": "credit",
                "P_emaildomain": "hotmail.com", "R_emaildomain": "hotmail.com", "DeviceType": "mobile",
                "C1": 16, "C4": 4, "C8": 8, "C13": 2, "C14": 1, "D1": 0,
            },
        },
    ),
}  # fmt: skip


def transaction_of(kind: Kind, form: Mapping[str, str]) -> dict[str, Any]:
    """What a form says, as a transaction. What can't be read is sent as it was typed: the API says what is wrong."""
    found = dict(kind.always)
    for field in kind.fields:
        said = form.get(field.name, "").strip()
        if said:
            found[field.name] = _read(field, said)
    return found


def _read(field: Field, said: str) -> Any:
    if field.control == "switch":
        return said == "true"
    if field.control not in ("amount", "slider"):
        return said
    try:
        number = float(said)
    except ValueError:
        return said
    return int(number) if field.whole and number == int(number) else number
