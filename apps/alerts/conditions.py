"""Conditions: numbers in, what is the matter out, in words and values; None when nothing is. Pure."""

import math
from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import NamedTuple

from apps.alerts.kinds import Value

#: Of the four weeks before, so many must have had the hour for it to be usual.
LEAST_WEEKS = 2
#: Features that are named in a sentence.
MOST_NAMED = 5
#: How unlikely a count must be, were the usual rate still true.
SURPRISE = 0.001

Thresholds = dict[str, Value]


class Condition(NamedTuple):
    """What a rule found. `key` says which of several things of a rule; `moment`: counted once for each.

    `since` and `until`: of the decisions behind it.
    """

    key: str
    moment: datetime
    title: str
    text: str
    values: dict[str, Value | None]
    occurrences: int = 1
    since: datetime | None = None
    until: datetime | None = None


class HourShare(NamedTuple):
    """Decisions of an hour, and how many of them were at level high or critical."""

    decisions: int
    fraud: int


def fraud_rate_spike(
    now: HourShare, before: Sequence[HourShare], thresholds: Thresholds, hour: datetime
) -> Condition | None:
    """A fraud rate `factor` times that of the same hours before, and more than chance makes of so few."""
    usual = [one for one in before if one.decisions]
    decided = sum(one.decisions for one in usual)
    if now.decisions < _number(thresholds, "decisions") or len(usual) < LEAST_WEEKS:
        return None
    rate, was = now.fraud / now.decisions, max(sum(one.fraud for one in usual), 0.5) / decided
    expected = was * now.decisions
    if rate < was * _number(thresholds, "factor") or poisson_tail(now.fraud, expected) > SURPRISE:
        return None
    return Condition(
        "", hour, f"Fraud rate {rate:.2%}, usually {was:.2%}",
        f"{now.fraud:,} of {now.decisions:,} decisions in the hour from {hour:%H:%M} UTC were high or critical; "
        f"about {expected:,.1f} were to be expected by the same hours of the weeks before.",
        {"rate": round(rate, 6), "usual_rate": round(was, 6), "decisions": now.decisions, "fraud": now.fraud},
    )  # fmt: skip


def volume_drop(now: int, before: Sequence[int], thresholds: Thresholds, hour: datetime) -> Condition | None:
    """`percent` fewer decisions than the median of the same hours before."""
    usual = [one for one in before if one]
    if len(usual) < LEAST_WEEKS or (expected := median(usual)) < _number(thresholds, "decisions"):
        return None
    fewer = 100 * (1 - now / expected)
    if fewer < _number(thresholds, "percent"):
        return None
    return Condition(
        "", hour, f"{fewer:.0f} % fewer decisions than usual",
        f"{now:,} decisions in the hour from {hour:%H:%M} UTC; {expected:,.0f} in the same hours of the weeks before.",
        {"decisions": now, "usual": float(expected), "percent": round(fewer, 1)},
    )  # fmt: skip


def error_rate(refused: int, decided: int, thresholds: Thresholds, moment: datetime) -> Condition | None:
    """A share of calls for scoring that were refused or failed."""
    calls = refused + decided
    share = 100 * refused / calls if calls else 0.0
    if calls < _number(thresholds, "calls") or share < _number(thresholds, "percent"):
        return None
    text = f"{refused:,} of {calls:,} calls for scoring in this hour and the one before were refused or failed."
    return Condition("", moment, f"{share:.1f} % of calls fail", text,
                     {"refused": refused, "calls": calls, "percent": round(share, 2)})  # fmt: skip


def cost(
    budget: str, used: float, limit: float, unit: str, thresholds: Thresholds, moment: datetime
) -> Condition | None:
    """A budget used up to `percent`."""
    percent = 100 * used / limit if limit > 0 else 0.0
    if percent < _number(thresholds, "percent") or limit <= 0:
        return None
    what = {"included": "included volume", "spend_cap": "spend cap"}[budget]
    return Condition(budget, moment, f"{percent:.0f} % of the {what} used", f"{used:,.10g} of {limit:,.10g} {unit}.",
                     {"budget": budget, "used": used, "limit": limit, "percent": round(percent, 1)})  # fmt: skip


def key_unusual_rate(
    key: str, name: str, now: int, busiest: int, thresholds: Thresholds, hour: datetime
) -> Condition | None:
    """A key that makes `factor` times the decisions of its busiest hour."""
    if now < _number(thresholds, "decisions") or now < _number(thresholds, "factor") * max(busiest, 1):
        return None
    text = (
        f"{now:,} decisions in the hour from {hour:%H:%M} UTC; at most {busiest:,} in an hour of the four weeks before."
    )
    return Condition(key, hour, f"The key “{name}” is used at an unusual rate", text,
                     {"key": name, "decisions": now, "busiest": busiest})  # fmt: skip


def key_new_network(key: str, name: str, network: str, known: int, moment: datetime) -> Condition:
    """A key used from a network it was not known in."""
    text = f"It was used from {network} at {moment:%Y-%m-%d %H:%M} UTC for the first time; {known} networks were known."
    return Condition(f"{key}:{network}", moment, f"The key “{name}” is used from a new network", text,
                     {"key": name, "network": network, "known": known})  # fmt: skip


def high_risk_decision(
    new: int, example: str, largest: float, thresholds: Thresholds, since: datetime, until: datetime
) -> Condition:
    """New decisions at a level."""
    level = str(thresholds["level"])
    at = level if level == "critical" else "high or critical"
    text = f"{new:,} since {since:%Y-%m-%d %H:%M} UTC, up to an amount of {largest:,.2f}; the newest is {example}."
    return Condition("", until, f"Decisions at level {at}", text,
                     {"level": level, "decision": example, "largest": largest}, new, since, until)  # fmt: skip


def case_overdue(overdue: int, oldest: datetime, thresholds: Thresholds, moment: datetime) -> Condition | None:
    """`cases` or more that wait for longer than their queue's SLA."""
    if overdue < _number(thresholds, "cases"):
        return None
    cases = "review case" if overdue == 1 else "review cases"
    text = f"{overdue:,} {cases} not resolved in time; the first was due at {oldest:%Y-%m-%d %H:%M} UTC."
    return Condition("", moment, "Review cases are overdue", text, {"cases": overdue, "due_at": oldest.isoformat()})


def drift(
    schema: str, model: str, moved: Sequence[tuple[str, float]], thresholds: Thresholds, day: datetime
) -> Condition | None:
    """A model of which a feature or the score moved by `psi`. `moved`: (name, index) of those beyond chance."""
    far = sorted((one for one in moved if one[1] >= _number(thresholds, "psi")), key=lambda one: (-one[1], one[0]))
    if not far:
        return None
    named = ", ".join(f"{name} {index:.2f}" for name, index in far[:MOST_NAMED])
    more = f" and {len(far) - MOST_NAMED} more" if len(far) > MOST_NAMED else ""
    text = f"PSI over the last seven days against the data {model} was made from: {named}{more}."
    return Condition(f"{schema}:{model}", day, f"{far[0][0]} of {schema} has drifted", text,
                     {"schema": schema, "model": model, "feature": far[0][0], "psi": round(far[0][1], 4),
                      "features": len(far)})  # fmt: skip


def data_quality(
    schema: str, check: str, field: str, rows: int, found: int, before: float, thresholds: Thresholds, day: datetime
) -> Condition | None:
    """A check that finds a share of a day's transactions, and `factor` times the share `before`."""
    share, usual = (100 * found / rows if rows else 0.0), 100 * before
    if rows < _number(thresholds, "rows") or share < _number(thresholds, "percent"):
        return None
    if share < usual * _number(thresholds, "factor"):
        return None
    words = check.replace("_", " ")
    text = f"{found:,} of {rows:,} transactions of {schema} on {day:%Y-%m-%d}; {usual:.2f} % in the seven days before."
    return Condition(f"{schema}:{check}:{field}", day, f"{share:.1f} % {words}{f' in {field}' if field else ''}", text,
                     {"schema": schema, "check": check, "field": field, "percent": round(share, 2)})  # fmt: skip


def poisson_tail(count: int, expected: float) -> float:
    """The probability of at least `count` events where `expected` are to be expected."""
    if count <= 0:
        return 1.0
    if expected > 1_000:  # by the normal curve: right to a hundredth there
        return 0.5 * math.erfc((count - 0.5 - expected) / math.sqrt(2 * expected))
    term = total = math.exp(-expected)
    for number in range(1, count):
        term *= expected / number
        total += term
    return max(0.0, 1.0 - total)


def _number(thresholds: Thresholds, name: str) -> float:
    return float(thresholds[name])
