"""The portal's pages in a large tenant: `python -m bench.portal [--decisions 1000000]` (`make bench-portal`).

Servers and data of its own. A few hundred decisions are really made; each is recorded thousands of times under other
ids and times, by the recorder's own COPY, so that every roll-up is as it would be. 24 months are closed and paid.
Then each page is asked for again and again through the portal's own middleware; its questions to Postgres are counted
apart. Prints a table, and writes it into docs/benchmarks.md.
"""

import argparse
import os
import random
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bench.servers import servers

MONTHS = 24
#: Decisions that are really made; the rest are these, under other names.
MADE = 400
#: Decisions recorded in one transaction.
TOGETHER = 5_000
REPEATS = 25
MOST_MS, MOST_QUERIES = 100.0, 15
KEYS, WEBHOOKS, DELIVERIES, POLICIES, PEOPLE, AUDITED = 20, 10, 300, 20, 20, 1_000
LISTED = 1_000_000
PAGE = "docs/benchmarks.md"
BEGIN, END = "<!-- portal: begin -->", "<!-- portal: end -->"


class Measured(NamedTuple):
    """What a page took on the server."""

    path: str
    median_ms: float
    p95_ms: float
    queries: int
    kilobytes: float

    @property
    def holds(self) -> bool:
        return self.p95_ms <= MOST_MS and self.queries <= MOST_QUERIES

    def row(self) -> str:
        mark = "" if self.holds else " **missed**"
        return (
            f"| `{self.path}`{mark} | {self.median_ms:.0f} ms | {self.p95_ms:.0f} ms"
            f" | {self.queries} | {self.kilobytes:.0f} KB |"
        )


def fill(decisions: int, now: datetime) -> Any:
    """A tenant with that much of a past; the membership of its owner."""
    from apps.accounts.models import User
    from apps.accounts.services import make_owner
    from apps.billing.subscriptions.services import sign_up
    from apps.sla.requests import keep_days
    from apps.sla.tasks import READ_BACK

    begin = _months_before(now, MONTHS)
    tenant = sign_up(slug="bench", name="Bench Ltd", plan="professional", now=begin)
    owner = User.objects.create_user("owner@bench.example", "a-long-password")
    membership = make_owner(tenant=tenant, user=owner, now=begin, actor="bench")
    _record(tenant, decisions, begin, now)
    _close_months(tenant, begin, now)
    _surround(tenant, now)
    keep_days([(now - timedelta(days=back)).date() for back in range(1, READ_BACK + 1)])  # as the nightly task does
    return membership


def _months_before(now: datetime, months: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _record(tenant: Any, decisions: int, begin: datetime, now: datetime) -> None:
    """Each entry's copies lie evenly over the whole time."""
    from apps.scoring.serving import decision_formats
    from apps.scoring.serving.store import record
    from config.local.demo import demo_transactions
    from config.management.commands.seed_demo import Answering

    answering, chance = Answering(tenant, now), random.Random(7)
    asked = demo_transactions(chance, now - timedelta(days=60), now)
    made = [answering.entry(question)[0] for question, _ in zip(asked, range(MADE), strict=False)]
    records = [decision_formats.unpack(entry.record) for entry in made]
    step = (now - begin) / decisions
    for start in range(0, decisions, TOGETHER):
        numbers = range(start, min(start + TOGETHER, decisions))
        record([_again(made[n % len(made)], records[n % len(made)], n, begin + step * n) for n in numbers])


def _again(entry: Any, record: Any, number: int, at: datetime) -> Any:
    """An entry under another id and time."""
    import msgspec

    from apps.scoring.serving import decision_formats

    name, at_us = f"dec_{number:028x}", int(at.timestamp() * 1_000_000)
    answer = record.answer.replace(record.id.encode(), name.encode())
    changed = {"id": name, "created_us": at_us, "transaction_id": f"order-{number}", "answer": answer}
    packed = decision_formats.pack(msgspec.structs.replace(record, **changed))
    event = msgspec.structs.replace(entry.event, id=name, occurred_us=at_us)
    return msgspec.structs.replace(entry, event=event, record=msgspec.Raw(packed))


def _close_months(tenant: Any, begin: datetime, now: datetime) -> None:
    """Close and pay each month at its time."""
    from apps.accounts.models import Tenant
    from apps.billing.collecting.transfers import record_transfer
    from apps.periods import Period
    from apps.usage.closing.closing import close_period

    period, itself = Period.of(begin), Tenant.objects.filter(pk=tenant.pk)
    while period.end < now:
        for invoice in close_period(period, itself, period.end + timedelta(minutes=35)):
            at = min(period.end + timedelta(days=6), now)
            said = {"reference": invoice.number, "form": invoice.public_id}
            record_transfer(invoice=invoice, amount=invoice.total, received=at.date(), now=at, **said)
        period = period.later(1)


def _surround(tenant: Any, now: datetime) -> None:
    """Keys, webhooks with deliveries, versions of the policy, people, and an audit log."""
    from apps.accounts.audit import record_audit
    from apps.accounts.models import Membership, User
    from apps.api_keys.services import create_key, get_gate
    from apps.notifications import services
    from apps.scoring.engine.decide import Policy
    from apps.scoring.policies import publish

    for n in range(KEYS):
        create_key(tenant=tenant, name=f"service {n}", scopes=["predict"], now=now, livemode=n % 2 == 0)
    for n in range(WEBHOOKS):
        address = {"url": f"https://hooks.example.com/{n}", "description": "", "events": []}
        webhook = services.create_webhook(tenant=tenant, livemode=True, now=now, actor="bench", **address)
    for _ in range(DELIVERIES):
        services.send_test(webhook=webhook, now=now, actor="bench")
    for n in range(POLICIES):
        publish(tenant=tenant, policy=Policy(review_at=0.2 + n / 100), gate=get_gate(), now=now)
    for n in range(PEOPLE):
        user = User.objects.create(email=f"person{n}@bench.example")
        Membership.objects.create(tenant=tenant, user=user, role=Membership.Role.ANALYST)
    _list(tenant, now)
    for n in range(AUDITED):
        record_audit(tenant=tenant, actor="bench", action="key.created", target=f"key {n}", now=now)


def _list(tenant: Any, now: datetime) -> None:
    """A list as large as may be."""
    from django.conf import settings

    from apps.scoring.lists import importing, services
    from apps.valkey import server

    by = {"tenant": tenant, "valkey": server(settings.REDIS_URL, 60.0), "actor": "bench"}
    row = services.create(livemode=True, name="mules", item_type="user", description="", now=now, **by)
    lines = (f"C{number}\n" for number in range(LISTED))
    importing.import_lines(row=row, rows=lines, is_csv=False, clock=lambda: now, **by)


def paths(tenant: Any) -> Iterator[str]:
    """Every page that can be opened, with the arguments of something that is there."""
    from django.urls import URLPattern, reverse

    from apps.notifications.models import WebhookEndpoint
    from apps.portal.page import Page
    from apps.portal.urls import urlpatterns

    webhook = WebhookEndpoint.objects.filter(tenant=tenant).latest("created_at")
    known = {"decision": f"dec_{1:028x}", "webhook": webhook.pk, "list": "mules"}
    for pattern in urlpatterns:
        view = getattr(getattr(pattern, "callback", None), "view_class", None)
        if isinstance(pattern, URLPattern) and view and issubclass(view, Page) and "get" in view.http_method_names:
            name = str(pattern.name)
            if name in known or not pattern.pattern.regex.groups:
                yield reverse(name, args=[known[name]] if name in known else [])
    yield from (
        "/lists/mules/?q=c77",
        "/decisions/?recommended_action=block",
        "/decisions/?id=order-77",
        "/dashboard/?span=7d",
        "/dashboard/?span=90d",
    )


def measure(client: Any, path: str, *, say: bool = False) -> Measured | None:
    """A page's server time with a new connection each, and its statements; None for an address without a page."""
    from django.db import connection

    if (answer := client.get(path)).status_code != 200:
        return None
    told: list[str] = []
    with connection.execute_wrapper(lambda execute, sql, *rest: (told.append(sql), execute(sql, *rest))[1]):
        client.get(path)
    told = [sql for sql in told if not sql.startswith("SET search_path")]  # of django-tenants: no question
    if say:
        print(path, *(sql[:160] for sql in told), sep="\n    ")
    took = sorted(_timed(client, path) for _ in range(REPEATS))
    p95 = took[int(0.95 * (len(took) - 1))]
    return Measured(path, statistics.median(took), p95, len(told), len(answer.content) / 1000)


def _timed(client: Any, path: str) -> float:
    """Milliseconds of one request."""
    from django.db import close_old_connections

    begun = time.perf_counter()
    close_old_connections()  # as at the beginning of every request; the test client leaves it out
    client.get(path)
    return 1000 * (time.perf_counter() - begun)


def table(found: Sequence[Measured], decisions: int, seconds: float) -> list[str]:
    missed = [one.path for one in found if not one.holds]
    verdict = "missed by " + ", ".join(missed) if missed else "all hold"
    return [
        f"{decisions:,} decisions, {MONTHS} months of invoices (made in {seconds:.0f} s), {REPEATS} requests a page."
        f" Asked are p95 ≤ {MOST_MS:.0f} ms and ≤ {MOST_QUERIES} questions to Postgres: {verdict}.",
        "",
        "| page | median | p95 | questions to Postgres | size |",
        "|---|---|---|---|---|",
        *(one.row() for one in found),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="measure pages whose address contains this, and write nothing")
    parser.add_argument("--statements", action="store_true", help="say which SQL they were")
    options = parser.parse_args()
    os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "60")  # as config/application_portal.py has it
    with servers():
        from django.db import connection
        from django.test import Client

        begun = time.perf_counter()
        membership = fill(options.decisions, datetime.now(UTC))
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as autovacuum leaves a table that is no longer filled
        seconds = time.perf_counter() - begun
        client = Client(headers={"Host": "localhost"})
        client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
        client.post("/mode/", {"livemode": "1"})
        wanted = [path for path in paths(membership.tenant) if options.only in path]
        found = [one for path in wanted if (one := measure(client, path, say=options.statements))]
        lines = table(found, options.decisions, seconds)
        print("\n".join(lines))
        if not options.only and options.decisions >= 1_000_000:
            _write(lines)
    return 0


def _write(lines: list[str]) -> None:
    with open(PAGE) as page:
        before = page.read()
    text = re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join([BEGIN, *lines, END]), before, flags=re.DOTALL)
    with open(PAGE, "w") as page:
        page.write(text)


if __name__ == "__main__":
    sys.exit(main())
