"""Card payments without the card, with the columns Vesta published for the IEEE-CIS competition.

What most columns mean was never published: C1–C14 count what is linked to the card, D1–D15 are spans of days, M1–M9
say whether names and addresses match, V1–V339 are Vesta's own counts, ranks and sums, id_01–id_38 describe the device
and the connection. Any part of them may be sent; only the amount is required. The model learned from those columns
that are features below; the rest is accepted, checked and kept.

Nothing here is remembered between transactions: the C and V columns are the sender's own history of the card, and
counts of ours beside them improved nothing on later rows. Kinds of fraud are not told apart, for lack of such labels.
No rule is built in either: in the published rows even the eighth payment within an hour of one amount, with one kind
of card in one region, is honest in three cases of four.
"""

import re
from collections.abc import Sequence
from math import nan
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.scoring.engine.operations import Operations
from apps.scoring.engine.transaction import NAME_CUT, Feature, Party, TransactionSchema

MOST = 1e9  # of an amount, and of any number either side of zero
MOST_SECONDS = 10_000_000_000
LARGEST_ID = 2**53 - 1  # beyond, JSON readers take an integer for its neighbour
LONGEST = 256
FEW_KNOWN = 20  # of the fields the model knows: below, the sender is told


def _number(description: str, least: float = -MOST, most: float = MOST) -> Any:
    needs = f"a number from {least:,.0f} to {most:,.0f}, without quotes"
    return Annotated[float, Meta(ge=least, le=most, description=description, extra={"needs": needs})] | None


def _whole(description: str, most: int) -> Any:
    needs = f"a whole number from 0 to {most:,}, without quotes"
    return Annotated[int, Meta(ge=0, le=most, description=description, extra={"needs": needs})] | None


def _text(description: str) -> Any:
    needs = f"text of at most {LONGEST} printable characters"
    return Annotated[str, Meta(max_length=LONGEST, description=description, extra={"needs": needs})] | None


Amount = Annotated[
    float,
    Meta(
        gt=0,
        le=MOST,
        description="Amount of the payment, in US dollars.",
        extra={"needs": "a number above 0 and up to 1,000,000,000, without quotes"},
    ),
]
# The other columns, in the documented order: name → type.
CARDS = {
    "card1": "Number Vesta gave the kind of card.",
    "card2": "Number Vesta gave a property of the card.",
    "card3": "Number Vesta gave a property of the card, like the country of issue.",
    "card4": "Network: visa, mastercard, american express, discover.",
    "card5": "Number Vesta gave a property of the card, like its product.",
    "card6": "Debit or credit.",
}
TEXTS_OF_ID = (12, 15, 16, 23, 27, 28, 29, 30, 31, 33, 34, 35, 36, 37, 38)
COLUMNS: dict[str, Any] = {
    "transaction_id": _text("Your id of the transaction."),
    "TransactionID": _whole("Vesta's id of the transaction; yours when transaction_id is not sent.", LARGEST_ID),
    "TransactionDT": _number("Seconds from a moment at midnight of your choice, always the same.", 0, MOST_SECONDS),
    "ProductCD": _text("Code of what is paid for: W, H, R, S or C."),
    **{name: (_text if name in ("card4", "card6") else _number)(meaning) for name, meaning in CARDS.items()},
    "addr1": _number("Region of the billing address, as a number."),
    "addr2": _number("Country of the billing address, as a number."),
    "dist1": _number("A distance between addresses."),
    "dist2": _number("A distance between addresses."),
    "P_emaildomain": _text("Domain of the payer's e-mail address."),
    "R_emaildomain": _text("Domain of the recipient's e-mail address."),
    **{f"C{index}": _number("Count of what is linked to the card.") for index in range(1, 15)},
    **{f"D{index}": _number("Days since something earlier.") for index in range(1, 16)},
    **{f"M{index}": _text("Whether names and addresses match: T, F; M4: M0, M1, M2.") for index in range(1, 10)},
    **{f"V{index}": _number("Vesta's own count, rank or sum.") for index in range(1, 340)},
    **{
        f"id_{index:02d}": (_text if index in TEXTS_OF_ID else _number)("Device, connection or identity.")
        for index in range(1, 39)
    },
    "DeviceType": _text("desktop or mobile."),
    "DeviceInfo": _text("What the device says it is."),
}
IeeeCisTransaction = msgspec.defstruct(
    "IeeeCisTransaction",
    [("TransactionAmt", Amount), *((name, kind, None) for name, kind in COLUMNS.items())],
    module=__name__,
    frozen=True,
    namespace={"__doc__": "One payment in the columns of the IEEE-CIS competition; unknown ones are left out."},
)

# Texts as one number each: what is not listed has its own, what was not sent is unknown.
OTHER = -1.0
PRODUCTS = {"W": 0.0, "H": 1.0, "R": 2.0, "S": 3.0, "C": 4.0}  # roughly in the order of the risk they carry
FOUND = {"NotFound": 0.0, "Found": 1.0}
PROVIDERS = {
    name: float(rank)
    for rank, names in enumerate((
        ("gmail.com", "gmail"), ("hotmail.com", "hotmail.es", "hotmail.fr", "hotmail.de", "hotmail.co.uk"),
        ("outlook.com", "outlook.es"), ("live.com", "live.com.mx", "live.fr"), ("msn.com",),
        ("yahoo.com", "yahoo.com.mx", "yahoo.fr", "yahoo.de", "yahoo.es", "yahoo.co.uk", "yahoo.co.jp"),
        ("ymail.com", "rocketmail.com"), ("aol.com", "aim.com"), ("anonymous.com",),
        ("icloud.com", "me.com", "mac.com"),
        ("comcast.net",), ("att.net", "sbcglobal.net", "bellsouth.net"), ("verizon.net",), ("cox.net",),
        ("charter.net", "twc.com", "roadrunner.com"), ("earthlink.net",), ("mail.com",), ("protonmail.com",),
    ), 1)
    for name in names
}  # fmt: skip
# The country a domain ends in, where it says one.
COUNTRIES = dict.fromkeys(PROVIDERS, 0.0) | {
    name: float(rank)
    for rank, names in enumerate((
        ("hotmail.es", "outlook.es", "yahoo.es"), ("live.com.mx", "yahoo.com.mx", "prodigy.net.mx"),
        ("hotmail.fr", "live.fr", "yahoo.fr"), ("hotmail.de", "yahoo.de", "gmx.de", "web.de"),
        ("hotmail.co.uk", "yahoo.co.uk"), ("yahoo.co.jp",),
    ), 1)
    for name in names
}  # fmt: skip
# How the commonest devices name themselves; other names are Android phones for the most part.
DEVICES = {
    "Windows": 0.0, "iOS Device": 1.0, "MacOS": 2.0, "Trident/7.0": 3.0, "rv:11.0": 4.0, "SAMSUNG": 6.0,
    "hi6210sft Build/MRA58K": 7.0, "Linux": 8.0, **{f"rv:{version}.0": 5.0 for version in range(20, 200)},
}  # fmt: skip


def _ranked(names: Sequence[str]) -> dict[float, str]:
    return {float(rank): name for rank, name in enumerate(names)}


WORDS: dict[str, dict[float, str]] = {
    "product": {rank: name for name, rank in PRODUCTS.items()} | {OTHER: "another one"},
    "recipient_provider": {rank: name for name, rank in reversed(PROVIDERS.items())} | {OTHER: "another provider"},
    "recipient_country": _ranked(("no country", "Spain", "Mexico", "France", "Germany", "Britain", "Japan"))
    | {OTHER: "another domain"},
    "id_16": {rank: name for name, rank in FOUND.items()} | {OTHER: "something else"},
    "device": {rank: name for name, rank in reversed(DEVICES.items())} | {5.0: "Firefox", OTHER: "another device"},
    "amount_roundness": _ranked(("an odd one", "in whole dollars", "in fives", "in tens", "in fifties", "in hundreds")),
}  # fmt: skip

SECONDS_A_DAY, SECONDS_AN_HOUR = 86_400.0, 3_600.0
# Two numbers as one, so that the regions, or the providers, of a card lie side by side: more than there are of each.
REGIONS = 600.0
PROVIDERS_AND_NONE, NO_PROVIDER = 21.0, 19.0  # one left for the providers not listed, below zero

# Sums of money among the V columns, as far as their values show; the others are counts and ranks.
SUMS = frozenset((*range(126, 138), *range(160, 167), *range(202, 217), *range(263, 279), *range(306, 322),
                  *range(331, 340)))  # fmt: skip
# The fields the model takes as they are.
COUNTED = tuple(f"C{index}" for index in range(1, 15))
VESTA = tuple(f"V{index}" for index in (
    13, 15, 17, 18, 19, 32, 96, 97, 99, 102, 126, 127, 145, 153, 154, 158, 166, 235, 279, 280, 284, 285, 286, 287, 291,
    292, 293, 294, 295, 298, 300, 301, 302, 304, 306, 307, 308, 309, 310, 311, 312, 313, 316, 317, 318, 319, 320, 321,
    323, 324, 326, 332, 333, 335,
))  # fmt: skip
IDENTITY = ("id_08", "id_13", "id_17", "id_19", "id_20", "id_21")
PLAIN = ("TransactionAmt", "card1", "card2", "card3", "card5", "addr1", "addr2", *COUNTED, *VESTA, *IDENTITY)
# (feature, its field, the numbers its texts stand for)
TEXTS = (
    ("product", "ProductCD", PRODUCTS),
    ("recipient_provider", "R_emaildomain", PROVIDERS),
    ("recipient_country", "R_emaildomain", COUNTRIES),
    ("id_16", "id_16", FOUND),
    ("device", "DeviceInfo", DEVICES),
)
# One count or sum for each of another, which tells a new card from an old one whatever the scale.
RATIOS = (
    ("C1", "C2"), ("C1", "C14"), ("C2", "C6"), ("C2", "C11"), ("C2", "C13"), ("C2", "C14"), ("C4", "C1"),
    ("C5", "C9"), ("C5", "C13"), ("C6", "C1"), ("C6", "C13"), ("C6", "C14"), ("C7", "C1"), ("C8", "C1"),
    ("C8", "C10"), ("C9", "C1"), ("C9", "C14"), ("C10", "C1"), ("C11", "C1"), ("C11", "C2"), ("C11", "C14"),
    ("C12", "C1"), ("C13", "C1"), ("C13", "C11"), ("C13", "C14"), ("V127", "C13"), ("V127", "V96"), ("V307", "C13"),
    ("V307", "C14"), ("V307", "V96"), ("V307", "V294"), ("V308", "V293"), ("V310", "C14"), ("V310", "V280"),
    ("V313", "C14"), ("V317", "C14"), ("V317", "V294"),
)  # fmt: skip
SUMMED = ("C1", "C2", "C4", "C6", "C7", "C8", "C10", "C11", "C12")
# The amount against Vesta's sums, and against what such a sum is for each of a count: against the usual amount.
AMOUNT_PER = ("V127", "V306", "V307", "V308", "V310", "V313", "V317", "V332")
USUAL = (
    ("V127", "V96"), ("V306", "V279"), ("V307", "C14"), ("V307", "V294"), ("V308", "V293"), ("V310", "V280"),
    ("V313", "V291"), ("V317", "V294"),
)  # fmt: skip
CENTS_OF = ("V127", "V307", "V310", "V313")
ROUND_TO = (1.0, 5.0, 10.0, 50.0, 100.0)  # dollars


def _told(name: str, code: str, field: str, what: str, label: str, sent: str = "") -> Feature:
    """`sent`: the field, or those of which any may be missing, when it is not `field` alone."""
    unknown = f"{sent or field} was not sent."
    needs = tuple(part for part in re.split(r"\W+", sent or field) if part in COLUMNS)
    return Feature(name, code, field, f"{what}, which raises the risk.", f"{what}, which lowers the risk.",
                   label=label, unknown=unknown, needs=needs)  # fmt: skip


def _vesta(name: str) -> Feature:
    kind = "sum" if int(name[1:]) in SUMS else "count"
    return _told(name, f"VESTA_{name}", name, f"Vesta's {kind} {name} is {{value}}", name)


# What is said of a field; the other ones are named.
SAID = {
    "TransactionAmt": ("AMOUNT", "The amount is {value}"),
    "card1": ("CARD_KIND", "The card's kind (card1) is {value}"),
    "card2": ("CARD_PROPERTY_2", "The card's second property (card2) is {value}"),
    "card3": ("CARD_COUNTRY", "The card's third property (card3) is {value}"),
    "card5": ("CARD_PRODUCT", "The card's fifth property (card5) is {value}"),
    "addr1": ("BILLING_REGION", "The billing region is {value}"),
    "addr2": ("BILLING_COUNTRY", "The billing country is {value}"),
    "product": ("PRODUCT", "The product is {value}"),
    "recipient_provider": ("RECIPIENT_EMAIL", "The recipient's e-mail is with {value}"),
    "recipient_country": ("RECIPIENT_EMAIL_COUNTRY", "The recipient's e-mail ends in {value}"),
    "device": ("DEVICE", "The device is {value}"),
}
# What a picture calls those whose name is not the sender's own.
LABELS = {
    "TransactionAmt": "amount",
    "product": "product",
    "recipient_provider": "recipient's e-mail",
    "recipient_country": "recipient's e-mail ends in",
    "device": "device",
}


def _field(name: str, field: str) -> Feature:
    if name in VESTA:
        return _vesta(name)
    if name in COUNTED:
        return _told(name, f"COUNT_{name}", field, f"The count {name} of what is linked to the card is {{value}}", name)
    code, what = SAID.get(name, (name.upper(), f"The identity field {name} is {{value}}"))
    return _told(name, code, field, what, LABELS.get(name, name))


def _ratio(top: str, bottom: str) -> Feature:
    said = f"There are {{value}} of {top} for each of {bottom}"
    return _told(
        f"{top}_per_{bottom}", f"RATIO_{top}_{bottom}", top, said, f"{top} for each {bottom}", f"{top} or {bottom}"
    )


FEATURES = (
    *(_field(name, name) for name in PLAIN),
    *(_field(name, field) for name, field, _ in TEXTS),
    _told("hour_of_day", "HOUR_OF_DAY", "TransactionDT", "The hour of the day is {value}", "hour of the day"),
    _told("amount_thousandths", "AMOUNT_FRACTION", "TransactionAmt", "The amount ends in {value} thousandths",
          "thousandths of the amount"),
    _told("amount_roundness", "AMOUNT_ROUNDNESS", "TransactionAmt", "The amount is {value}", "roundness of the amount"),
    _told("card_and_region", "CARD_AND_REGION", "card1", "This kind of card comes with this billing region",
          "card and region"),
    _told("card_and_provider", "CARD_AND_EMAIL", "card1", "This kind of card comes with this provider of e-mail",
          "card and provider of e-mail"),
    _told("card2_and_region", "CARD_PROPERTY_AND_REGION", "card2",
          "This property of the card (card2) comes with this billing region", "card2 and region"),
    _told("counts_together", "COUNTS_TOGETHER", "C1", "The counts linked to the card come to {value} together",
          "counts together", f"One of {', '.join(SUMMED)}"),
    *(_ratio(top, bottom) for top, bottom in RATIOS),
    *(_told(f"amount_per_{name}", f"AMOUNT_FOR_{name}", "TransactionAmt", f"The amount is {{times}} Vesta's sum {name}",
            f"amount for each {name}", name) for name in AMOUNT_PER),
    *(_told(f"amount_per_{top}_{bottom}", f"AMOUNT_FOR_{top}_{bottom}", "TransactionAmt",
            f"The amount is {{times}} the usual by Vesta's {top} and {bottom}", f"amount by {top} and {bottom}",
            f"{top} or {bottom}") for top, bottom in USUAL),
    *(_told(f"{name}_cents", f"CENTS_{name}", name,
            f"Vesta's sum {name} ends in {{value}} cents", f"cents of {name}") for name in CENTS_OF),
)  # fmt: skip


def build(t: Any, at_ms: Any, pasts: Sequence[Any], ops: Operations) -> tuple[Any, ...]:
    """The one definition of the features, in the order of `FEATURES`, for a row or for columns."""
    number, floor = ops.number, ops.floor
    known = {name: number(getattr(t, name)) for name in PLAIN}
    told = {name: ops.lookup(table, getattr(t, field), OTHER) for name, field, table in TEXTS}
    amount, card, region, provider = known["TransactionAmt"], known["card1"], known["addr1"], told["recipient_provider"]
    in_region = ops.where(region == region, region, 0.0)
    return (
        *known.values(),
        *told.values(),
        number(t.TransactionDT) % SECONDS_A_DAY / SECONDS_AN_HOUR,
        floor(amount * 1000.0 + 0.5) % 1000.0,
        _roundness(floor(amount * 100.0 + 0.5), ops),
        card * REGIONS + in_region,
        card * PROVIDERS_AND_NONE + ops.where(provider == provider, provider, NO_PROVIDER),
        known["card2"] * REGIONS + in_region,
        sum(known[name] for name in SUMMED),
        *(ops.ratio(known[top], known[bottom] + 1.0, nan) for top, bottom in RATIOS),
        *(ops.ratio(amount, known[name] + 1.0, nan) for name in AMOUNT_PER),
        *(ops.ratio(amount * (known[bottom] + 1.0), known[top] + 1.0, nan) for top, bottom in USUAL),
        *(floor((known[name] - floor(known[name])) * 100.0 + 0.5) for name in CENTS_OF),
    )


def _roundness(cents: Any, ops: Operations) -> Any:
    """0 for an odd amount, then 1 to 5: dollars, fives, tens, fifties, hundreds."""
    found: Any = 0.0
    for rank, dollars in enumerate(ROUND_TO, 1):
        found = ops.where(cents % (dollars * 100.0) == 0.0, float(rank), found)
    return found


def parties(t: Any) -> tuple[Party, ...]:
    return ()


def event_time_ms(t: Any, received_ms: Any, ops: Operations) -> Any:
    """Milliseconds since the sender's midnight, or when the request came."""
    told = ops.number(t.TransactionDT)
    return ops.where(told == told, told * 1000.0, received_ms)


def amount(t: Any) -> Any:
    return t.TransactionAmt


def transaction_id(t: Any) -> str | None:
    return t.transaction_id or (None if t.TransactionID is None else str(t.TransactionID))


SPELLED = (("ProductCD", PRODUCTS, str.upper), ("R_emaildomain", PROVIDERS, str.lower))


def tidy(t: Any) -> Any:
    """A known product or domain in another case is that one."""
    known = {}
    for field, table, spell in SPELLED:
        said = getattr(t, field)
        if said and said not in table and (spelled := spell(said.strip())) in table:
            known[field] = spelled
    return msgspec.structs.replace(t, **known) if known else t


READ = tuple(dict.fromkeys((*PLAIN, *(field for _, field, _ in TEXTS), "TransactionDT")))  # the fields the model knows
_read = attrgetter(*READ)


def remarks(t: Any) -> tuple[str, ...]:
    said = []
    known = len(READ) - _read(t).count(None)
    if known < FEW_KNOWN:
        said.append(
            f"Only {known} of the {len(READ)} fields the model knows were given: accuracy may be lower. "
            "C1 to C14, the V columns and R_emaildomain tell most."
        )
    if t.ProductCD and t.ProductCD not in PRODUCTS:
        said.append(
            f"Unknown ProductCD '{t.ProductCD[:NAME_CUT]}': accuracy may be lower. Known: {', '.join(PRODUCTS)}."
        )
    return tuple(said)


IEEE_CIS = TransactionSchema(
    name="ieee_cis",
    struct=IeeeCisTransaction,
    roles=(),
    features=FEATURES,
    build=build,
    parties=parties,
    event_time_ms=event_time_ms,
    amount=amount,
    transaction_id=transaction_id,
    rules=(),
    words=WORDS,
    reach={"hour_of_day": (0.0, 24.0), "amount_thousandths": (0.0, 1000.0), "amount_roundness": (0.0, 5.0)},
    tidy=tidy,
    remarks=remarks,
    ids=frozenset(["transaction_id"]),
)
