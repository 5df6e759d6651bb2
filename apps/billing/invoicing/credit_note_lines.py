"""Lines of a credit note: what it takes of an invoice, to the cent. Pure; amounts are in the currency's smallest unit.

    billed   a line's part of an invoice: its amount without its share of what was taken off, and its share of the tax
    left     the same without what earlier notes took
    taken    a note's amount becomes net and tax by largest remainder over what is left of both, and each of them
             becomes parts of the lines by largest remainder over what is left of theirs

Nothing is rounded by itself, and nothing takes more than is left: whatever the amounts of the notes, once nothing is
left their nets, taxes and totals are the invoice's, in sum and on each line. 10.00 + 1.90 credited as 3.97, 3.97 and
3.96 gives taxes of 0.63, 0.64 and 0.63.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from apps.billing.rating.money import allocate


class Part(NamedTuple):
    """What of an amount is net and what is tax."""

    net: int
    tax: int


Parts = Sequence[Part]  # of an invoice's lines, in their order


def billed(amounts: Sequence[int], taken_off: int, tax: int) -> list[Part]:
    """Divide an invoice among its lines. `taken_off`: coupons and credits; lines below zero count among them."""
    gross = [max(amount, 0) for amount in amounts]
    shares = _spread(taken_off + sum(gross) - sum(amounts), gross)
    nets = [amount - share for amount, share in zip(gross, shares, strict=True)]
    return _parts(nets, _spread(tax, nets))


def left(parts: Parts, taken: Parts) -> list[Part]:
    """Subtract what a note took."""
    pairs = zip(parts, taken, strict=True)
    return [Part(max(one.net - off.net, 0), max(one.tax - off.tax, 0)) for one, off in pairs]


def taken(amount: int, parts: Parts) -> list[Part]:
    """Divide a note's amount among what is left of the lines. `amount`: at most all of it."""
    whole = total(parts)
    return divided(Part(*_spread(amount, whole)), parts)


def divided(sums: Part, parts: Parts) -> list[Part]:
    """Divide a net and a tax among what is left of the lines, as far as they reach.

    They may exceed it only in notes from before lines were kept: those rounded each tax by itself.
    """
    nets, taxes = [part.net for part in parts], [part.tax for part in parts]
    return _parts(_spread(min(sums.net, sum(nets)), nets), _spread(min(sums.tax, sum(taxes)), taxes))


def total(parts: Iterable[Part]) -> Part:
    """Sum lines' parts."""
    nets, taxes = zip(*parts, strict=True) if (parts := list(parts)) else ((), ())
    return Part(sum(nets), sum(taxes))


def _parts(nets: Sequence[int], taxes: Sequence[int]) -> list[Part]:
    return [Part(net, tax) for net, tax in zip(nets, taxes, strict=True)]


def _spread(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide by weights; no part exceeds its weight while the amount doesn't exceed them all."""
    return allocate(amount, [Fraction(weight) for weight in weights]) if amount else [0] * len(weights)
