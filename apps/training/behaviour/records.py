"""The same lives as two schemas tell them: every row a transaction that the schema accepts, with its label."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from apps.scoring.engine.operations import BLOCK
from apps.scoring.engine.schemas.card_activity import DERIVED, USD_PER_UNIT, derived
from apps.training.behaviour.frauds import frauds
from apps.training.behaviour.life import honest
from apps.training.behaviour.people import BURN_IN_DAYS, THIEVES, People, people
from apps.training.behaviour.typologies import IMPOSSIBLE, TYPOLOGIES
from apps.training.behaviour.world import CATEGORIES, DAY, kilometres, of_categories, of_countries

FIRST_DAY = np.datetime64("2025-01-01", "ms")
ROBBERIES = [*(kind.name for kind in TYPOLOGIES if not kind.own_proof), *IMPOSSIBLE]
CARDS_COUNTRY = 0.15  # of rows, whose sender names the card's country and not the shop's
SHOP_NUMBERS = 1000  # of a category in a country


def card_activity(users: int = 3000, days: int = 90, seed: int = 7) -> pd.DataFrame:
    """Transactions of `users` people over `days` days in order of time: the documented fields, `transaction_id`,
    `Timestamp` (local time), `is_fraud` (0 or 1) and `typology` ("" when honest). The same seed gives the same rows.
    """
    return _simulated("card_activity", users, days, seed, _card_activity)


def payments(users: int = 3000, days: int = 90, seed: int = 11, begins: np.datetime64 = FIRST_DAY) -> pd.DataFrame:
    """The same for payments. What a sender tells is the sender's habit, one for all payments of a user (`SENDERS`)."""
    return _simulated("payments", users, days, seed, _payments, begins)


Documented = Callable[[pd.DataFrame, People, np.random.Generator], pd.DataFrame]


def _simulated(
    population: str, users: int, days: int, seed: int, documented: Documented, begins: np.datetime64 = FIRST_DAY
) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    who = people(population, users, days, random)
    lives = honest(who, random)
    rows = pd.concat([lives, frauds(who, lives, random)], ignore_index=True)
    rows = _blocked(rows.sort_values(["user", "at"], kind="stable", ignore_index=True))
    rows = _counted(rows, who, random)
    rows = rows.sort_values(["at", "user"], kind="stable", ignore_index=True)
    rows["time"] = begins + (rows["at"].to_numpy() * 1000).astype("timedelta64[ms]")
    return documented(rows, who, random).assign(
        is_fraud=(rows["typology"] != "").astype("int64"),
        typology=rows["typology"],
        weight=(rows["at"] >= BURN_IN_DAYS * DAY).astype(float),  # what was lived before is remembered and not learned
    )


def _blocked(rows: pd.DataFrame) -> pd.DataFrame:
    """Without what victims would have paid in the day after a theft: their card is blocked, they pay otherwise."""
    robbed = rows["typology"].isin(ROBBERIES)
    since = rows["at"] - rows["at"].where(robbed).groupby(rows["user"]).ffill()
    return rows[(rows["typology"] != "") | ~(since < DAY)].reset_index(drop=True)


# What a sender counts


def _counted(rows: pd.DataFrame, who: People, random: np.random.Generator) -> pd.DataFrame:
    """Counts, distances and times against the same user's rows before. Rows are in order of user and time."""
    at, user = np.round(rows["at"].to_numpy()), rows["user"].to_numpy()
    first = np.diff(user, prepend=-1) != 0
    window = random.choice([600.0, 3600.0, 3600.0, 6 * 3600.0], len(who.home))[
        user
    ]  # senders count over windows of their own
    here = rows[["latitude", "longitude"]].to_numpy()
    before = np.concatenate([here[:1], here])[: len(here)]
    merchant = _merchants(rows)
    return rows.assign(
        at=at,
        home=who.home[user],
        merchant=merchant,
        minutes=np.where(first, 0.0, np.diff(at, prepend=at[:1]) / 60.0),
        km=np.where(first, 0.0, kilometres(before[:, 0], before[:, 1], here[:, 0], here[:, 1])),
        first=first,
        from_home=kilometres(who.latitude[user], who.longitude[user], here[:, 0], here[:, 1]),
        velocity=_within(user, at, window) + 1,
        before=_within(user, at, np.full(len(rows), BURN_IN_DAYS * DAY)),
        repeat=pd.Series(merchant).groupby([user, merchant]).cumcount().to_numpy() > 0,
        ratio=rows["usd"].to_numpy() / (who.usual_usd[user] * 1.1),
    )


def _within(user: np.ndarray, at: np.ndarray, window: np.ndarray) -> np.ndarray:
    """How many of the user's earlier rows lie within `window` seconds before each row."""
    lifetime = np.max(at, initial=0.0) + np.max(window, initial=0.0) + 1.0
    line = user * lifetime + at  # every user's time on a stretch of its own
    earliest = np.maximum(line - window, user * lifetime)
    return np.arange(len(line)) - np.searchsorted(line, earliest, side="left")


def _merchants(rows: pd.DataFrame) -> np.ndarray:
    """A shop's number, of its country and category."""
    shops = (rows["place"].to_numpy() * len(CATEGORIES) + rows["category"].to_numpy()) * SHOP_NUMBERS
    return (shops + rows["shop"].to_numpy()).astype("int64")


def _currencies(rows: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """The place's currency, or, for two payments abroad in five, the one the card's bank already turned it into."""
    local, place, home = of_countries("currency").astype(object), rows["place"].to_numpy(), rows["home"].to_numpy()
    said = local[np.where(random.random(len(rows)) < 0.4, home, place)]
    return np.where(np.isin(said, list(USD_PER_UNIT)), said, "USD")


def _ids(rows: pd.DataFrame) -> list[str]:
    return [f"sim-{number}" for number in range(1, len(rows) + 1)]


# As the schemas tell it


def _card_activity(rows: pd.DataFrame, who: People, random: np.random.Generator) -> pd.DataFrame:
    """The documented fields of rows in order of time."""
    time, currency = pd.DatetimeIndex(rows["time"]), _currencies(rows, random)
    rate = np.array([USD_PER_UNIT[name] for name in currency])
    frame = pd.DataFrame(
        {
            "transaction_id": _ids(rows),
            "Timestamp": time,
            "User_ID": rows["user"] + 1000,
            "Transaction_Amount": np.maximum(np.round(rows["usd"] / rate, 2), 0.01),
            "Transaction_Location": of_countries("name").astype(object)[rows["place"]],
            "Merchant_ID": rows["merchant"],
            "Device_ID": rows["device"].astype("int64"),
            "Card_Type": rows["card"],
            "Transaction_Currency": currency,
            "Transaction_Status": rows["status"],
            "Previous_Transaction_Count": rows["before"].astype("int64"),
            "Distance_Between_Transactions_km": rows["km"].round(1),
            "Time_Since_Last_Transaction_min": rows["minutes"].round(1),
            "Authentication_Method": rows["method"],
            "Transaction_Velocity": rows["velocity"].astype("int64"),
            "Transaction_Category": of_categories("card_activity").astype(object)[rows["category"]],
            "Transaction_Hour": time.hour.astype("int64"),
            "Transaction_Day": time.day.astype("int64"),
            "Transaction_Month": time.month.astype("int64"),
            "Transaction_Weekday": time.day_of_week.astype("int64"),
        }
    )
    by_card = random.random(len(rows)) < CARDS_COUNTRY
    frame["Transaction_Location"] = np.where(
        by_card, of_countries("name").astype(object)[rows["home"]], frame["Transaction_Location"]
    )
    computed = pd.DataFrame(dict(zip(DERIVED, derived(frame, BLOCK), strict=True)))
    return pd.concat([frame, computed], axis=1)


ALWAYS = ("amount", "user_id", "merchant_id", "transaction_id", "timestamp")
#: What senders tell beside that, and the share of the users they have; "any" tells half of the fields.
SENDERS = (
    (0.08, ()),
    (0.14, ("merchant_category",)),
    (0.20, ("merchant_category", "card_present", "distance_from_home_km")),
    (0.12, ("merchant_category", "distance_from_home_km", "foreign_transaction")),
    (0.08, ("merchant_category", "card_present", "online_order", "foreign_transaction", "country", "device_id")),
    (0.18, ("any",)),
    (0.20, ("all",)),
)


def _payments(rows: pd.DataFrame, who: People, random: np.random.Generator) -> pd.DataFrame:
    """The documented fields of rows in order of time, those a sender does not tell unknown."""
    online = rows["online"].to_numpy(bool)
    located = ~online | (random.random(len(rows)) < 0.5)  # of an order, where its address is
    by_device = online | rows["wallet"].to_numpy(bool)
    frame = pd.DataFrame(
        {
            "amount": np.maximum(np.round(rows["usd"], 2), 0.01),
            "user_id": "sim-user-" + rows["user"].astype(str),
            "merchant_id": "sim-shop-" + rows["merchant"].astype(str),
            "transaction_id": _ids(rows),
            "timestamp": rows["time"],
            "merchant_category": of_categories("payments").astype(object)[rows["category"]],
            "card_present": ~online,
            "distance_from_home_km": rows["from_home"].round(1).where(located),
            "foreign_transaction": rows["place"] != rows["home"],
            "used_chip": rows["chip"].astype(bool),
            "used_pin_number": rows["pin"].astype(bool),
            "online_order": online,
            "repeat_retailer": rows["repeat"],
            "distance_from_last_transaction": rows["km"].round(1).where(~rows["first"]),
            "ratio_to_median_purchase_price": rows["ratio"].round(3),
            "country": of_countries("code").astype(object)[rows["place"]],
            "email": _emails(rows),
            "device_id": ("sim-device-" + rows["device"].astype("int64").astype(str)).where(by_device, None),
        }
    )
    return _as_told(frame, rows["user"].to_numpy(), random)


def _emails(rows: pd.DataFrame) -> np.ndarray:
    """Everybody's own address; half of those who use one device for many give one address for all of them."""
    own = ("sim-user-" + rows["user"].astype(str) + "@example.org").to_numpy(object)
    device = rows["device"].to_numpy("int64")
    shared = (device >= THIEVES) & (device % 2 == 0)
    return np.where(shared, np.char.add(np.char.add("sim-", device.astype(str)), "@example.org").astype(object), own)


def _as_told(frame: pd.DataFrame, user: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """The same with what each user's sender does not tell taken out."""
    optional = [name for name in frame if name not in ALWAYS]
    shares = [share for share, _ in SENDERS]
    users = int(user.max(initial=-1)) + 1
    sender, any_of = random.choice(len(SENDERS), users, p=shares), random.random((users, len(optional))) < 0.5
    told = np.array([[_tells(fields, name) for name in optional] for _, fields in SENDERS])[sender]
    told |= any_of & np.array(["any" in fields for _, fields in SENDERS])[sender][:, None]
    return frame.assign(**{name: _where(frame[name], told[user, at]) for at, name in enumerate(optional)})


def _where(column: pd.Series, told: np.ndarray) -> pd.Series:
    """A number that is not told is nan, anything else None."""
    number = pd.api.types.is_float_dtype(column)
    return column.where(told) if number else column.astype(object).where(told, None)


def _tells(fields: tuple[str, ...], name: str) -> bool:
    return "all" in fields or name in fields
