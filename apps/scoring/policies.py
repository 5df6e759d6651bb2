"""Policies of tenants: the newest published one decides, kept in each process by version.

The gate tells the version with every admission, so a new policy holds from the next request on and costs no query.
"""

from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from django.db import transaction

from apps import card_numbers
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Gate
from apps.api_keys.services import invalidate_pending, mark_changed
from apps.paging import Page, page_of
from apps.scoring.engine.aggregate_check import check_aggregates
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rule_check import check_lists, check_rules, check_tunings
from apps.scoring.lists.reads import types_of
from apps.scoring.models import PublishedPolicy
from apps.scoring.policy_changes import changes

#: Policies a process keeps; a tenant uses one at a time.
KEPT = 1_024


class Policies:
    """The policies this process has met."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Policy] = {}
        self._default = Policy()

    def get(self, tenant_schema: str, version: int) -> Policy:
        """The policy of that version; a query only when it is new here."""
        if version == 0:
            return self._default
        key = (tenant_schema, version)
        if key not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = load(tenant_schema, version)
        return self._known[key]

    def forget(self) -> None:
        """Forget every policy met: the next request asks the database."""
        self._known.clear()


@cache
def get_policies() -> Policies:
    """The process's policies."""
    return Policies()


def load(tenant_schema: str, version: int) -> Policy:
    with in_tenant(tenant_schema):
        return msgspec.convert(PublishedPolicy.objects.get(pk=version).document, Policy)


class Outdated(Exception):
    """Another version was published since the one a change was based on; `version` is that one."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} was published meanwhile")
        self.version = version


def find(tenant_schema: str, version: int) -> PublishedPolicy | None:
    """A version that was published; 0 is the one everybody begins with."""
    if version == 0:
        nobody: Any = {"published_at": None, "published_by": "", "note": ""}
        return PublishedPolicy(version=0, document=msgspec.to_builtins(Policy()), **nobody)
    with in_tenant(tenant_schema):
        return PublishedPolicy.objects.filter(pk=version).first()


def in_force(tenant: Tenant) -> Policy:
    """The policy that decides now."""
    return load(tenant.schema_name, tenant.policy_version) if tenant.policy_version else Policy()


def in_force_at(tenant_schema: str, moment: datetime) -> Policy:
    """The policy a tenant's decisions were made under at a moment."""
    with in_tenant(tenant_schema):
        found = PublishedPolicy.objects.filter(published_at__lte=moment).order_by("-version").first()
    return Policy() if found is None else msgspec.convert(found.document, Policy)


def policy_of(row: PublishedPolicy) -> Policy:
    """What a version says."""
    return msgspec.convert(row.document, Policy)


def page(tenant_schema: str, cursor: str | None, limit: int) -> Page[PublishedPolicy]:
    """One page of versions, the newest first. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        return page_of(PublishedPolicy.objects.all(), ("version",), cursor, limit)


def versions_of(tenant: Tenant) -> list[PublishedPolicy]:
    """Every policy a tenant published, the newest first."""
    with in_tenant(tenant):
        return list(PublishedPolicy.objects.order_by("-version"))


def publish(
    *, tenant: Tenant, policy: Policy, gate: Gate, now: datetime, actor: str = "command", note: str = "",
    based_on: int | None = None,
) -> int:  # fmt: skip
    """Make a policy the tenant's newest; the version it was given. It decides from the next request on.

    A card number in it is masked first, and so holds of every transaction whose own is masked alike. Raises
    `InvalidRules` for rules that would err, never hit or always do, for aggregates that can't be counted, and for new
    rules that ask for lists there are not. Those published before are not asked again. Raises `Outdated` when
    `based_on` is no longer the newest.
    """
    policy = _masked(policy)
    check_aggregates(policy.aggregates)
    check_rules(policy.rules, policy.home_country, policy.aggregates)
    check_tunings(policy.built_in)
    return _published(tenant, policy, gate, now, actor, note, based_on)


def roll_back(*, tenant: Tenant, version: int, gate: Gate, now: datetime, actor: str, note: str = "") -> int:
    """Publish an earlier version anew, as it was; the version it was given.

    What was in force once is not checked again, but for lists that are there no more. Raises `InvalidRules`,
    `PublishedPolicy.DoesNotExist`.
    """
    row = find(tenant.schema_name, version)
    if row is None:
        raise PublishedPolicy.DoesNotExist
    return _published(tenant, _masked(policy_of(row)), gate, now, actor, note or f"Back to version {version}.", None)


def _masked(policy: Policy) -> Policy:
    """The policy without card numbers."""
    return msgspec.convert(card_numbers.mask_json(msgspec.to_builtins(policy)), Policy)


def _published(
    tenant: Tenant, policy: Policy, gate: Gate, now: datetime, actor: str, note: str, based_on: int | None
) -> int:
    with transaction.atomic():
        locked = Tenant.objects.select_for_update().get(pk=tenant.pk)
        if based_on is not None and based_on != locked.policy_version:
            raise Outdated(locked.policy_version)
        was = in_force(locked)
        check_lists(policy.rules, was.rules, types_of(locked.schema_name))  # under the lock under which lists go
        version = locked.policy_version + 1
        document = msgspec.to_builtins(msgspec.structs.replace(policy, version=version))
        with in_tenant(locked):
            PublishedPolicy.objects.create(
                version=version, document=document, published_at=now, published_by=actor[:200], note=note
            )
        Tenant.objects.filter(pk=tenant.pk).update(policy_version=version)
        before, after = changes(was, msgspec.structs.replace(policy, version=version))
        record_audit(
            tenant=locked, actor=actor, action="policy.published", target=f"policy {version}", before=before,
            after={**after, "note": note} if note else after, now=now,
        )  # fmt: skip
        mark_changed(locked)
    invalidate_pending(gate)
    return version
