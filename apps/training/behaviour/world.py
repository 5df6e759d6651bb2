"""Where simulated people live and what they pay for, as tables."""

from typing import NamedTuple

import numpy as np

DAY = 86_400.0  # seconds
EARTH_RADIUS_KM = 6371.0


class Country(NamedTuple):
    """`usual_usd` is the middle of what one pays there at a time, `pins` the share of purchases in shops that ask for
    the PIN although they are large enough, `cards` those its people carry."""

    name: str
    code: str
    currency: str
    latitude: float
    longitude: float
    usual_usd: float
    pins: float
    cards: tuple[str, ...]


ANYWHERE = ("Visa", "MasterCard", "Credit", "Debit", "Debit")
COUNTRIES = (
    Country("Uzbekistan", "UZ", "UZS", 41.3, 69.2, 9, 0.9, ("UzCard", "UzCard", "UzCard", "Humo", "Humo", "Visa")),
    Country("Kazakhstan", "KZ", "KZT", 43.2, 76.9, 11, 0.9, ANYWHERE),
    Country("Russia", "RU", "RUB", 55.8, 37.6, 12, 0.9, ("Mir", "Mir", "Visa", "MasterCard", "Credit", "Debit")),
    Country("USA", "US", "USD", 40.7, -74.0, 28, 0.5, ANYWHERE),
    Country("Germany", "DE", "EUR", 52.5, 13.4, 26, 0.9, ANYWHERE),
    Country("UK", "GB", "GBP", 51.5, -0.1, 26, 0.9, ANYWHERE),
    Country("Spain", "ES", "EUR", 40.4, -3.7, 22, 0.9, ANYWHERE),
    Country("Turkey", "TR", "TRY", 41.0, 29.0, 12, 0.9, ANYWHERE),
    Country("UAE", "AE", "AED", 25.2, 55.3, 30, 0.9, ANYWHERE),
    Country("China", "CN", "CNY", 39.9, 116.4, 14, 0.9, ("UnionPay", "UnionPay", "Visa", "Debit")),
    Country("India", "IN", "INR", 28.6, 77.2, 8, 0.9, ANYWHERE),
    Country("Kyrgyzstan", "KG", "KGS", 42.9, 74.6, 8, 0.9, ("Elcart", "Visa", "Debit")),
    Country("South Korea", "KR", "KRW", 37.6, 127.0, 21, 0.9, ANYWHERE),
    Country("Brazil", "BR", "BRL", -23.5, -46.6, 14, 0.9, ANYWHERE),
    Country("Thailand", "TH", "THB", 13.8, 100.5, 12, 0.8, ANYWHERE),
    Country("Romania", "RO", "RON", 44.4, 26.1, 15, 0.9, ANYWHERE),
)

#: Share of the users by country, for the senders of each schema.
POPULATIONS = {
    "card_activity": (0.40, 0.14, 0.12, 0.08, 0.05, 0.03, 0.02, 0.05, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01, 0.005, 0.005),
    "payments": (0.01, 0.01, 0.01, 0.45, 0.12, 0.14, 0.06, 0.02, 0.02, 0.02, 0.04, 0.0, 0.02, 0.04, 0.01, 0.03),
}


class Category(NamedTuple):
    """`share` of honest payments, amounts around `level` times the user's usual one with a spread (sigma of the
    logarithm), the share that is paid `online`; then its words in the two schemas."""

    share: float
    level: float
    spread: float
    online: float
    card_activity: str
    payments: str


CATEGORIES = (
    Category(0.230, 1.1, 0.75, 0.05, "Groceries", "grocery"),
    Category(0.150, 0.7, 0.75, 0.08, "Restaurants", "food_dining"),
    Category(0.110, 0.9, 0.60, 0.10, "Transport", "gas_transport"),
    Category(0.050, 2.0, 0.60, 0.75, "Utilities", "home"),
    Category(0.050, 1.3, 0.90, 0.15, "Health", "health_fitness"),
    Category(0.100, 1.6, 0.90, 0.50, "Shopping", "shopping"),
    Category(0.050, 1.0, 0.80, 0.50, "Entertainment", "entertainment"),
    Category(0.015, 5.0, 0.70, 0.50, "Education", "misc"),
    Category(0.030, 0.6, 0.80, 1.00, "Gaming", "entertainment"),
    Category(0.035, 5.0, 0.90, 0.45, "Electronics", "electronics"),
    Category(0.035, 6.0, 0.90, 0.65, "Travel", "travel"),
    Category(0.030, 3.0, 0.90, 1.00, "Transfer", "misc"),
    Category(0.006, 8.0, 0.90, 0.15, "Jewelry", "jewelry"),
    Category(0.006, 4.0, 0.90, 1.00, "Crypto", "misc"),
    Category(0.035, 2.5, 1.00, 0.25, "Shopping", "home"),
    Category(0.030, 0.8, 0.70, 0.10, "Shopping", "personal_care"),
    Category(0.028, 0.9, 0.80, 0.30, "Shopping", "kids_pets"),
    Category(0.010, 3.0, 0.60, 0.00, "Cash Out", "misc"),
)  # fmt: skip
GROCERIES, UTILITIES, ENTERTAINMENT, GAMING = 0, 3, 6, 8
BY_WORD = {category.card_activity: index for index, category in reversed(list(enumerate(CATEGORIES)))}


def of_countries(trait: str) -> np.ndarray:
    """One trait of every country as an array."""
    return np.array([getattr(country, trait) for country in COUNTRIES])


def of_categories(trait: str) -> np.ndarray:
    """One trait of every category as an array."""
    return np.array([getattr(category, trait) for category in CATEGORIES])


def between(ends: tuple[float, float], count: int, random: np.random.Generator) -> np.ndarray:
    """Evenly over the orders of magnitude between two ends."""
    return np.exp(random.uniform(np.log(ends[0]), np.log(ends[1]), count))


def kilometres(
    latitude: np.ndarray, longitude: np.ndarray, to_latitude: np.ndarray, to_longitude: np.ndarray
) -> np.ndarray:
    """Great-circle distances."""
    phi, theta, to_phi, to_theta = map(np.radians, (latitude, longitude, to_latitude, to_longitude))
    hav = np.sin((to_phi - phi) / 2) ** 2 + np.cos(phi) * np.cos(to_phi) * np.sin((to_theta - theta) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(hav, 0.0, 1.0)))
