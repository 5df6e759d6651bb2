"""Episodes of fraud: the rows that `typologies` make of victims."""

import numpy as np
import pandas as pd

from apps.training.behaviour.life import SHOPS, as_usual, elapsed, moved
from apps.training.behaviour.people import BORROWED, BURN_IN_DAYS, THIEVES, People, time_of_day
from apps.training.behaviour.typologies import (
    AFTER_TESTING,
    EPISODES_A_DAY,
    EXTREME,
    FARMED,
    IMPOSSIBLE,
    IMPOSSIBLE_RUN,
    IMPOSSIBLE_TIMES,
    IMPOSSIBLE_USD,
    PATIENT,
    RESOLD,
    SAME_FARM,
    SOON_AFTER,
    SOON_MINUTES,
    TYPOLOGIES,
    Typology,
)  # fmt: skip
from apps.training.behaviour.world import BY_WORD, COUNTRIES, DAY, between

MOST_FRAUD_USD = 3e7
FARMS = 60  # devices that thieves use for many
LARGE_FARMS = 950_000  # devices of whole farms
FARM_DAYS = 3  # on which such a device works before it is given up
NEW_ACCOUNT_DAYS = 45
TESTED_FOR = (200.0, 3000.0)  # dollars, once a tested card works


def frauds(people: People, lives: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """All fraudulent rows; `lives` are the honest ones, in between which thieves come."""
    lived = np.clip((people.until - np.maximum(people.since, BURN_IN_DAYS * DAY)) / DAY, 0.0, None)
    victims = np.repeat(np.arange(len(lived)), random.poisson(EPISODES_A_DAY * lived))
    kind = random.choice(len(TYPOLOGIES), len(victims), p=[one.share for one in TYPOLOGIES])
    lives = lives[lives["at"] >= BURN_IN_DAYS * DAY].sort_values("user", kind="stable")
    episodes = [_episodes(one, victims[kind == index], people, lives, random) for index, one in enumerate(TYPOLOGIES)]
    rows = pd.concat([*episodes, *_impossible(people, lives, random)], ignore_index=True)
    return rows[rows["at"] < people.until]


def _impossible(people: People, lives: pd.DataFrame, random: np.random.Generator) -> list[pd.DataFrame]:
    """Honest payments once more with one thing changed: the amount, the distance, how many there are, the device,
    the amount against the usual."""
    some = {name: lives[random.random(len(lives)) < share].assign(typology=name) for name, share in IMPOSSIBLE.items()}
    large, far, many, farmed, unusual = (some[name] for name in IMPOSSIBLE)
    later = 60.0 * random.uniform(1, 15, len(far))
    longitude = far["longitude"] + between((4, 180), len(far), random)
    lengths = random.integers(IMPOSSIBLE_RUN[0], IMPOSSIBLE_RUN[1] + 1, len(many))
    run = many.loc[many.index.repeat(lengths)]
    return [
        large.assign(
            usd=between(IMPOSSIBLE_USD, len(large), random), at=large["at"] + random.uniform(60, DAY, len(large))
        ),
        far.assign(at=far["at"] + later, longitude=longitude),
        run.assign(at=run["at"] + elapsed(lengths, (0.1, 2.0), random) + 1.0, shop=random.integers(0, SHOPS, len(run))),
        _farmed(farmed, random),
        _many_times_the_usual(people, unusual, random),
    ]


def _episodes(
    kind: Typology, victims: np.ndarray, people: People, lives: pd.DataFrame, random: np.random.Generator
) -> pd.DataFrame:
    """The rows of one typology, an episode a victim."""
    if kind.newcomers:
        victims = _opened_lately(victims, people, random)
    count = len(victims)
    lengths = random.integers(kind.rows[0], kind.rows[1] + 1, count)
    user, total = np.repeat(victims, lengths), int(lengths.sum())
    begins = _begins(kind, victims, people, random)
    if not kind.own_proof:
        begins = _soon_after(begins, victims, lives, random)
    at = np.repeat(begins, lengths) + elapsed(lengths, kind.gap_minutes, random)
    if kind.name != "card_testing":
        at += _on_later_days(lengths, random)
    rows = pd.DataFrame({"user": user, "at": at, "usd": _takings(kind, user, lengths, people, random)})
    rows["category"] = np.array([BY_WORD[word] for word in random.choice(kind.categories, total)], dtype=int)
    online = np.repeat(random.random(count) < kind.remote, lengths)
    rows = as_usual(rows.assign(shop=random.integers(0, SHOPS, total), online=online.astype(int)), people, random)
    rows = _by_a_thief(kind, rows, lengths, people, random)
    if kind.name == "card_testing":
        rows = _then_used(rows, lengths, random)
    return rows.assign(
        status=np.where(random.random(len(rows)) < kind.failed, "Failed", "Completed"), typology=kind.name
    )


def _soon_after(
    begins: np.ndarray, victims: np.ndarray, lives: pd.DataFrame, random: np.random.Generator
) -> np.ndarray:
    """Some of the beginnings put minutes after a payment of the victim's own."""
    owner, at = lives["user"].to_numpy(), lives["at"].to_numpy()
    first, last = (np.searchsorted(owner, victims, side) for side in ("left", "right"))
    some = (random.random(len(victims)) < SOON_AFTER) & (last > first)
    found = (
        at[np.where(some, first + (random.random(len(victims)) * (last - first)).astype(int), 0)] if len(at) else begins
    )
    return np.where(some, found + 60.0 * random.uniform(*SOON_MINUTES, len(victims)), begins)


def _farmed(some: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Payments of many people on one device, a group of them within the hour of its first."""
    some = some[some["online"].astype(bool)].sort_values("at", kind="stable")
    count = len(some)
    group = np.repeat(np.arange(count), random.integers(FARMED[0], FARMED[1] + 1, count))[:count]
    begins = some["at"].groupby(group).transform("first")
    return some.assign(at=begins + random.uniform(0, 3600.0, count), device=LARGE_FARMS + group)


def _many_times_the_usual(people: People, some: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Orders of goods for many times what the user pays as a rule, wherever they were going to pay."""
    usd = people.usual_usd[some["user"]] * between(IMPOSSIBLE_TIMES, len(some), random)
    goods = random.choice([BY_WORD[word] for word in RESOLD], len(some))
    return some.assign(
        usd=usd, category=goods, shop=random.integers(0, SHOPS, len(some)), online=1, chip=False, pin=False,
        wallet=False, at=some["at"] + random.uniform(60, DAY, len(some)),
    )  # fmt: skip


def _opened_lately(victims: np.ndarray, people: People, random: np.random.Generator) -> np.ndarray:
    """So many accounts that are new; any, where there are none."""
    new = np.flatnonzero((people.since > 0.0) & (people.since < people.until - 5 * DAY))
    return random.choice(new, len(victims)) if len(new) else victims


def _begins(kind: Typology, victims: np.ndarray, people: People, random: np.random.Generator) -> np.ndarray:
    first = np.maximum(people.since[victims], BURN_IN_DAYS * DAY)
    last = np.minimum(people.until, first + NEW_ACCOUNT_DAYS * DAY) if kind.newcomers else people.until
    day = np.floor((first + random.random(len(victims)) * (last - first)) / DAY) * DAY
    night = random.random(len(victims)) < kind.at_night
    time = np.where(
        night, np.mod(random.uniform(-2, 5, len(victims)), 24) * 3600.0, time_of_day(people.owl[victims], random)
    )
    return np.maximum(day + time, first)


def _on_later_days(lengths: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds by which each row is put off: patient thieves spread an episode over days."""
    patient = np.repeat(random.random(len(lengths)) < PATIENT, lengths)
    turn = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.where(patient, turn // 3 * DAY, 0.0)


def _takings(
    kind: Typology, user: np.ndarray, lengths: np.ndarray, people: People, random: np.random.Generator
) -> np.ndarray:
    """Dollars of each row: an episode has its own level, its rows vary around it."""
    level = np.repeat(between(kind.amount, len(lengths), random), lengths)
    usd = level * random.lognormal(0, 0.35, len(user)) * (people.usual_usd[user] if kind.relative else 1.0)
    extreme = (random.random(len(lengths)) < EXTREME) & kind.relative
    beyond = np.where(extreme, between((5, 1e5), len(lengths), random), 1.0)
    return np.clip(usd * np.repeat(beyond, lengths), 0.1, MOST_FRAUD_USD)


def _by_a_thief(
    kind: Typology, rows: pd.DataFrame, lengths: np.ndarray, people: People, random: np.random.Generator
) -> pd.DataFrame:
    """Where, on which device and with what proof each episode happens."""
    count, total, user = len(lengths), len(rows), rows["user"].to_numpy()
    online = rows["online"].to_numpy(bool)
    own = np.repeat(random.random(count) < kind.own_device, lengths)
    abroad = np.repeat(random.random(count) < kind.abroad, lengths)
    elsewhere = np.repeat(random.integers(1, len(COUNTRIES), count), lengths)
    near = np.repeat(
        random.normal(0, 6.0 if kind.name == "counterfeit" else 0.12, count), lengths
    )  # degrees: a stolen purse is used in the next town
    place = (people.home[user] + elsewhere) % len(COUNTRIES)
    rows = moved(rows, abroad, place, random)
    shift = np.where(abroad | own, 0.0, np.where(online, np.repeat(random.normal(0, 3, count), lengths), near))
    rows = rows.assign(
        latitude=rows["latitude"] + shift,
        device=np.where(
            own, rows["device"], np.repeat(_thieves_devices(rows["at"].to_numpy(), lengths, random), lengths)
        ),
    )
    if kind.own_proof:
        return rows
    method = np.repeat(random.choice(np.array(kind.methods, dtype=object), count), lengths)
    chip = ~online & (np.isin(method, ["PIN", "None"]) | (random.random(total) < 0.15))
    return rows.assign(method=method, chip=chip, pin=~online & (method == "PIN"), wallet=False)


def _thieves_devices(at: np.ndarray, lengths: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Some thieves use a device for many victims within days, the others a new one each."""
    count = len(lengths)
    first = at[np.cumsum(lengths) - lengths] if count else at
    farm = THIEVES + (first // (FARM_DAYS * DAY)).astype(int) * FARMS + random.integers(0, 4, count)
    return np.where(random.random(count) < SAME_FARM, farm, random.integers(BORROWED, THIEVES, count))


def _then_used(rows: pd.DataFrame, lengths: np.ndarray, random: np.random.Generator) -> pd.DataFrame:
    """Half of the tested cards are used for something large minutes later."""
    last = rows.iloc[np.cumsum(lengths) - 1][random.random(len(lengths)) < AFTER_TESTING]
    used = last.assign(
        at=last["at"] + random.uniform(60, 5400, len(last)),
        usd=between(TESTED_FOR, len(last), random),
        category=BY_WORD["Electronics"],
    )
    return pd.concat([rows, used], ignore_index=True)
