"""Card activity as our own seeded simulator makes it: users, their habits, and what fraudsters do with their cards.

No public file with these columns has labels worth learning from, so the models of `card_activity` learn from these
rows, and a figure measured on them speaks of the simulator, not of anybody's customers (docs/card-activity.md).

Everybody has a home, a card, one or two devices, a rhythm of the day, a usual amount and usual shops. Frauds come in
episodes of one of the `SCHEMES`. Each scheme has its honest look-alikes, so that no single rule tells them apart:

* stolen_card_abroad: trips, some with a phone bought for the trip; purchases in foreign shops from the sofa at home;
* account_takeover: new phones, borrowed devices, families sharing one;
* card_testing: a game's many small purchases, second tries after a failure;
* bust_out: days of large purchases.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from apps.scoring.engine.operations import BLOCK
from apps.scoring.engine.schemas.card_activity import DERIVED, USD_PER_UNIT, derived

FIRST_DAY = np.datetime64("2025-01-01", "ms")
BURN_IN_DAYS = 30  # lived before the first row, so that counts and times of old customers do not begin at nothing
DAY = 86_400.0  # seconds
MOST_HONEST_USD = 60_000.0
MOST_FRAUD_USD = 2e7
FRAUD_EPISODES_A_DAY = 0.0019  # a user
EARTH_RADIUS_KM = 6371.0
MERCHANTS_OF_A_KIND = 300  # in one country


class Country(NamedTuple):
    """`users` is its share of all users, `usual_usd` the middle of what one pays there at a time."""

    name: str
    currency: str
    latitude: float
    longitude: float
    users: float
    usual_usd: float
    cards: tuple[str, ...]


ANYWHERE = ("Visa", "MasterCard", "Credit", "Debit", "Debit")
COUNTRIES = (
    Country("Uzbekistan", "UZS", 41.3, 69.2, 0.40, 8, ("UzCard", "UzCard", "UzCard", "Humo", "Humo", "Visa")),
    Country("Kazakhstan", "KZT", 43.2, 76.9, 0.14, 10, ANYWHERE),
    Country("Russia", "RUB", 55.8, 37.6, 0.14, 12, ("Mir", "Mir", "Visa", "MasterCard", "Credit", "Debit")),
    Country("USA", "USD", 40.7, -74.0, 0.09, 26, ANYWHERE),
    Country("Germany", "EUR", 52.5, 13.4, 0.06, 24, ANYWHERE),
    Country("Turkey", "TRY", 41.0, 29.0, 0.05, 11, ANYWHERE),
    Country("UAE", "AED", 25.2, 55.3, 0.03, 30, ANYWHERE),
    Country("UK", "GBP", 51.5, -0.1, 0.03, 25, ANYWHERE),
    Country("China", "CNY", 39.9, 116.4, 0.02, 13, ("UnionPay", "UnionPay", "Visa", "Debit")),
    Country("India", "INR", 28.6, 77.2, 0.02, 7, ANYWHERE),
    Country("Kyrgyzstan", "KGS", 42.9, 74.6, 0.01, 7, ("Elcart", "Visa", "Debit")),
    Country("South Korea", "KRW", 37.6, 127.0, 0.01, 20, ANYWHERE),
)

# Category: its share of honest payments, and its amounts against what the user pays as a rule.
CATEGORIES = {
    "Groceries": (0.27, 0.9), "Restaurants": (0.14, 0.8), "Transport": (0.13, 0.4), "Utilities": (0.08, 1.5),
    "Health": (0.05, 1.4), "Shopping": (0.09, 1.6), "Entertainment": (0.06, 0.9), "Education": (0.02, 4.0),
    "Gaming": (0.04, 0.7), "Electronics": (0.03, 5.0), "Travel": (0.03, 7.0), "Transfer": (0.04, 3.0),
    "Jewelry": (0.01, 8.0), "Crypto": (0.01, 4.0),
}  # fmt: skip
METHODS = {"OTP": 0.32, "PIN": 0.26, "Biometric": 0.16, "3DS": 0.10, "Password": 0.10, "2FA": 0.04, "CVV": 0.02}
STATUSES = {"Completed": 0.955, "Failed": 0.03, "Pending": 0.015}


class Scheme(NamedTuple):
    """How one kind of fraudster works. Pairs are the ends of ranges, drawn evenly over the orders of magnitude."""

    typology: str
    share: float  # of the episodes
    rows: tuple[int, int]
    gap_minutes: tuple[float, float]  # between two rows of an episode
    amount: tuple[float, float]  # of the user's usual amount, or of a dollar
    relative: bool
    at_home: float  # share of episodes in the user's own country
    own_device: float
    failed: float
    at_night: float
    categories: tuple[str, ...]
    methods: tuple[str, ...]


SCHEMES = (
    Scheme("stolen_card_abroad", 0.36, (1, 7), (4, 180), (1.5, 45), True, 0.0, 0.12, 0.14, 0.40,
           ("Electronics", "Travel", "Gaming", "Jewelry", "Shopping", "Restaurants"),
           ("PIN", "PIN", "CVV", "CVV", "Password", "OTP")),
    Scheme("account_takeover", 0.36, (1, 8), (1, 90), (1.0, 40), True, 0.75, 0.08, 0.12, 0.35,
           ("Transfer", "Transfer", "Crypto", "Electronics", "Gaming", "Shopping"),
           ("Password", "Password", "OTP", "OTP", "PIN", "CVV")),
    Scheme("card_testing", 0.13, (6, 26), (0.1, 6), (0.2, 4), False, 0.6, 0.05, 0.55, 0.35,
           ("Gaming", "Entertainment", "Shopping", "Transport"),
           ("CVV", "CVV", "Password", "3DS")),
    Scheme("bust_out", 0.15, (4, 14), (10, 500), (6, 250), True, 0.93, 0.95, 0.08, 0.12,
           ("Electronics", "Jewelry", "Travel", "Crypto", "Transfer"),
           ("PIN", "OTP", "OTP", "3DS", "Biometric")),
)  # fmt: skip
EXTREME = 0.10  # share of episodes, card testing apart, in which the amounts know no measure


class People(NamedTuple):
    """Users as one array a trait; places are indices into `COUNTRIES`, times seconds since the burn-in began."""

    home: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    card: np.ndarray
    travel_card: np.ndarray
    device: np.ndarray
    second_device: np.ndarray
    next_device: np.ndarray
    changes_device_at: np.ndarray
    method: np.ndarray
    usual_usd: np.ndarray
    spread: np.ndarray
    a_day: np.ndarray
    owl: np.ndarray
    since: np.ndarray
    until: float


def simulate(users: int = 3000, days: int = 90, seed: int = 7) -> pd.DataFrame:
    """Transactions of `users` people over `days` days in order of time: the documented fields, `transaction_id`,
    `Timestamp` (local time), `is_fraud` (0 or 1) and `typology` ("" when honest). The same seed gives the same rows.
    """
    random = np.random.default_rng(seed)
    people = _people(users, days, random)
    honest = _second_tries(_honest(people, random), random)
    rows = pd.concat([honest, _frauds(people, random)], ignore_index=True)
    rows = rows.sort_values(["user", "at"], kind="stable", ignore_index=True)
    return _documented(_counted(rows, people, random), random)


def _people(users: int, days: int, random: np.random.Generator) -> People:
    until = (BURN_IN_DAYS + days) * DAY
    home = random.choice(len(COUNTRIES), users, p=[country.users for country in COUNTRIES])
    phones = random.permutation(np.arange(1, 3 * users + 1)) + 100
    newcomer, changes, two = (random.random(users) < share for share in (0.25, 0.35, 0.4))
    device = np.where(random.random(users) < 0.05, phones[random.integers(0, users, users)], phones[:users])
    return People(
        home=home,
        latitude=_of("latitude")[home] + random.normal(0, 0.8, users),
        longitude=_of("longitude")[home] + random.normal(0, 0.8, users),
        card=np.array([random.choice(COUNTRIES[place].cards) for place in home], dtype=object),
        travel_card=random.choice(np.array(["Visa", "MasterCard", "Credit"], dtype=object), users),
        device=device,
        second_device=np.where(two, phones[users : 2 * users], device),
        next_device=phones[2 * users :],
        changes_device_at=np.where(changes, random.uniform(0, until, users), np.inf),
        method=_drawn(METHODS, users, random),
        usual_usd=_of("usual_usd")[home] * random.lognormal(0, 0.6, users),
        spread=random.uniform(0.45, 0.95, users),
        a_day=random.gamma(2.0, 0.58, users),
        owl=random.random(users) < 0.1,
        since=np.where(newcomer, random.uniform(BURN_IN_DAYS * DAY, until, users), 0.0),
        until=until,
    )


def _of(trait: str) -> np.ndarray:
    return np.array([getattr(country, trait) for country in COUNTRIES])


def _drawn(shares: dict[str, float], count: int, random: np.random.Generator) -> np.ndarray:
    return random.choice(np.array(list(shares), dtype=object), count, p=list(shares.values()))


def _between(ends: tuple[float, float], count: int, random: np.random.Generator) -> np.ndarray:
    """Evenly over the orders of magnitude between two ends."""
    return np.exp(random.uniform(np.log(ends[0]), np.log(ends[1]), count))


# Honest life


def _honest(people: People, random: np.random.Generator) -> pd.DataFrame:
    kinds = (_payments, _game_sessions, _shopping_days)
    rows = pd.concat([_at_home(kind(people, random), people, random) for kind in kinds], ignore_index=True)
    rows = _in_foreign_shops(_travelled(rows, people, random), random)
    rows["usd"] = rows["usd"].clip(0.1, MOST_HONEST_USD)
    rows["status"] = _drawn(STATUSES, len(rows), random)
    return rows[rows["at"] < people.until].assign(typology="")


def _payments(people: People, random: np.random.Generator) -> pd.DataFrame:
    """The daily ones: as many a day, at such hours and of such amounts as the user's are."""
    days = (people.until - people.since) / DAY
    user = np.repeat(np.arange(len(days)), random.poisson(people.a_day * days))
    day = np.floor(people.since[user] / DAY + random.random(len(user)) * days[user])
    category = _drawn({name: share for name, (share, _) in CATEGORIES.items()}, len(user), random)
    against_usual = np.array([CATEGORIES[name][1] for name in category])
    large = np.where(random.random(len(user)) < 0.004, _between((10, 120), len(user), random), 1.0)
    usd = people.usual_usd[user] * against_usual * large * random.lognormal(0, people.spread[user])
    at = np.maximum(day * DAY + _time_of_day(people.owl[user], random), people.since[user])
    return pd.DataFrame({"user": user, "at": at, "usd": usd, "category": category})


def _time_of_day(owl: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds after midnight: around noon, in the evening, at any hour; owls after midnight."""
    count = len(owl)
    hour = np.select(
        [(draw := random.random(count)) < 0.04, owl & (draw < 0.6), draw < 0.6],
        [random.uniform(0, 24, count), random.normal(1.5, 2.5, count), random.normal(12.5, 3.0, count)],
        random.normal(19.0, 2.0, count),
    )
    return np.mod(hour, 24.0) * 3600.0


def _game_sessions(people: People, random: np.random.Generator) -> pd.DataFrame:
    """Players buy something small every few minutes: what card testing looks like from afar."""
    player = random.random(len(people.home)) < 0.15
    sessions = np.repeat(np.arange(len(player)), random.poisson(2.5, len(player)) * player)
    return _runs(people, sessions, (4, 14), (0.5, 8), random, lambda user: _between((0.3, 6), len(user), random),
                 ("Gaming", "Gaming", "Entertainment"))  # fmt: skip


def _shopping_days(people: People, random: np.random.Generator) -> pd.DataFrame:
    """A move, a wedding, a refurbishment: several large payments in a row."""
    days = np.repeat(np.arange(len(people.home)), random.poisson(0.25, len(people.home)))
    return _runs(people, days, (2, 6), (15, 300), random,
                 lambda user: people.usual_usd[user] * _between((4, 60), len(user), random),
                 ("Electronics", "Shopping", "Jewelry", "Travel", "Transfer"))  # fmt: skip


def _runs(
    people: People,
    users: np.ndarray,
    rows: tuple[int, int],
    gap_minutes: tuple[float, float],
    random: np.random.Generator,
    usd: Callable[[np.ndarray], np.ndarray],
    categories: tuple[str, ...],
) -> pd.DataFrame:
    """Runs of rows, one a user in `users`, with gaps between their rows."""
    lengths = random.integers(rows[0], rows[1] + 1, len(users))
    user = np.repeat(users, lengths)
    begin = people.since[users] + random.random(len(users)) * (people.until - people.since[users])
    begin = np.floor(begin / DAY) * DAY + _time_of_day(people.owl[users], random)
    at = np.repeat(np.maximum(begin, people.since[users]), lengths) + _elapsed(lengths, gap_minutes, random)
    category = np.repeat(random.choice(np.array(categories, dtype=object), len(users)), lengths)
    return pd.DataFrame({"user": user, "at": at, "usd": usd(user), "category": category})


def _elapsed(lengths: np.ndarray, gap_minutes: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Seconds since each run's first row."""
    gaps = pd.Series(_between(gap_minutes, int(lengths.sum()), random) * 60.0)
    run = np.repeat(np.arange(len(lengths)), lengths)
    return (gaps.groupby(run).cumsum() - gaps.groupby(run).transform("first")).to_numpy()


def _at_home(rows: pd.DataFrame, people: People, random: np.random.Generator) -> pd.DataFrame:
    """Where, on which device, with which card and proof the user pays as a rule."""
    user, count = rows["user"].to_numpy(), len(rows)
    changed = rows["at"].to_numpy() > people.changes_device_at[user]
    own = np.where(changed, people.next_device[user], people.device[user])
    device = np.where(random.random(count) < 0.15, people.second_device[user], own)
    borrowed = random.random(count) < 0.008
    usual_method = random.random(count) < 0.75
    return rows.assign(
        place=people.home[user],
        latitude=people.latitude[user] + random.normal(0, 0.05, count),
        longitude=people.longitude[user] + random.normal(0, 0.05, count),
        device=np.where(borrowed, random.integers(500_000, 900_000, count), device),
        card=people.card[user],
        method=np.where(usual_method, people.method[user], _drawn(METHODS, count, random)),
    )


def _travelled(rows: pd.DataFrame, people: People, random: np.random.Generator) -> pd.DataFrame:
    """The same rows, those during the users' trips paid where the users were."""
    for share in (0.35, 0.12):
        rows = _trips(rows, people, random.random(len(people.home)) < share, random)
    return rows


def _trips(rows: pd.DataFrame, people: People, travels: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    users, user = len(travels), rows["user"].to_numpy()
    begin = np.where(travels, random.uniform(0, people.until, users), np.inf)
    end = begin + random.integers(2, 15, users) * DAY
    away = (rows["at"].to_numpy() >= begin[user]) & (rows["at"].to_numpy() < end[user])
    place = random.integers(0, len(COUNTRIES), users)[user]
    local_phone = (random.random(users) < 0.25)[user] & away
    phone = random.integers(500_000, 900_000, users)[user]
    rows = _moved(rows, away, place, random)
    return rows.assign(
        device=np.where(local_phone, phone, rows["device"]),
        card=np.where(away & (place != people.home[user]), people.travel_card[user], rows["card"]),
        usd=rows["usd"] * np.where(away, random.lognormal(0.5, 0.4, len(rows)), 1.0),
    )


def _in_foreign_shops(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Some payments go to a shop abroad while the user sits at home."""
    abroad = (random.random(len(rows)) < 0.012) & ~rows["category"].isin(["Groceries", "Transport"]).to_numpy()
    return _moved(rows, abroad, random.integers(0, len(COUNTRIES), len(rows)), random)


def _moved(rows: pd.DataFrame, chosen: np.ndarray, place: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """The chosen rows happen in their `place` instead, somewhere in its largest city."""
    latitude = _of("latitude")[place] + random.normal(0, 0.05, len(rows))
    longitude = _of("longitude")[place] + random.normal(0, 0.05, len(rows))
    return rows.assign(
        place=np.where(chosen, place, rows["place"]),
        latitude=np.where(chosen, latitude, rows["latitude"]),
        longitude=np.where(chosen, longitude, rows["longitude"]),
    )


def _second_tries(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Most who fail try again a moment later."""
    again = rows[(rows["status"] == "Failed") & (random.random(len(rows)) < 0.7)]
    at = again["at"] + random.uniform(20, 240, len(again))
    status = np.where(random.random(len(again)) < 0.3, "Failed", "Completed")
    return pd.concat([rows, again.assign(at=at, status=status)], ignore_index=True)


# Frauds


def _frauds(people: People, random: np.random.Generator) -> pd.DataFrame:
    lived = np.clip((people.until - np.maximum(people.since, BURN_IN_DAYS * DAY)) / DAY, 0.0, None)
    victims = np.repeat(np.arange(len(lived)), random.poisson(FRAUD_EPISODES_A_DAY * lived))
    scheme = random.choice(len(SCHEMES), len(victims), p=[scheme.share for scheme in SCHEMES])
    episodes = [_episodes(SCHEMES[index], victims[scheme == index], people, random) for index in range(len(SCHEMES))]
    rows = pd.concat(episodes, ignore_index=True)
    return rows[rows["at"] < people.until]


def _episodes(scheme: Scheme, victims: np.ndarray, people: People, random: np.random.Generator) -> pd.DataFrame:
    """The rows of one scheme, an episode a victim."""
    count = len(victims)
    lengths = random.integers(scheme.rows[0], scheme.rows[1] + 1, count)
    user, total = np.repeat(victims, lengths), int(lengths.sum())
    at = np.repeat(_when(scheme, victims, people, random), lengths) + _elapsed(lengths, scheme.gap_minutes, random)
    rows = pd.DataFrame({"user": user, "at": at, "usd": _takings(scheme, user, lengths, people, random)})
    rows["category"] = random.choice(np.array(scheme.categories, dtype=object), total)
    rows = _by_a_thief(scheme, _at_home(rows, people, random), lengths, people, random)
    return rows.assign(
        method=random.choice(np.array(scheme.methods, dtype=object), total),
        status=np.where(random.random(total) < scheme.failed, "Failed", "Completed"),
        typology=scheme.typology,
    )


def _by_a_thief(
    scheme: Scheme, rows: pd.DataFrame, lengths: np.ndarray, people: People, random: np.random.Generator
) -> pd.DataFrame:
    """Where and on which device each episode happens; at home, too, a thief is rarely where the victim is."""
    count, user = len(lengths), rows["user"].to_numpy()
    abroad = np.repeat(random.random(count) >= scheme.at_home, lengths)
    elsewhere = np.repeat(random.integers(1, len(COUNTRIES), count), lengths)
    remote = np.repeat(random.random(count) >= scheme.own_device, lengths)
    device = np.repeat(_thieves_devices(count, random), lengths)
    degrees_off = np.repeat(random.normal(0, 1.5, count), lengths)
    rows = _moved(rows, abroad, (people.home[user] + elsewhere) % len(COUNTRIES), random)
    return rows.assign(
        latitude=rows["latitude"] + np.where(remote & ~abroad, degrees_off, 0.0),
        device=np.where(remote, device, rows["device"]),
    )


def _when(scheme: Scheme, victims: np.ndarray, people: People, random: np.random.Generator) -> np.ndarray:
    first = np.maximum(people.since[victims], BURN_IN_DAYS * DAY)
    day = np.floor((first + random.random(len(victims)) * (people.until - first)) / DAY) * DAY
    night = random.random(len(victims)) < scheme.at_night
    time = np.where(night, random.uniform(0, 6, len(victims)) * 3600.0, _time_of_day(people.owl[victims], random))
    return np.maximum(day + time, first)


def _takings(
    scheme: Scheme, user: np.ndarray, lengths: np.ndarray, people: People, random: np.random.Generator
) -> np.ndarray:
    """Dollars of each row: an episode has its own level, its rows vary around it."""
    level = np.repeat(_between(scheme.amount, len(lengths), random), lengths)
    usd = level * random.lognormal(0, 0.5, len(user)) * (people.usual_usd[user] if scheme.relative else 1.0)
    extreme = (random.random(len(lengths)) < EXTREME) & scheme.relative
    beyond = np.where(extreme, _between((10, 1e5), len(lengths), random), 1.0)
    return np.minimum(usd * np.repeat(beyond, lengths), MOST_FRAUD_USD)


def _thieves_devices(count: int, random: np.random.Generator) -> np.ndarray:
    """Half of the thieves use a device for many victims, the others a new one each."""
    return np.where(
        random.random(count) < 0.5, random.integers(900_000, 900_120, count), random.integers(500_000, 900_000, count)
    )


# What the sender writes down


def _counted(rows: pd.DataFrame, people: People, random: np.random.Generator) -> pd.DataFrame:
    """Counts, distance and time against the same user's rows before. Rows are in order of user and time."""
    at, user = np.round(rows["at"].to_numpy()), rows["user"].to_numpy()
    first = np.r_[True, user[1:] != user[:-1]]
    window = random.choice([DAY, 3 * DAY], len(people.home))[user]  # senders count velocity over windows of their own
    rows = rows.assign(
        at=at,
        home=people.home[user],
        minutes=np.where(first, 0.0, np.diff(at, prepend=0.0) / 60.0),
        km=np.where(first, 0.0, _kilometres(rows["latitude"].to_numpy(), rows["longitude"].to_numpy())),
        velocity=_within(user, at, window) + 1,
        before=_within(user, at, np.full(len(rows), BURN_IN_DAYS * DAY)),
    )
    return rows[at >= BURN_IN_DAYS * DAY]


def _within(user: np.ndarray, at: np.ndarray, window: np.ndarray) -> np.ndarray:
    """How many of the user's earlier rows lie within `window` seconds before each row."""
    lifetime = np.max(at, initial=0.0) + np.max(window, initial=0.0) + 1.0
    line = user * lifetime + at  # every user's time on a stretch of its own
    earliest = np.maximum(line - window, user * lifetime)
    return np.arange(len(line)) - np.searchsorted(line, earliest, side="left")


def _kilometres(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Great-circle distance of each place from the one before; the first has none before."""
    phi, theta = np.radians(latitude), np.radians(longitude)
    earlier_phi, earlier_theta = np.r_[phi[:1], phi[:-1]], np.r_[theta[:1], theta[:-1]]
    along = np.cos(phi) * np.cos(earlier_phi) * np.sin((theta - earlier_theta) / 2) ** 2
    hav = np.sin((phi - earlier_phi) / 2) ** 2 + along
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(hav, 0.0, 1.0)))


def _currencies(rows: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """The place's currency, or, for two payments abroad in five, the one the card's bank already turned it into."""
    local = np.array([country.currency for country in COUNTRIES], dtype=object)
    place, home = rows["place"].to_numpy(), rows["home"].to_numpy()
    return local[np.where(random.random(len(rows)) < 0.4, home, place)]


def _merchants(rows: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """Shops of the place and the category, few of which sell most."""
    category = pd.Index(list(CATEGORIES)).get_indexer(rows["category"])
    shop = np.floor(_between((1, MERCHANTS_OF_A_KIND), len(rows), random))
    return ((rows["place"].to_numpy() * len(CATEGORIES) + category) * MERCHANTS_OF_A_KIND + shop).astype("int64")


def _documented(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """The documented fields of rows in order of time."""
    rows = rows.sort_values(["at", "user"], kind="stable", ignore_index=True)
    time = pd.DatetimeIndex(FIRST_DAY + ((rows["at"] - BURN_IN_DAYS * DAY) * 1000).astype("int64").to_numpy())
    currency = _currencies(rows, random)
    rate = np.array([USD_PER_UNIT[name] for name in currency])
    frame = pd.DataFrame(
        {
            "transaction_id": [f"sim-{number}" for number in range(1, len(rows) + 1)],
            "Timestamp": time,
            "User_ID": rows["user"] + 1000,
            "Transaction_Amount": np.maximum(np.round(rows["usd"] / rate, 2), 0.01),
            "Transaction_Location": np.array([country.name for country in COUNTRIES], dtype=object)[rows["place"]],
            "Merchant_ID": _merchants(rows, random),
            "Device_ID": rows["device"].astype("int64"),
            "Card_Type": rows["card"],
            "Transaction_Currency": currency,
            "Transaction_Status": rows["status"],
            "Previous_Transaction_Count": rows["before"].astype("int64"),
            "Distance_Between_Transactions_km": rows["km"].round(1),
            "Time_Since_Last_Transaction_min": rows["minutes"].round(1),
            "Authentication_Method": rows["method"],
            "Transaction_Velocity": rows["velocity"].astype("int64"),
            "Transaction_Category": rows["category"],
            "Transaction_Hour": time.hour.astype("int64"),
            "Transaction_Day": time.day.astype("int64"),
            "Transaction_Month": time.month.astype("int64"),
            "Transaction_Weekday": time.day_of_week.astype("int64"),
        }
    )
    computed = pd.DataFrame(dict(zip(DERIVED, derived(frame, BLOCK), strict=True)))
    return pd.concat([frame, computed], axis=1).assign(
        is_fraud=(rows["typology"] != "").astype("int64"), typology=rows["typology"]
    )
