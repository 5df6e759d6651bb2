"""Readings: the numbers that rules of a kind are held against, for many tenants at once, and what they amount to.

Each takes enabled rules of its own kind and yields the rules it could look at, each with the conditions it found. A
rule it could not look at (a store is away, too little happened) is not yielded: its alerts stay as they are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Sum
from psycopg import sql

from apps.alerts import conditions
from apps.alerts.conditions import Condition, HourShare
from apps.alerts.models import RuleState
from apps.alerts.rules import Rule
from apps.analytics import drift as analytics_drift
from apps.analytics.asked import last_days
from apps.analytics.drift import ModelDrift
from apps.api_keys.models import ApiKey, KeyNetwork
from apps.billing.models import Subscription
from apps.billing.rating.plans import PLANS
from apps.billing.subscriptions.services import subscriptions_of
from apps.ingest import quality_days
from apps.periods import Period
from apps.usage.admission import refused_calls
from apps.usage.models import UsageHour
from apps.usage.statements import reads
from apps.usage.statements.budgets import budget_states

Looked = tuple[Rule, list[Condition]]
Place = tuple[int, bool, str]
Reading = Callable[[Sequence[Rule], datetime], Iterator[Looked]]
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
WEEKS_BEFORE = 4
#: Decisions may be recorded so much later than they were made, and are still counted once each.
LOOK_BACK = timedelta(hours=1)
#: After so long without a look, what happened before is not looked for any more.
LONGEST_LOOK_BACK = timedelta(days=1)
#: Schemas asked by one statement.
TOGETHER = 50
_LEVELS = {"high": ["high", "critical"], "critical": ["critical"]}
#: Each asks one tenant's own schema; many are asked together.
_HIGH_RISK = """
(SELECT {place}, date_trunc('minute', created_at), count(*), max(amount), (array_agg(id ORDER BY created_at DESC))[1]
 FROM {schema}.scoring_decision
 WHERE livemode = {livemode} AND risk_level <> 'low' AND risk_level = ANY({levels}) AND amount >= {amount}
 AND created_at >= {since} GROUP BY 2)
"""
_SHARES = """
(SELECT {place}, hour, sum(decisions)::bigint, sum(fraud)::bigint FROM {schema}.scoring_outcomehour
 WHERE livemode = {livemode} AND hour = ANY({hours}) GROUP BY 2)
"""
_CHECKED = """
(SELECT {place}, sum(transactions)::bigint FROM {schema}.ingest_qualityday
 WHERE livemode = {livemode} AND day = {day} AND check_name = '')
"""
_COUNTED = """
(SELECT {place}, sum(decisions)::bigint FROM {schema}.scoring_featureday
 WHERE livemode = {livemode} AND day >= {day})
"""
_OVERDUE = """
(SELECT {place}, count(*), min(due_at) FROM {schema}.review_case
 WHERE livemode = {livemode} AND state <> 'resolved' AND due_at < {now})
"""


def high_risk_decision(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """Decisions at a level that were not counted before. Locks the rules' states until the transaction ends."""
    states = _states(rules)
    found = _high_risk(rules, states, now)
    for rule in rules:
        state, minutes = states[rule.place], found.get(rule.place, {})
        new = sum(max(0, count - state.counted.get(minute, 0)) for minute, (count, _, _) in minutes.items())
        if new:
            newest = max(minutes)
            largest = max(amount for _, amount, _ in minutes.values())
            yield rule, [conditions.high_risk_decision(new, minutes[newest][2], largest, dict(rule.thresholds),
                                                       datetime.fromisoformat(min(minutes)), now)]  # fmt: skip
        kept = (now - LOOK_BACK).isoformat()
        state.counted = {minute: count for minute, (count, _, _) in minutes.items() if minute >= kept}
        state.looked_at = now
    RuleState.objects.bulk_update(states.values(), ["counted", "looked_at"])


def fraud_rate_spike(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """The last full hour against the same hours before; tenants' own schemas are asked only when enough happened."""
    hour = _last_hour(now)
    decided = _decisions(rules, [hour])
    busy = [rule for rule in rules if decided[(*rule.place[:2], hour)] >= float(rule.thresholds["decisions"])]
    hours = _same_hours(hour)
    found: defaultdict[tuple[Place, datetime], HourShare] = defaultdict(lambda: HourShare(0, 0))
    for rule, (at, decisions, fraud) in _ask_together(_SHARES, busy, lambda _: {"hours": hours}):
        found[rule.place, at.astimezone(UTC)] = HourShare(decisions, fraud)
    for rule in busy:
        this, *before = [found[rule.place, at] for at in hours]
        yield rule, _some(conditions.fraud_rate_spike(this, before, dict(rule.thresholds), hour))


def volume_drop(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """The last full hour against the same hours before."""
    this, *before = _same_hours(_last_hour(now))
    decided = _decisions(rules, [this, *before])
    for rule in rules:
        whose = (rule.tenant.pk, rule.livemode)
        usual = [decided[*whose, at] for at in before]
        yield rule, _some(conditions.volume_drop(decided[*whose, this], usual, dict(rule.thresholds), this))


def error_rate(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """Refused and failed calls of this hour and the one before."""
    hours = [_last_hour(now), _last_hour(now) + HOUR]
    decided = _decisions(rules, hours)
    for livemode in (True, False):
        own = [rule for rule in rules if rule.livemode == livemode]
        refused = refused_calls.in_hours([rule.tenant.handle for rule in own], livemode, hours)
        for rule in own if refused is not None else ():
            calls = sum(decided[rule.tenant.pk, livemode, hour] for hour in hours)
            failed = (refused or {})[rule.tenant.handle]
            yield rule, _some(conditions.error_rate(failed, calls, dict(rule.thresholds), _minute(now)))


def cost(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """The month against the included volume and the spend cap."""
    live = [rule for rule in rules if rule.livemode]
    ids, period = {rule.tenant.pk for rule in live}, Period.of(now)
    months = reads.statements_of(ids, period)
    caps = dict(Subscription.objects.filter(tenant_id__in=ids).values_list("tenant_id", "spend_cap"))
    for rule in live:
        month = months.get(rule.tenant.pk)
        states = budget_states(month, caps.get(rule.tenant.pk)) if month else ()
        found = [
            conditions.cost(one.budget, float(one.used), float(one.limit), one.unit, dict(rule.thresholds), _hour(now))
            for one in states
        ]
        yield rule, [one for one in found if one]


def data_quality(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """What checks of transactions that were sent to be stored found today, against the seven days before."""
    today = now.astimezone(UTC).date()
    start = datetime(today.year, today.month, today.day, tzinfo=UTC)
    checked = {rule.place: rows or 0 for rule, (rows,) in _ask_together(_CHECKED, rules, lambda _: {"day": today})}
    for rule in rules:
        enough = checked[rule.place] >= float(rule.thresholds["rows"])
        of = (rule.tenant.schema_name, rule.livemode, today, today + timedelta(days=1))
        days = quality_days.days(*of) if enough else []
        found = [
            conditions.data_quality(day.schema, one.check, one.field, day.transactions, one.transactions,
                                    one.share_before or 0.0, dict(rule.thresholds), start)
            for day in days for one in day.checks
        ]  # fmt: skip
        yield rule, [one for one in found if one]


def drift(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """The last seven days against each model's reference, where the plan includes it and enough was decided."""
    subscriptions = subscriptions_of(rule.tenant.pk for rule in rules)
    own = [rule for rule in rules if "drift" in PLANS[subscriptions[rule.tenant.pk].plan_code].features]
    today = _hour(now).replace(hour=0)
    since = {"day": (today - WEEK).date()}
    counted = {rule.place: count or 0 for rule, (count,) in _ask_together(_COUNTED, own, lambda _: since)}
    for rule in own:
        asked = last_days(rule.tenant.schema_name, rule.livemode, WEEK.days, now)
        models = analytics_drift.drift(asked).data if counted[rule.place] >= analytics_drift.FEWEST else []
        found = [conditions.drift(one.schema, one.model, _moved(one), dict(rule.thresholds), today) for one in models]
        yield rule, [one for one in found if one]


def case_overdue(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """Review cases beyond their queue's SLA."""
    for rule, (overdue, oldest) in _ask_together(_OVERDUE, rules, lambda _: {"now": now}):
        found = conditions.case_overdue(overdue, oldest or now, dict(rule.thresholds), _minute(now))
        yield rule, _some(found)


def _moved(model: ModelDrift) -> list[tuple[str, float]]:
    """Score and features that moved by more than chance."""
    rows = (model.score, *model.features)
    return [(row.name, row.psi) for row in rows if row.status in ("watch", "drifted")]


def key_new_network(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """Networks that keys were seen in for the first time, when the key was known for some days."""
    ids = {rule.tenant.pk for rule in rules}
    new = KeyNetwork.objects.filter(first_seen_at__gt=now - LOOK_BACK, key__tenant_id__in=ids).select_related("key")
    known: defaultdict[int, list[datetime]] = defaultdict(list)
    rows = list(new)
    before = KeyNetwork.objects.filter(key_id__in={row.key_id for row in rows}, first_seen_at__lte=now - LOOK_BACK)
    for key_id, at in before.values_list("key_id", "first_seen_at"):
        known[key_id].append(at)
    for rule in rules:
        old = now - timedelta(days=float(rule.thresholds["days"]))
        yield rule, [
            conditions.key_new_network(str(row.key_id), row.key.name, row.network, len(known[row.key_id]),
                                       row.first_seen_at)
            for row in rows
            if (row.key.tenant_id, row.key.livemode) == (rule.tenant.pk, rule.livemode)
            and min(known[row.key_id], default=now) <= old
        ]  # fmt: skip


def key_unusual_rate(rules: Sequence[Rule], now: datetime) -> Iterator[Looked]:
    """This hour's decisions of each key against its busiest hour of the four weeks before."""
    hour = _hour(now)
    least = min(float(rule.thresholds["decisions"]) for rule in rules)
    ids = {rule.tenant.pk for rule in rules}
    hours = UsageHour.objects.filter(tenant_id__in=ids)
    rows = hours.filter(hour=hour).values_list("tenant_id", "livemode", "key_id").annotate(all=Sum("decisions"))
    busy = list(rows.filter(all__gte=least).order_by())
    usual = _busiest(busy, hour)
    names = dict(ApiKey.objects.filter(pk__in=[row[2] for row in busy]).values_list("pk", "name"))
    for rule in rules:
        found = [
            conditions.key_unusual_rate(str(key), names.get(key, "deleted"), count, usual[key], dict(rule.thresholds),
                                        hour)
            for tenant_id, livemode, key, count in busy
            if (tenant_id, livemode) == (rule.tenant.pk, rule.livemode) and usual.get(key)
        ]  # fmt: skip
        yield rule, [one for one in found if one]


#: What looks at which kind; kinds without one are told by others.
READINGS: Mapping[str, Reading] = {
    "high_risk_decision": high_risk_decision,
    "fraud_rate_spike": fraud_rate_spike,
    "volume_drop": volume_drop,
    "error_rate": error_rate,
    "cost": cost,
    "data_quality": data_quality,
    "drift": drift,
    "case_overdue": case_overdue,
    "key_new_network": key_new_network,
    "key_unusual_rate": key_unusual_rate,
}


def _busiest(busy: Sequence[tuple[int, bool, int, int]], hour: datetime) -> dict[int, int]:
    """The decisions of each key's busiest hour of the four weeks before."""
    past = UsageHour.objects.filter(
        tenant_id__in={row[0] for row in busy}, key_id__in={row[2] for row in busy},
        hour__gte=hour - WEEKS_BEFORE * WEEK, hour__lt=hour,
    )  # fmt: skip
    by_hour = past.values_list("key_id", "hour").annotate(all=Sum("decisions")).order_by()
    found: dict[int, int] = {}
    for key, _, count in by_hour:
        found[key] = max(count, found.get(key, 0))
    return found


def _states(rules: Sequence[Rule]) -> dict[tuple[int, bool, str], RuleState]:
    """The rules' states, ours until the transaction ends."""
    named = [dict(zip(("tenant_id", "livemode", "rule_id"), rule.place, strict=True)) for rule in rules]
    RuleState.objects.bulk_create([RuleState(**one) for one in named], ignore_conflicts=True)
    rows = RuleState.objects.filter(
        tenant_id__in={rule.tenant.pk for rule in rules}, rule_id__in={rule.id for rule in rules}
    )
    found = {(row.tenant_id, row.livemode, row.rule_id): row for row in rows.order_by("pk").select_for_update()}
    return {rule.place: found[rule.place] for rule in rules}


def _high_risk(
    rules: Sequence[Rule], states: Mapping[Place, RuleState], now: datetime
) -> dict[Place, dict[str, tuple[int, float, str]]]:
    """By rule: minute → decisions at its level, the largest amount, the newest's id."""

    def facts(rule: Rule) -> dict[str, Any]:
        levels, amount = _LEVELS[str(rule.thresholds["level"])], float(rule.thresholds["amount"])
        return {"levels": levels, "amount": amount, "since": _since(states[rule.place], now)}

    found: defaultdict[Place, dict[str, tuple[int, float, str]]] = defaultdict(dict)
    for rule, (minute, count, amount, newest) in _ask_together(_HIGH_RISK, rules, facts):
        found[rule.place][minute.astimezone(UTC).isoformat()] = (count, amount, newest)
    return found


def _ask_together(
    query: str, rules: Sequence[Rule], facts: Callable[[Rule], Mapping[str, Any]]
) -> Iterator[tuple[Rule, tuple[Any, ...]]]:
    """What a query finds in the schema of each rule's tenant, in one statement for many of them."""
    for start in range(0, len(rules), TOGETHER):
        together = rules[start : start + TOGETHER]
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(" UNION ALL ").join([_part(query, *one, facts) for one in enumerate(together)]))
            rows = cursor.fetchall()
        yield from ((together[place], tuple(row)) for place, *row in rows)


def _part(query: str, place: int, rule: Rule, facts: Callable[[Rule], Mapping[str, Any]]) -> sql.Composed:
    """The query for one rule; what it finds begins with the rule's place."""
    values = {"place": place, "livemode": rule.livemode, **facts(rule)}
    literals = {name: sql.Literal(value) for name, value in values.items()}
    return sql.SQL(query).format(schema=sql.Identifier(rule.tenant.schema_name), **literals)


def _since(state: RuleState, now: datetime) -> datetime:
    """From which minute on it is counted."""
    looked = min(state.looked_at or now, now) - LOOK_BACK
    return max(looked, now - LONGEST_LOOK_BACK).replace(second=0, microsecond=0)


def _decisions(rules: Sequence[Rule], hours: Sequence[datetime]) -> Mapping[tuple[int, bool, datetime], int]:
    """(tenant, mode, hour) → decisions; one query."""
    ids = {rule.tenant.pk for rule in rules}
    rows: Any = UsageHour.objects.filter(tenant_id__in=ids, hour__in=hours)
    found: defaultdict[tuple[int, bool, datetime], int] = defaultdict(int)
    for tenant_id, livemode, hour, decisions in rows.values_list("tenant_id", "livemode", "hour").annotate(
        Sum("decisions")
    ):
        found[tenant_id, livemode, hour] = decisions
    return found


def _same_hours(hour: datetime) -> list[datetime]:
    return [hour - week * WEEK for week in range(WEEKS_BEFORE + 1)]


def _some(condition: Condition | None) -> list[Condition]:
    return [condition] if condition else []


def _hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _last_hour(now: datetime) -> datetime:
    """The last full one."""
    return _hour(now) - HOUR


def _minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)
