"""The doors of `/v1/policies`: versions, what is between two of them, publishing one and going back to one."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, id_in_path, operation, page_of, parameter
from apps.api.parameters import page_in, query_of, quoted
from apps.api_keys.gate import Admission
from apps.api_keys.services import get_gate
from apps.decoding import without_cards
from apps.errors import Problem
from apps.scoring import policies
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import InvalidRules
from apps.scoring.lists.reads import types_of
from apps.scoring.models import PublishedPolicy
from apps.scoring.policies import Outdated, policy_of
from apps.scoring.policy_changes import PolicyChange, differences
from apps.scoring.policy_file import InvalidPolicy, changed, members
from apps.times import rfc3339_or_none

_VERSION = re.compile("[0-9]{1,9}")

Note = Annotated[str, Meta(max_length=500, description="Why, for those who read the versions later.")]
Members = Annotated[
    dict[str, Any],
    Meta(
        description="Thresholds, rules, built-in rules as tuned, home country: see [Your policy](/docs#your-policy). "
        "What is left out stays as it is in force.",
        extra_json_schema={"additionalProperties": True},
    ),
]


class NewPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to be."""

    policy: Members
    note: Note = ""
    based_on: (
        Annotated[
            int,
            Meta(ge=0, description="The version it was made from: refused (409) when another was published meanwhile."),
        ]
        | None
    ) = None
    dry_run: Annotated[bool, Meta(description="Check it and tell what would change; publish nothing.")] = False


class RollBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an earlier version is taken up again."""

    note: Note = ""


class PolicyVersion(msgspec.Struct, frozen=True):
    """A version. Version 0 is what everybody begins with; nobody published it."""

    version: int
    object: Literal["policy"]
    in_force: bool
    published_at: Moment | None
    published_by: str
    note: str
    policy: dict[str, Any]


class PolicyPage(msgspec.Struct, frozen=True):
    """Versions, the newest first."""

    object: Literal["list"]
    data: list[PolicyVersion]
    has_more: bool
    next_cursor: NextCursor


class PublishedVersion(msgspec.Struct, frozen=True):
    """What was published, or would be: `version` is null after a dry run."""

    version: int | None
    object: Literal["policy"]
    dry_run: bool
    changes: Annotated[tuple[PolicyChange, ...], Meta(description="Against the version that was in force.")]
    policy: dict[str, Any]


class PolicyDiff(msgspec.Struct, frozen=True):
    """What one version has otherwise than another."""

    object: Literal["policy_diff"]
    version: int
    against: int
    changes: tuple[PolicyChange, ...]


class _PoliciesView(ApiView):
    """Reading takes `read`; publishing takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def version(self, admission: Admission, asked: str) -> PublishedPolicy:
        """A version of the tenant's. Raises `Problem` (404)."""
        found = policies.find(admission.tenant_schema, int(asked)) if _VERSION.fullmatch(asked) else None
        if found is None:
            raise Problem("not_found")
        return found

    def tenant(self, admission: Admission) -> Tenant:
        return Tenant.objects.get(pk=admission.tenant_id)


class PoliciesView(_PoliciesView):
    """GET: the versions. POST: a new one."""

    endpoint = "policies"
    body_limit = 5_000_000

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor = self.understood(request, lambda request: page_in(query_of(request.META)))
        admission = self.admit_only(request)
        page = policies.page(admission.tenant_schema, cursor, limit)
        newest = self.tenant(admission).policy_version
        data = [_told(row, newest) for row in page.rows]
        return json_answer(PolicyPage("list", data, page.next_cursor is not None, page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, NewPolicy))
        admission = self.admit_only(request)
        tenant = self.tenant(admission)
        was = policies.in_force(tenant)
        new = read_policy(was, asked.policy, types_of(tenant.schema_name))
        version = None if asked.dry_run else self._publish(tenant, new, asked, admission.actor)
        told = msgspec.to_builtins(msgspec.structs.replace(new, version=version or was.version))
        return json_answer(PublishedVersion(version, "policy", asked.dry_run, differences(was, new), told))

    def _publish(self, tenant: Tenant, policy: Policy, asked: NewPolicy, actor: str) -> int:
        """Raises `Problem` when another was quicker."""
        try:
            return policies.publish(
                tenant=tenant,
                policy=policy,
                gate=get_gate(),
                now=self.now,
                actor=actor,
                note=asked.note,
                based_on=asked.based_on,
            )
        except Outdated as outdated:
            raise Problem("policy_outdated", f"Version {outdated.version} was published meanwhile.") from outdated
        except InvalidRules as wrong:  # a list was deleted meanwhile
            raise _refused(wrong, "policy.") from wrong


class PolicyView(_PoliciesView):
    """GET: one version."""

    endpoint = "policy"

    def get(self, request: HttpRequest, policy_version: str) -> HttpResponse:
        admission = self.admit_only(request)
        return json_answer(_told(self.version(admission, policy_version), self.tenant(admission).policy_version))


class PolicyDiffView(_PoliciesView):
    """GET: what a version has otherwise than another."""

    endpoint = "policy_diff"

    def get(self, request: HttpRequest, policy_version: str) -> HttpResponse:
        asked = self.understood(request, _against)
        admission = self.admit_only(request)
        row = self.version(admission, policy_version)
        against = self.version(admission, str(max(row.version - 1, 0)) if asked is None else asked)
        changes = differences(policy_of(against), policy_of(row))
        return json_answer(PolicyDiff("policy_diff", row.version, against.version, changes))


class PolicyRollBackView(_PoliciesView):
    """POST: publish an earlier version anew."""

    endpoint = "policy_roll_back"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, policy_version: str) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, RollBack))
        admission = self.admit_only(request)
        row, tenant = self.version(admission, policy_version), self.tenant(admission)
        was = policies.in_force(tenant)
        version = self._rolled_back(tenant, row.version, admission.actor, asked.note)
        new = policies.load(admission.tenant_schema, version)
        return json_answer(PublishedVersion(version, "policy", False, differences(was, new), msgspec.to_builtins(new)))

    def _rolled_back(self, tenant: Tenant, version: int, actor: str, note: str) -> int:
        """Raises `Problem` for rules that ask for lists which are there no more."""
        try:
            return policies.roll_back(
                tenant=tenant, version=version, gate=get_gate(), now=self.now, actor=actor, note=note
            )
        except InvalidRules as wrong:
            raise _refused(wrong, "") from wrong


def _against(request: HttpRequest) -> str | None:
    """The version to hold it against; None: the one before. Raises `Problem`."""
    asked = query_of(request.META).get("against")
    if asked is not None and not _VERSION.fullmatch(asked):
        raise Problem("field_invalid", f"'against' takes the number of a version, not {quoted(asked)}.", "against")
    return asked


def read_policy(was: Policy, said: Mapping[str, Any], lists: Collection[str], at: str = "policy.") -> Policy:
    """A policy with what is said of it `at` this place of a request; `lists` are the tenant's. Raises `Problem` with
    the place of a mistake."""
    try:
        return changed(was, members(msgspec.json.encode(said)), lists)
    except InvalidPolicy as wrong:
        raise _refused(wrong, at) from wrong


def _refused(wrong: ValueError, at: str) -> Problem:
    """What is wrong with a policy `at` this place of a request."""
    place = str(wrong).partition(":")[0].partition(" ")[0]
    return Problem("field_invalid", str(wrong), f"{at}{place}")


def _told(row: PublishedPolicy, newest: int) -> PolicyVersion:
    return PolicyVersion(
        version=row.version,
        object="policy",
        in_force=row.version == newest,
        published_at=rfc3339_or_none(row.published_at),
        published_by=row.published_by,
        note=row.note,
        policy=row.document,
    )


TAG = "Policies"
_ID = id_in_path("policy_version", "The version's number.", "3")
_AGAINST = parameter(
    "against",
    "query",
    "The version it is held against; the one before it, unless told.",
    {"type": "integer", "minimum": 0},
)
_EXAMPLE = {
    "summary": "A rule, and a later review",
    "value": {
        "policy": {
            "review_at": 0.4,
            "rules": [
                {"id": "large", "outcome": "review", "all": [{"field": "amount", "op": "gt", "value": 5000}]},
            ],
        },
        "note": "Reviewers asked for fewer, larger cases.",
    },
}

OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/policies",
        "listPolicies",
        "List the versions of your policy",
        "Every version that was published, the newest first: the one in force. Every decision tells the version it was "
        "made under (`policy_version`); live and test keys share one policy.",
        Answer(PolicyPage, "A page of versions."),
        parameters=page_of("Versions"),
        problems=("field_invalid", "cursor_invalid"),
    ),
    operation(
        TAG,
        "POST",
        "/v1/policies",
        "publishPolicy",
        "Publish a policy",
        "Checks what is said and publishes it as the newest version: it decides from the next request on, on every "
        "process. With `dry_run` nothing is published, and the answer tells what would change. Before publishing, "
        "simulate it over your own decisions.",
        Answer(PublishedVersion, "The version, and what it changed."),
        "admin",
        body=Body(NewPolicy, {"rule": _EXAMPLE}),
        problems=(*WITH_A_BODY, "field_invalid", "policy_outdated"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/policies/{policy_version}",
        "getPolicy",
        "Read a version",
        "One version, whole. Version 0 is what everybody begins with.",
        Answer(PolicyVersion, "The version."),
        parameters=(_ID,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "GET",
        "/v1/policies/{policy_version}/diff",
        "diffPolicies",
        "Compare two versions",
        "What a version has otherwise than another, member by member and rule by rule.",
        Answer(PolicyDiff, "What changed; empty when nothing did."),
        parameters=(_ID, _AGAINST),
        problems=("not_found", "field_invalid"),
    ),
    operation(
        TAG,
        "POST",
        "/v1/policies/{policy_version}/rollback",
        "rollBackPolicy",
        "Go back to a version",
        "Publishes an earlier version anew, as it was, in one call: it decides from the next request on. The versions "
        "between stay where they are.",
        Answer(PublishedVersion, "The version it was given, and what that changed."),
        "admin",
        parameters=(_ID,),
        body=Body(RollBack, {"why": {"summary": "Why", "value": {"note": "The new rule caught too much."}}}),
        problems=(*WITH_A_BODY, "not_found", "field_invalid"),
    ),
)
