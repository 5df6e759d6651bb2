"""Who simulated people are: a home, a rhythm, what they pay as a rule, their devices, how they prove themselves."""

from typing import NamedTuple

import numpy as np

from apps.training.behaviour.world import COUNTRIES, DAY, POPULATIONS, of_countries

BURN_IN_DAYS = 60  # lived before the first row, so that habits do not begin at nothing
BORROWED = 500_000  # devices from here on are nobody's of these people
THIEVES = 900_000  # and from here on those thieves use for many
METHODS = {"OTP": 0.30, "Biometric": 0.30, "3DS": 0.20, "Password": 0.10, "2FA": 0.06, "CVV": 0.04}  # of who is remote


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
    online: np.ndarray  # how many times as often as others they order
    taps: np.ndarray  # share of what they pay in shops by telephone
    owl: np.ndarray
    since: np.ndarray
    until: float


def people(population: str, users: int, days: int, random: np.random.Generator) -> People:
    """As many users of a schema's population over so many days and the burn-in before."""
    until = (BURN_IN_DAYS + days) * DAY
    home = random.choice(len(COUNTRIES), users, p=POPULATIONS[population])
    phones = random.permutation(np.arange(1, 3 * users + 1)) + 100
    newcomer, changes, two, shares, rich = (random.random(users) < part for part in (0.3, 0.35, 0.35, 0.06, 0.03))
    device = np.where(shares, phones[random.integers(0, users, users)], phones[:users])
    return People(
        home=home,
        latitude=of_countries("latitude")[home] + random.normal(0, 0.8, users),
        longitude=of_countries("longitude")[home] + random.normal(0, 0.8, users),
        card=np.array([random.choice(COUNTRIES[place].cards) for place in home], dtype=object),
        travel_card=random.choice(np.array(["Visa", "MasterCard", "Credit"], dtype=object), users),
        device=device,
        second_device=np.where(two, phones[users : 2 * users], device),
        next_device=phones[2 * users :],
        changes_device_at=np.where(changes, random.uniform(0, until, users), np.inf),
        method=drawn(METHODS, users, random),
        usual_usd=of_countries("usual_usd")[home] * random.lognormal(0, 0.6, users) * np.where(rich, 20.0, 1.0),
        spread=random.uniform(0.5, 1.1, users),
        a_day=random.gamma(2.0, 0.6, users),
        online=random.lognormal(-0.2, 0.8, users),
        taps=random.beta(0.5, 1.0, users),
        owl=random.random(users) < 0.12,
        since=np.where(newcomer, random.uniform(BURN_IN_DAYS * DAY, until, users), 0.0),
        until=until,
    )


def drawn(shares: dict[str, float], count: int, random: np.random.Generator) -> np.ndarray:
    """So many words, each as often as its share says."""
    return random.choice(np.array(list(shares), dtype=object), count, p=list(shares.values()))


def time_of_day(owl: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Seconds after midnight: around noon, in the evening, at any hour; owls after midnight."""
    count = len(owl)
    hour = np.select(
        [(draw := random.random(count)) < 0.06, owl & (draw < 0.6), draw < 0.6],
        [random.uniform(0, 24, count), random.normal(1.5, 2.5, count), random.normal(12.5, 3.0, count)],
        random.normal(18.5, 2.2, count),
    )
    return np.mod(hour, 24.0) * 3600.0
