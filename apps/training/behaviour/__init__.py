"""A simulator of people who pay, and of those who steal from them: what the public rows don't tell.

Device, country, chip, PIN, online, foreign, authentication, journeys, velocity: no public file has them beside a label
worth learning from, so they are taught by made-up people whose habits and whose thieves are written down here.

`world` is where they live, `people` who they are, `life` what honest ones do, `typologies` what thieves do and how
often (with the published figures behind it), `frauds` how that looks, `records` how two schemas tell it. The same seed
gives the same rows. It owns no model and reads no file.
"""

from apps.training.behaviour.records import card_activity, payments
from apps.training.behaviour.typologies import TYPOLOGIES

__all__ = ["TYPOLOGIES", "card_activity", "payments"]
