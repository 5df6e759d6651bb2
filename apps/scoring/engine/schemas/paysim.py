"""Mobile money as PaySim logs it: an hour, a type, an amount, and the balances of both sides before and after."""

from collections.abc import Sequence
from math import nan
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from apps.scoring.engine.features import stated, weighed
from apps.scoring.engine.known_values import KnownValues
from apps.scoring.engine.operations import Operations
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.past_events import HOUR_MS
from apps.scoring.engine.rules import Condition, Typology
from apps.scoring.engine.schemas import built_in
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.windows import COUNTS, FROM_NOTHING, WEEK_SECONDS

MOST_MONEY = 1e12
CENT = 0.015  # ledgers round: differences below a cent and a half are none
ROUND = 100.0  # multiples of it repeat by chance: as amounts they have no past
LEAST_TELLING = 0.01  # nor have amounts below it
NOTHING_LEFT = 0.001  # a smaller share of a balance is none
ALL_BUT_ALL = 0.1  # of a balance: who leaves less has emptied it
# Day is from 8 to 21 o'clock, the deepest of the night between 2 and 3.
MIDDAY, HALF_A_DAY, DEEPEST_NIGHT = 14.5, 6.5, 5.0
MOST_TIMES = 1e6  # ratios saturate here, far beyond any threshold
OUTGOING = ("TRANSFER", "CASH_OUT")  # types in which both sides' balances are kept
# Types as one number, in the order of the risk they carry; an unknown type stands between the safe and the risky.
TYPE_RANK = {"CASH_IN": 0.0, "DEBIT": 1.0, "PAYMENT": 2.0, "CASH_OUT": 4.0, "TRANSFER": 5.0}
UNKNOWN_TYPE = 3.0

_A_NUMBER = "a number from {} to 1,000,000,000,000"
_TEXT = "text of at most {} printable characters"


def _money(description: str, least: float) -> Meta:
    return Meta(
        ge=least,
        le=MOST_MONEY,
        description=description,
        extra={"needs": _A_NUMBER.format("0" if least == 0 else "-1,000,000,000,000")},
    )


def _text(description: str, longest: int) -> Meta:
    return Meta(max_length=longest, description=description, extra={"needs": _TEXT.format(longest)})


_HOUR = Meta(
    ge=0,
    le=1_000_000,
    description="Hour of the transaction, counted from the start of the log.",
    extra={"needs": "a whole number of hours from 0 to 1,000,000"},
)
Amount = Annotated[float, _money("Amount moved, in the ledger's currency.", 0.0)]
OriginBefore = Annotated[float, _money("Balance of the origin before the transaction.", -MOST_MONEY)]
OriginAfter = Annotated[float, _money("Balance of the origin after the transaction.", -MOST_MONEY)]
DestinationBefore = Annotated[float, _money("Balance of the destination before the transaction.", -MOST_MONEY)]
DestinationAfter = Annotated[float, _money("Balance of the destination after the transaction.", -MOST_MONEY)]


class PaySimTransaction(msgspec.Struct, frozen=True):
    """One PaySim transaction."""

    amount: Amount
    oldbalanceOrg: OriginBefore
    newbalanceOrig: OriginAfter
    oldbalanceDest: DestinationBefore
    newbalanceDest: DestinationAfter
    step: Annotated[int, _HOUR]
    type: Annotated[str, _text("How the money is moved.", 32)]
    transaction_id: Annotated[str, _text("Your id of the transaction.", 128)] | None = None
    nameOrig: Annotated[str, _text("Who pays.", 128)] | None = None
    nameDest: Annotated[str, _text("Who is paid.", 128)] | None = None


FEATURES = (
    weighed("type", "TRANSACTION_TYPE", "type", "type", "The type {value}"),
    weighed("amount", "AMOUNT", "amount", "amount", "An amount of {value}"),
    weighed("oldbalanceOrg", "ORIGIN_BALANCE_BEFORE", "oldbalanceOrg", "origin's balance before",
            "That the origin held {value} before"),
    weighed("newbalanceOrig", "ORIGIN_BALANCE_AFTER", "newbalanceOrig", "origin's balance after",
            "That the origin is left with {value}"),
    weighed("oldbalanceDest", "DESTINATION_BALANCE_BEFORE", "oldbalanceDest", "destination's balance before",
            "That the destination held {value} before"),
    weighed("newbalanceDest", "DESTINATION_BALANCE_AFTER", "newbalanceDest", "destination's balance after",
            "That the destination holds {value} afterwards"),
    weighed("hour_of_day", "HOUR_OF_DAY", "step", "hour of the day", "Hour {value} of the day"),
    stated("hours_into_night", "NIGHT_TIME", "step", "hours into the night", "It is {value} hour{s} into the night.",
           zero="It is day."),
    stated("share_left", "ACCOUNT_EMPTIED", "newbalanceOrig", "share left",
           "Of what the origin held {percent} is left.", zero="Nothing to speak of is left of what the origin held.",
           unknown="The origin held less than it sends, as most honest origins of such ledgers do.",
           up_below=0.5, down_above=0.5),
    stated("share_of_balance", "SHARE_OF_BALANCE", "amount", "share of the balance",
           "The amount is {times} the origin's balance.", unknown="The origin held nothing before."),
    stated("origin_gap", "LEDGER_GAP", "newbalanceOrig", "origin's ledger gap",
           "The origin's balances and the amount differ by {size}.",
           zero="The origin's balances agree with the amount."),
    stated("excess_loss", "ORIGIN_LOST_MORE", "newbalanceOrig", "origin's excess loss",
           "What the origin lost beyond the amount is {times} the amount.",
           zero="The origin did not lose more than was sent."),
    stated("destination_gap", "DESTINATION_GAP", "newbalanceDest", "destination's ledger gap",
           "The destination's balances and the amount differ by {size}.",
           zero="The destination's balances agree with the amount."),
    stated("destination_unmoved", "DESTINATION_UNMOVED", "newbalanceDest", "destination unmoved",
           "Money left the origin and the destination's balance did not move.",
           zero="Nothing says that the money never reached the destination."),
    stated("orig_count_1h", "HIGH_VELOCITY", "nameOrig", "origin's activity in 1 h",
           "The origin made {value} transaction{s} in the last hour."),
    stated("orig_count_24h", "HIGH_VELOCITY_DAY", "nameOrig", "origin's activity in 24 h",
           "The origin made {value} transaction{s} in the last 24 hours."),
    stated("orig_count_7d", "HIGH_VELOCITY_WEEK", "nameOrig", "origin's activity in 7 d",
           "The origin made {value} transaction{s} in the last 7 days."),
    stated("orig_sum_24h", "HIGH_OUTFLOW", "nameOrig", "origin's outflow in 24 h",
           "The origin moved {value} in the last 24 hours.",
           zero="The origin moved nothing in the last 24 hours."),
    stated("orig_distinct_24h", "MANY_COUNTERPARTIES", "nameOrig", "origin's partners in 24 h",
           "The origin dealt with {value} other account{s} in the last 24 hours."),
    stated("orig_since_last", "ORIGIN_LAST_SEEN", "nameOrig", "origin's last transaction",
           "The origin was last active {span} ago.", unit="seconds"),
    stated("dest_count_1h", "DESTINATION_VELOCITY", "nameDest", "destination in 1 h",
           "The destination had {value} transaction{s} in the last hour."),
    stated("dest_count_24h", "DESTINATION_VELOCITY_DAY", "nameDest", "destination in 24 h",
           "The destination had {value} transaction{s} in the last 24 hours."),
    stated("dest_count_7d", "DESTINATION_VELOCITY_WEEK", "nameDest", "destination in 7 d",
           "The destination had {value} transaction{s} in the last 7 days."),
    stated("dest_sum_24h", "DESTINATION_INFLOW", "nameDest", "destination's inflow in 24 h",
           "The destination saw {value} in the last 24 hours.",
           zero="The destination saw nothing in the last 24 hours."),
    stated("dest_distinct_24h", "DESTINATION_COUNTERPARTIES", "nameDest", "destination partners in 24 h",
           "The destination dealt with {value} other account{s} in the last 24 hours."),
    stated("dest_since_last", "DESTINATION_LAST_SEEN", "nameDest", "destination's last activity",
           "The destination was last active {span} ago.", unit="seconds"),
    stated("same_amount_count_1h", "AMOUNT_REPEATED", "amount", "same amount in 1 h",
           "Exactly this amount went out in {value} transaction{s} of the last hour."),
    stated("same_amount_since_last", "AMOUNT_LAST_SEEN", "amount", "same amount last seen",
           "Exactly this amount last went out {span} ago.", unit="seconds"),
)  # fmt: skip


# What every model is held to: more of the first ones never lowers the score, more of the last never raises it.
DIRECTIONS = dict.fromkeys(
    ("type", "amount", "hours_into_night", "excess_loss", "orig_count_1h", "orig_count_24h", "orig_count_7d",
     "orig_sum_24h", "orig_distinct_24h", "dest_distinct_24h", "same_amount_count_1h"), 1
) | {"share_left": -1}  # fmt: skip

# How far features reach that are no fields: beyond, a rule would never hit.
REACH = {
    "hour_of_day": (0.0, 23.0), "hours_into_night": (0.0, DEEPEST_NIGHT), "share_left": (0.0, 1.0),
    "share_of_balance": (0.0, MOST_TIMES), "excess_loss": (0.0, MOST_TIMES), "destination_unmoved": (0.0, 1.0),
    **{f"{who}_{what}": COUNTS for who in ("orig", "dest")
       for what in ("count_1h", "count_24h", "count_7d", "distinct_24h")},
    **{f"{who}_sum_24h": FROM_NOTHING for who in ("orig", "dest")}, "same_amount_count_1h": COUNTS,
    **{f"{who}_since_last": WEEK_SECONDS for who in ("orig", "dest", "same_amount")},
}  # fmt: skip


def build(t: Any, at_ms: Any, pasts: Sequence[Any], ops: Operations) -> tuple[Any, ...]:
    """The one definition of the features, in the order of `FEATURES`, for a row or for columns."""
    orig, dest, same = pasts
    where, ratio, minimum = ops.where, ops.ratio, ops.minimum
    amount, before, after = t.amount, t.oldbalanceOrg, t.newbalanceOrig
    received = t.newbalanceDest - t.oldbalanceDest
    gap = before - after - amount
    gap = where((gap < CENT) & (gap > -CENT), 0.0, gap)
    destination_gap = received - amount
    destination_gap = where((destination_gap < CENT) & (destination_gap > -CENT), 0.0, destination_gap)
    kind = ops.lookup(TYPE_RANK, t.type, UNKNOWN_TYPE)
    # A merchant's or a bank's balance is not kept in such ledgers: there an unmoved destination says nothing.
    unmoved = (kind >= UNKNOWN_TYPE) & (amount > 0.0) & (before > after) & (received == 0.0)
    excess = ops.maximum(gap, 0.0) / ops.maximum(amount, 0.01)
    hour = t.step % 24.0
    return (
        kind,
        amount,
        before,
        after,
        t.oldbalanceDest,
        t.newbalanceDest,
        hour,
        _into_night(hour, ops),
        _share_left(kind, amount, before, after, ops),
        where(before > 0.0, minimum(ratio(amount, before, nan), MOST_TIMES), nan),
        gap,
        minimum(excess, MOST_TIMES),
        destination_gap,
        where(unmoved, 1.0, 0.0),
        orig.count_1h,
        orig.count_24h,
        orig.count_7d,
        orig.sum_24h,
        orig.distinct_24h,
        orig.since_last,
        dest.count_1h,
        dest.count_24h,
        dest.count_7d,
        dest.sum_24h,
        dest.distinct_24h,
        dest.since_last,
        same.count_1h,
        same.since_last,
    )


def _into_night(hour: Any, ops: Operations) -> Any:
    """Hours to the nearest hour of the day: 0 by day, 5 in the middle of the night."""
    away = ops.maximum(hour - MIDDAY, MIDDAY - hour)
    return ops.maximum(ops.minimum(away, 24.0 - away) - HALF_A_DAY, 0.0)


def _share_left(kind: Any, amount: Any, before: Any, after: Any, ops: Operations) -> Any:
    """What remains of the balance, 0 to 1, by the amount or by the balance afterwards, whichever says less.

    Less than a thousandth is nothing: emptied to the cent and all but emptied are alike. Unknown where the origin could
    not pay: nine in ten of the honest TRANSFERs and CASH_OUTs of such ledgers say so, and prove nothing by it.
    """
    left = ops.maximum(ops.minimum(before - amount, after), 0.0)
    share = ops.minimum(ops.ratio(left, before, 1.0), 1.0)
    share = ops.where(share < NOTHING_LEFT, 0.0, share)
    share = ops.where((before <= 0.0) | (amount > before + CENT), nan, share)
    return ops.where((kind == TYPE_RANK["CASH_IN"]) | (amount == 0.0), 1.0, share)


# What a suspicious transaction looks like; the first that fits names it.
TYPOLOGIES = (
    Typology("black_hole_transfer", (Condition("type", "in", OUTGOING), Condition("destination_unmoved", "gt", 0.0))),
    Typology("ledger_tampering", (Condition("excess_loss", "gt", 0.0),)),
    Typology("account_takeover", (Condition("type", "in", ("TRANSFER",)), Condition("share_left", "le", ALL_BUT_ALL))),
    Typology("mule_cash_out", (Condition("type", "in", ("CASH_OUT",)), Condition("share_left", "le", ALL_BUT_ALL))),
    Typology("high_velocity", (Condition("orig_count_1h", "ge", 5.0),)),
    Typology("other"),
)


def parties(t: PaySimTransaction) -> tuple[Party, ...]:
    """Both sides, and the amount itself: stolen money is moved and cashed in two transactions of exactly one amount."""
    origin = (Party("nameOrig", t.nameOrig, t.nameDest or ""),) if t.nameOrig else ()
    destination = (Party("nameDest", t.nameDest, t.nameOrig or ""),) if t.nameDest else ()
    telling = t.type in OUTGOING and t.amount % ROUND != 0.0 and t.amount >= LEAST_TELLING
    moved = (Party("amount", f"{t.amount:.2f}", t.type),) if telling else ()
    return origin + destination + moved


def party_columns(t: Any) -> tuple[tuple[list[str | None], list[str | None]], ...]:
    """`parties` of columns."""
    origins, destinations, kinds, amounts = (column.tolist() for column in (t.nameOrig, t.nameDest, t.type, t.amount))
    outgoing = [kind in OUTGOING for kind in kinds]
    telling = (t.amount % ROUND != 0.0) & (t.amount >= LEAST_TELLING) & np.array(outgoing, dtype=bool)
    moved = [f"{amount:.2f}" if told else None for amount, told in zip(amounts, telling.tolist(), strict=True)]
    return (origins, destinations), (destinations, origins), (moved, kinds)


def event_time_ms(t: Any, received_ms: Any, ops: Operations) -> Any:
    """Milliseconds since the start of the log."""
    return t.step * HOUR_MS


def amount(t: Any) -> Any:
    return t.amount


def transaction_id(t: PaySimTransaction) -> str | None:
    return t.transaction_id


def tidy(t: PaySimTransaction) -> PaySimTransaction:
    """Empty names mean unnamed; a known type in another case is that type: "transfer" must not slip past a rule."""
    if t.type in TYPE_RANK and t.transaction_id != "" and t.nameOrig != "" and t.nameDest != "":
        return t
    upper = t.type.strip().upper()
    return msgspec.structs.replace(
        t,
        type=upper if upper in TYPE_RANK else t.type,
        transaction_id=t.transaction_id or None,
        nameOrig=t.nameOrig or None,
        nameDest=t.nameDest or None,
    )


def untouched(t: Any) -> np.ndarray:
    """The rows of columns, bool[n], that are tidy: of a known type as it is spelled, no name empty."""
    known = np.array([kind in TYPE_RANK for kind in t.type.tolist()], dtype=bool)
    for name in (t.transaction_id, t.nameOrig, t.nameDest):
        known &= name != ""
    return known


def remarks(t: PaySimTransaction) -> tuple[str, ...]:
    """A balance that could not pay: what it shows was not weighed."""
    if t.type == "CASH_IN" or t.amount <= t.oldbalanceOrg + CENT:
        return ()
    return (
        f"The origin's balance of {t.oldbalanceOrg:,.15g} can't pay {t.amount:,.15g}: the ledger can't be, or is not "
        "this account's. The balances say nothing here and were not weighed; type, amount, hour and activity were.",
    )


PAYSIM = TransactionSchema(
    name="paysim",
    struct=PaySimTransaction,
    roles=(
        Role("nameOrig", called="origin", meets="destinations"),
        Role("nameDest", called="destination", meets="origins"),
        Role("amount", called="same_amount", meets="types"),
    ),
    features=FEATURES,
    build=build,
    parties=parties,
    event_time_ms=event_time_ms,
    amount=amount,
    transaction_id=transaction_id,
    rules=built_in.PAYSIM,
    typologies=TYPOLOGIES,
    reach=REACH,
    directions=DIRECTIONS,
    words={"type": {rank: name for name, rank in TYPE_RANK.items()} | {UNKNOWN_TYPE: "unknown"}},
    known_values={"type": KnownValues(tuple(sorted(TYPE_RANK)))},
    party_columns=party_columns,
    tidy=tidy,
    untouched=untouched,
    remarks=remarks,
    searched=("nameOrig", "nameDest"),
    ids=frozenset({"transaction_id", "nameOrig", "nameDest"}),
)
