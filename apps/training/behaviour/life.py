"""What honest people do: daily payments, the weekly shop, rent and subscriptions, trips, new telephones; and all that
looks like fraud from afar: games, moves and weddings, markets, foreign shops, second tries."""

import numpy as np
import pandas as pd

from apps.training.behaviour.people import BORROWED, METHODS, THIEVES, People, drawn, time_of_day
from apps.training.behaviour.world import (
    BY_WORD,
    CATEGORIES,
    COUNTRIES,
    DAY,
    ENTERTAINMENT,
    GAMING,
    GROCERIES,
    UTILITIES,
    between,
    kilometres,
    of_categories,
    of_countries,
)  # fmt: skip

MOST_HONEST_USD = 60_000.0
SHOPS = 300  # of a category in a country
FAVOURITES = 3  # shops of a category most of a person's money goes to
CONTACTLESS_USD = 50.0  # up to which nobody asks for a PIN
STATUSES = {"Completed": 0.955, "Failed": 0.03, "Pending": 0.015}
PLANE_KMH = 750.0
MONTH = 30 * DAY


def honest(people: People, random: np.random.Generator) -> pd.DataFrame:
    """All honest rows, with how and where each was paid."""
    makers = (_daily, _weekly_shop, _rent, _subscriptions, _games, _large_days, _big_tickets, _markets)
    rows = pd.concat([maker(people, random) for maker in makers], ignore_index=True)
    rows = rows[(rows["at"] < people.until) & (rows["at"] >= people.since[rows["user"]])].reset_index(drop=True)
    rows = as_usual(rows, people, random)
    rows = _in_foreign_shops(_travelled(rows, people, random), random)
    rows["usd"] = rows["usd"].clip(0.1, MOST_HONEST_USD)
    rows["status"] = drawn(STATUSES, len(rows), random)
    rows = _second_tries(rows, random)
    return rows[rows["at"] < people.until].assign(typology="")


def _frame(user: np.ndarray, at: np.ndarray, usd: np.ndarray, category: np.ndarray | int) -> pd.DataFrame:
    """Rows whose shop is still open (-1: as the user chooses)."""
    return pd.DataFrame({"user": user, "at": at, "usd": usd, "category": category, "shop": -1, "online": -1})


def _daily(people: People, random: np.random.Generator) -> pd.DataFrame:
    """As many a day, at such hours and of such amounts as the user's are."""
    days = (people.until - people.since) / DAY
    user = np.repeat(np.arange(len(days)), random.poisson(people.a_day * days))
    day = np.floor(people.since[user] / DAY + random.random(len(user)) * days[user])
    share = of_categories("share")
    category = random.choice(len(CATEGORIES), len(user), p=share / share.sum())
    large = np.where(random.random(len(user)) < 0.004, between((4, 22), len(user), random), 1.0)
    spread = people.spread[user] * of_categories("spread")[category]
    usd = people.usual_usd[user] * of_categories("level")[category] * large * random.lognormal(0, spread)
    return _frame(user, day * DAY + time_of_day(people.owl[user], random), usd, category)


def _weekly_shop(people: People, random: np.random.Generator) -> pd.DataFrame:
    """Three people in five fill their car once a week, some once a month for a whole family."""
    each = np.where(random.random(len(people.home)) < 0.6, 7 * DAY, np.inf)
    user, at = _regular(people, each, random)
    level = between((2, 9), len(people.home), random)[user]
    return _frame(user, at, people.usual_usd[user] * level * random.lognormal(0, 0.3, len(user)), GROCERIES)


def _rent(people: People, random: np.random.Generator) -> pd.DataFrame:
    """The same large sum to the same payee once a month."""
    each = np.where(random.random(len(people.home)) < 0.5, MONTH, np.inf)
    user, at = _regular(people, each, random)
    sum_usd = people.usual_usd * between((8, 45), len(people.home), random)
    return _frame(user, at, sum_usd[user], UTILITIES).assign(shop=SHOPS + 1, online=1)


def _subscriptions(people: People, random: np.random.Generator) -> pd.DataFrame:
    """A small sum to the same payee once a month, at any hour: a machine takes it."""
    each = np.where(random.random(len(people.home)) < 0.6, MONTH, np.inf)
    user, at = _regular(people, each, random)
    hour = random.uniform(0, DAY, len(people.home))[user]
    fee = between((3, 20), len(people.home), random)[user]
    return _frame(user, at // DAY * DAY + hour, fee, ENTERTAINMENT).assign(shop=SHOPS + 2, online=1)


def _regular(people: People, each: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Users and times of what comes round every so many seconds, at much the same hour."""
    lived = people.until - people.since
    count = np.where(np.isfinite(each), lived // each, 0).astype(int)
    user = np.repeat(np.arange(len(each)), count)
    turn = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
    begin = people.since + random.random(len(each)) * np.where(np.isfinite(each), each, DAY)
    hour = random.uniform(8, 20, len(each)) * 3600.0 + random.normal(0, 1, len(each))
    at = np.floor((begin[user] + turn * each[user]) / DAY) * DAY + hour[user] + random.normal(0, 3000, len(user))
    return user, at


def _games(people: People, random: np.random.Generator) -> pd.DataFrame:
    """Players buy something small every few minutes in one game: what card testing looks like from afar."""
    player = random.random(len(people.home)) < 0.12
    sessions = np.repeat(np.arange(len(player)), random.poisson(2.5, len(player)) * player)
    rows = runs(people, sessions, (3, 10), (0.7, 10), random)
    return rows.assign(usd=between((0.3, 8), len(rows), random), category=GAMING, online=1, shop=SHOPS + 3)


def _large_days(people: People, random: np.random.Generator) -> pd.DataFrame:
    """A move, a wedding, a refurbishment: several large payments in a row."""
    days = np.repeat(np.arange(len(people.home)), random.poisson(0.3, len(people.home)))
    rows = runs(people, days, (1, 5), (20, 300), random)
    words = [BY_WORD[word] for word in ("Electronics", "Shopping", "Jewelry", "Travel", "Transfer", "Health")]
    usd = people.usual_usd[rows["user"]] * between((3, 22), len(rows), random)
    return rows.assign(usd=usd, category=random.choice([*words, 14, 14], len(rows)), shop=-1, online=-1)


def _big_tickets(people: People, random: np.random.Generator) -> pd.DataFrame:
    """A journey, a computer, a sofa, ordered once in a few years."""
    user = np.repeat(np.arange(len(people.home)), random.poisson(0.35, len(people.home)))
    at = people.since[user] + random.random(len(user)) * (people.until - people.since[user])
    at = np.floor(at / DAY) * DAY + time_of_day(people.owl[user], random)
    usd = people.usual_usd[user] * between((15, 120), len(user), random)
    category = random.choice([BY_WORD["Travel"], BY_WORD["Electronics"], 14], len(user))
    return _frame(user, at, usd, category).assign(online=1)


def _markets(people: People, random: np.random.Generator) -> pd.DataFrame:
    """A Saturday in town, a market, a fair: shop after shop within hours."""
    days = np.repeat(np.arange(len(people.home)), random.poisson(0.8, len(people.home)))
    rows = runs(people, days, (4, 9), (6, 50), random)
    usd = people.usual_usd[rows["user"]] * random.lognormal(-0.2, 0.6, len(rows))
    category = random.choice([GROCERIES, 1, 5, 15, 16], len(rows))
    return rows.assign(usd=usd, category=category, shop=-1, online=np.repeat(0, len(rows)))


def runs(
    people: People, users: np.ndarray, rows: tuple[int, int], gap_minutes: tuple[float, float],
    random: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Runs of rows, one a user in `users`, with gaps between their rows: user, at."""
    lengths = random.integers(rows[0], rows[1] + 1, len(users))
    begin = people.since[users] + random.random(len(users)) * (people.until - people.since[users])
    begin = np.floor(begin / DAY) * DAY + time_of_day(people.owl[users], random)
    at = np.repeat(np.maximum(begin, people.since[users]), lengths) + elapsed(lengths, gap_minutes, random)
    return pd.DataFrame({"user": np.repeat(users, lengths), "at": at})


def elapsed(lengths: np.ndarray, gap_minutes: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Seconds since each run's first row; a run keeps much the same pace."""
    total, run = int(lengths.sum()), np.repeat(np.arange(len(lengths)), lengths)
    gaps = between(gap_minutes, len(lengths), random)[run] * random.lognormal(0, 0.4, total) * 60.0
    series = pd.Series(gaps)
    return (series.groupby(run).cumsum() - series.groupby(run).transform("first")).to_numpy()


# How it is paid


def as_usual(rows: pd.DataFrame, people: People, random: np.random.Generator) -> pd.DataFrame:
    """Where, in which shop, on which device, with which card and proof the user pays as a rule."""
    user, count = rows["user"].to_numpy(), len(rows)
    category = rows["category"].to_numpy()
    ordered = np.minimum(of_categories("online")[category] * people.online[user], 1.0)
    online = np.where(rows["online"] < 0, random.random(count) < ordered, rows["online"] > 0)
    rows = rows.assign(
        online=online,
        place=people.home[user],
        latitude=people.latitude[user] + np.where(online, 0.0, random.normal(0, 0.03, count)),
        longitude=people.longitude[user] + np.where(online, 0.0, random.normal(0, 0.03, count)),
        shop=np.where(rows["shop"] < 0, _shops(user, category, random), rows["shop"]),
        device=_own_device(rows, people, random),
        card=people.card[user],
    )
    return proven(rows, people, random)


def _shops(user: np.ndarray, category: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A favourite of the user's, or any shop; few sell most."""
    count = len(user)
    favourite = (user * 7 + category * 13 + random.integers(0, FAVOURITES, count) * 29) % SHOPS
    return np.where(random.random(count) < 0.6, favourite, np.floor(between((1, SHOPS), count, random))).astype(int)


def _own_device(rows: pd.DataFrame, people: People, random: np.random.Generator) -> np.ndarray:
    user, count = rows["user"].to_numpy(), len(rows)
    changed = rows["at"].to_numpy() > people.changes_device_at[user]
    own = np.where(changed, people.next_device[user], people.device[user])
    device = np.where(random.random(count) < 0.12, people.second_device[user], own)
    return np.where(random.random(count) < 0.02, random.integers(BORROWED, THIEVES, count), device)


def proven(rows: pd.DataFrame, people: People, random: np.random.Generator) -> pd.DataFrame:
    """Chip and PIN in shops as amount and country want it, telephones there; the user's own proof when remote."""
    user, count = rows["user"].to_numpy(), len(rows)
    online = rows["online"].to_numpy(bool)
    wallet = ~online & (random.random(count) < people.taps[user])
    chip = ~online & (random.random(count) < 0.99)
    asked = (rows["usd"].to_numpy() > CONTACTLESS_USD * random.lognormal(0, 0.5, count)) | (random.random(count) < 0.25)
    pin = chip & ~wallet & asked & (random.random(count) < of_countries("pins")[rows["place"].to_numpy()])
    remote = np.where(random.random(count) < 0.8, people.method[user], drawn(METHODS, count, random))
    in_shop = np.select([wallet, pin, chip], ["Biometric", "PIN", "PIN"], "Signature")
    return rows.assign(wallet=wallet, chip=chip, pin=pin, method=np.where(online, remote, in_shop).astype(object))


# Away from home


def _travelled(rows: pd.DataFrame, people: People, random: np.random.Generator) -> pd.DataFrame:
    """The same rows, those during the users' trips paid where the users were; some travel all the time."""
    frequent = random.random(len(people.home)) < 0.15
    for share in (0.4, 0.15, 0.05, 0.0, 0.0, 0.0):
        rows = _trips(rows, people, (random.random(len(people.home)) < share) | frequent, random)
    return rows


def _trips(rows: pd.DataFrame, people: People, travels: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """On the way there and back nobody pays; what a machine takes at home it takes during the trip, too."""
    users, user, at = len(travels), rows["user"].to_numpy(), rows["at"].to_numpy()
    begin = np.where(travels, random.uniform(0, people.until, users), np.inf)
    end = begin + random.integers(2, 15, users) * DAY
    domestic = random.random(users) < 0.4
    place = np.where(domestic, people.home, random.integers(0, len(COUNTRIES), users))
    there = of_countries("latitude")[place], of_countries("longitude")[place]
    km = np.where(domestic, 400.0, kilometres(people.latitude, people.longitude, *there))
    on_the_way = (km / PLANE_KMH + random.uniform(1.5, 5, users)) * 3600.0
    rows = _at_airports(rows, begin, on_the_way, random)
    user, at = rows["user"].to_numpy(), rows["at"].to_numpy()
    on_the_way = on_the_way[user]
    since, until = begin[user], end[user]
    travelling = ((at >= since - on_the_way) & (at < since)) | ((at >= until) & (at < until + on_the_way))
    rows = rows[~travelling].reset_index(drop=True)
    user, at = user[~travelling], at[~travelling]
    away = (at >= begin[user]) & (at < end[user])
    himself = away & (rows["shop"].to_numpy() <= SHOPS)
    local_phone = (random.random(users) < 0.2)[user] & himself
    phone = random.integers(BORROWED, THIEVES, users)[user]
    usual_place = rows["place"].to_numpy()
    rows = moved(rows, away, place[user], random, off=np.where(domestic, random.normal(0, 4, users), 0.0)[user])
    return rows.assign(
        place=np.where(himself, rows["place"], usual_place),
        device=np.where(local_phone, phone, rows["device"]),
        card=np.where(himself & (place[user] != people.home[user]), people.travel_card[user], rows["card"]),
        usd=rows["usd"] * np.where(himself, random.lognormal(0.4, 0.4, len(rows)), 1.0),
        shop=np.where(himself, random.integers(0, SHOPS, len(rows)), rows["shop"]),
    )


def _at_airports(
    rows: pd.DataFrame, begin: np.ndarray, on_the_way: np.ndarray, random: np.random.Generator
) -> pd.DataFrame:
    """With a payment just before the way there and one on arrival."""
    rows = rows.sort_values(["user", "at"], kind="stable", ignore_index=True)
    travellers = np.flatnonzero(np.isfinite(begin))
    lifetime = float(rows["at"].max()) + MONTH if len(rows) else MONTH
    line = rows["user"].to_numpy() * lifetime + rows["at"].to_numpy()
    after = np.searchsorted(line, travellers * lifetime + begin[travellers])
    owner = np.append(rows["user"].to_numpy(), -1)
    there = travellers[owner[after] == travellers]
    back = travellers[owner[after - 1] == travellers]
    arrival = rows.iloc[after[owner[after] == travellers]].assign(
        at=begin[there] + random.uniform(60, 2400, len(there))
    )
    leaving = rows.iloc[after[owner[after - 1] == travellers] - 1]
    leaving = leaving.assign(at=begin[back] - on_the_way[back] - random.uniform(60, 2400, len(back)))
    return pd.concat([rows, arrival, leaving], ignore_index=True)


def _in_foreign_shops(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Some orders go to a shop abroad while the user sits at home."""
    abroad = (random.random(len(rows)) < 0.12) & rows["online"].to_numpy(bool) & (rows["shop"].to_numpy() <= SHOPS)
    place = random.integers(0, len(COUNTRIES), len(rows))
    return rows.assign(place=np.where(abroad, place, rows["place"]))


def moved(
    rows: pd.DataFrame,
    chosen: np.ndarray,
    place: np.ndarray,
    random: np.random.Generator,
    off: np.ndarray | float = 0.0,
) -> pd.DataFrame:
    """The chosen rows happen in their `place` instead, in its largest city or `off` degrees from it."""
    latitude = of_countries("latitude")[place] + random.normal(0, 0.05, len(rows)) + off
    longitude = of_countries("longitude")[place] + random.normal(0, 0.05, len(rows)) + off
    return rows.assign(
        place=np.where(chosen, place, rows["place"]),
        latitude=np.where(chosen, latitude, rows["latitude"]),
        longitude=np.where(chosen, longitude, rows["longitude"]),
    )


def _second_tries(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Most who fail try again a moment later; a few pay twice, because the terminal said nothing."""
    failed = (rows["status"] == "Failed") & (random.random(len(rows)) < 0.7)
    again = rows[failed | (random.random(len(rows)) < 0.004)]
    at = again["at"] + random.uniform(20, 240, len(again))
    status = np.where(random.random(len(again)) < 0.25, "Failed", "Completed")
    return pd.concat([rows, again.assign(at=at, status=status)], ignore_index=True)
