"""`manage.py tenant_create --slug S --plan P [--owner-email E] [--currency C] [--trial-days N] [--included N] …`"""

import json
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.services import add_owner
from apps.billing.rating.money import EXPONENTS, shown
from apps.billing.rating.plans import CURRENT, DEFAULT_CURRENCY, Plan, current
from apps.billing.subscriptions import timeline
from apps.billing.subscriptions.services import LONGEST_TRIAL, plan_for, sign_up, subscription_of
from apps.formats import moment_text

#: Said where no owner was given.
NOBODY = (
    "Nobody is told about invoices, limits and payments: give --owner-email, or add a membership or a billing e-mail"
    " in the admin."
)


class Command(BaseCommand):
    """Make a tenant: its schema, its subscription, and limits of its own where given."""

    help = "Create a tenant with its own schema."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--slug", required=True, help="short name: letters, digits, hyphens")
        parser.add_argument("--name", default="", help="the company's name (default: the slug)")
        parser.add_argument("--plan", default="free", choices=sorted(CURRENT))
        parser.add_argument("--rate-per-minute", type=int, help="this tenant's own limit instead of the plan's")
        parser.add_argument("--included", type=int, help="this tenant's own included units a month")
        parser.add_argument("--currency", default=DEFAULT_CURRENCY, choices=sorted(EXPONENTS))
        parser.add_argument("--trial-days", type=int, default=0, help=f"a paid plan for nothing, 1 to {LONGEST_TRIAL}")
        parser.add_argument("--owner-email", default="", help="who owns it and is told about invoices and limits")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        self._check(options)
        try:
            tenant = self._made(options)
        except ValidationError as wrong:
            raise CommandError(
                "; ".join(f"--{name}: {' '.join(messages)}" for name, messages in wrong.message_dict.items())
            ) from wrong
        self._print(tenant, options)

    @transaction.atomic
    def _made(self, options: dict[str, Any]) -> Tenant:
        now = timezone.now()
        tenant = sign_up(
            slug=options["slug"],
            name=options["name"] or options["slug"],
            plan=options["plan"],
            now=now,
            rate_per_minute=options["rate_per_minute"],
            included=options["included"],
            currency=options["currency"],
            trial_days=options["trial_days"],
        )
        if options["owner_email"]:
            add_owner(tenant=tenant, email=options["owner_email"], now=now)
        return tenant

    def _check(self, options: dict[str, Any]) -> None:
        if options["rate_per_minute"] is not None and options["rate_per_minute"] < 1:
            raise CommandError("--rate-per-minute: at least 1")
        if options["included"] is not None and options["included"] < 0:
            raise CommandError("--included: 0 or more")
        if options["trial_days"] and not 1 <= options["trial_days"] <= LONGEST_TRIAL:
            raise CommandError(f"--trial-days: 1 to {LONGEST_TRIAL}")
        if options["owner_email"]:
            _check_email(options["owner_email"])
        if options["trial_days"] and not current(options["plan"]).monthly:
            raise CommandError(f"--trial-days: {options['plan']} costs nothing; a trial is of a paid plan")

    def _print(self, tenant: Tenant, options: dict[str, Any]) -> None:
        plan, rate, included = plan_for(tenant.pk)
        subscription, following = subscription_of(tenant.pk), timeline.scheduled(tenant.pk, tenant.created_at)
        facts = {
            "id": tenant.pk,
            "slug": tenant.slug,
            "schema": tenant.schema_name,
            "handle": tenant.handle,
            "plan": plan.code,
            "rate_per_minute": rate,
            "included": included,
            "currency": subscription.currency,
            "status": subscription.status,
            "trial_ends": following.starts_at.isoformat() if following else None,
            "owner": options["owner_email"].lower() or None,
        }
        if not options["owner_email"]:
            self.stderr.write(NOBODY)
        self.stdout.write(json.dumps(facts) if options["json"] else _text(tenant, plan, facts))


def _text(tenant: Tenant, plan: Plan, facts: dict[str, Any]) -> str:
    """What was made, for people, and what comes next."""
    price = shown(plan.prices[facts["currency"]].monthly, facts["currency"])
    lines = [
        f"Tenant {tenant.slug} ({tenant.name}) is there, on {plan.name.title()} for {price} a month:"
        f" {facts['included']:,} units included, {facts['rate_per_minute']:,} requests a minute.",
    ]
    if facts["trial_ends"]:
        lines.append(f"On trial until {moment_text(datetime.fromisoformat(facts['trial_ends']))}.")
    if facts["owner"]:
        lines.append(f"{facts['owner']} owns it and is told about invoices and limits.")
    lines.append(f"Next, a key: manage.py key_create --tenant {tenant.slug} --scopes read,predict")
    return "\n".join(lines)


def _check_email(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as wrong:
        raise CommandError(f"--owner-email: {' '.join(wrong.messages)}") from wrong
