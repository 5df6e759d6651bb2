"""What can be done with a tenant's own models: ask for one, read them, put one in shadow, make it champion, retire it.

    training ─► candidate ─► shadow ─► champion        failed: training came to nothing, and says why
                    │          ▲ │         │
                    └──────────┼─┴─────────┴─► retired, and back from there

Which models are asked stands in the tenant's policy: each step publishes a version of it, so that it holds from the
next request on, on every process, and a decision can be traced to it. Back is one such step.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.db import connection, transaction
from msgspec import Meta

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Gate
from apps.notifications.models import new_id
from apps.scoring import policies
from apps.scoring.engine.decide import OwnModels, Policy
from apps.scoring.models import OwnModel, OwnModelSettings

State = OwnModel.State
#: What may be trained, best first as a rule; the best on held-out decisions becomes the model.
FAMILIES = ("lightgbm", "xgboost", "random_forest", "logistic_regression")
USUAL_FAMILIES = ("lightgbm",)
#: Models in shadow at once, of one schema and mode.
MOST_SHADOWS = 3
#: Known frauds without which nothing is begun: training itself needs more of each part of the time.
LEAST_FRAUDS = 140
#: Models that are kept; the oldest retired and failed ones go.
MOST_KEPT = 50
#: What each step may begin from.
FROM: dict[str, tuple[str, ...]] = {
    "shadow": (State.CANDIDATE, State.CHAMPION, State.RETIRED),
    "promote": (State.CANDIDATE, State.SHADOW, State.RETIRED),
    "retire": (State.CANDIDATE, State.SHADOW, State.CHAMPION),
}
_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('own models'))"
_FRAUDS = "SELECT count(*) FROM review_label WHERE holds AND label = 'fraud' AND livemode = %s AND schema = %s"


class PromoteWhen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has to be so for a model in shadow to become champion by itself; better beyond the interval than what
    decides it has to be in any case."""

    frauds: Annotated[int, Meta(ge=20, le=1_000_000, description="At least so many frauds known since then.")]
    days: Annotated[int, Meta(ge=1, le=366, description="At least so many days.")]


class NotNow(ValueError):
    """The model, or the tenant, is not in a state for this; the message says which it is in."""


class TooLittle(ValueError):
    """There is too little to train on; the message says of what."""


def ask_training(
    *, tenant: Tenant, livemode: bool, schema: str, families: Sequence[str], since: datetime | None,
    until: datetime | None, maturity_days: float | None, now: datetime, actor: str, retrains: str = "",
) -> OwnModel:  # fmt: skip
    """Ask for a model; the worker trains it. Raises `TooLittle`, `NotNow` while one of the schema is being trained."""
    with in_tenant(tenant), transaction.atomic():
        _alone()
        if OwnModel.objects.filter(livemode=livemode, schema=schema, state=State.TRAINING).exists():
            raise NotNow(f"A model of '{schema}' is being trained already.")
        frauds = known_frauds(livemode, schema)
        if frauds < LEAST_FRAUDS:
            raise TooLittle(
                f"{frauds} decisions of '{schema}' are known to be frauds; {LEAST_FRAUDS} are needed. Send labels "
                "(POST /v1/labels)."
            )
        model = OwnModel.objects.create(
            id=new_id("mdl", now),
            livemode=livemode,
            schema=schema,
            state=State.TRAINING,
            families=list(families),
            since=since,
            until=until,
            maturity_days=maturity_days,
            asked_at=now,
            asked_by=actor,
            retrains=retrains,
            progress="waiting",
        )
        _forget_oldest(livemode, schema)
        record_audit(
            tenant=tenant, actor=actor, action="model.train", target=model.pk, now=now,
            after={"schema": schema, "families": list(families)},
        )  # fmt: skip
    return model


def known_frauds(livemode: bool, schema: str) -> int:
    """Decisions of a kind that are known to be frauds; to be asked within the tenant."""
    with connection.cursor() as cursor:
        cursor.execute(_FRAUDS, [livemode, schema])
        return int(cursor.fetchone()[0])


def find(tenant_schema: str, livemode: bool, model_id: str) -> OwnModel | None:
    """A model of the tenant's; None when there is none of that id."""
    with in_tenant(tenant_schema):
        row = OwnModel.objects.filter(pk=model_id, livemode=livemode).first()
    return row and _as_asked(tenant_schema, [row])[0]


def all_of(tenant_schema: str, livemode: bool) -> list[OwnModel]:
    """The tenant's models, the newest first."""
    with in_tenant(tenant_schema):
        rows = list(OwnModel.objects.filter(livemode=livemode).order_by("-asked_at", "-id"))
    return _as_asked(tenant_schema, rows)


def _as_asked(tenant_schema: str, rows: list[OwnModel]) -> list[OwnModel]:
    """Models in the states the policy in force puts them into: it may have gone back to an earlier version."""
    policy = policy_of(Tenant.objects.get(schema_name=tenant_schema))
    for row in rows:
        row.state = state_of(row, policy)
    return rows


def state_of(model: OwnModel, policy: Policy) -> str:
    """A model's state by what a policy says of it."""
    asked = policy.own_models_for(model.schema, model.livemode)
    if asked and model.pk == asked.champion:
        return State.CHAMPION
    if asked and model.pk in asked.shadows:
        return State.SHADOW
    return State.RETIRED if model.state in (State.CHAMPION, State.SHADOW) else model.state


def put_in_shadow(
    *, tenant: Tenant, model: OwnModel, gate: Gate, now: datetime, actor: str, promote_when: PromoteWhen | None = None
) -> OwnModel:
    """Have a model asked beside what decides, and never told; with `promote_when` it becomes champion once that is so.
    A champion steps back by it. Of one that is in shadow the conditions change. Raises `NotNow`."""
    if model.state == State.SHADOW:
        return _state_conditions(tenant, model, promote_when, now, actor)
    changed = _step("shadow", State.SHADOW, tenant, model, gate, now, actor)
    return _state_conditions(tenant, changed, promote_when, now, actor) if promote_when else changed


def _state_conditions(
    tenant: Tenant, model: OwnModel, promote_when: PromoteWhen | None, now: datetime, actor: str
) -> OwnModel:
    """Keep what is stated of a model in shadow; None: it becomes champion by an explicit call alone."""
    stated = None if promote_when is None else msgspec.to_builtins(promote_when)
    with in_tenant(tenant), transaction.atomic():
        _alone()
        OwnModel.objects.filter(pk=model.pk).update(promote_when=stated)
        record_audit(
            tenant=tenant, actor=actor, action="model.shadow", target=model.pk, now=now,
            before={"promote_when": model.promote_when}, after={"promote_when": stated},
        )  # fmt: skip
    model.promote_when = stated
    return model


def promote(*, tenant: Tenant, model: OwnModel, gate: Gate, now: datetime, actor: str) -> OwnModel:
    """Have a model decide from the next request on; the one that did until now goes on in shadow. Raises `NotNow`."""
    return _step("promote", State.CHAMPION, tenant, model, gate, now, actor)


def retire(*, tenant: Tenant, model: OwnModel, gate: Gate, now: datetime, actor: str) -> OwnModel:
    """Have a model asked no more; without an own champion the shared one decides again. Raises `NotNow`."""
    return _step("retire", State.RETIRED, tenant, model, gate, now, actor)


def delete(*, tenant: Tenant, model: OwnModel, now: datetime, actor: str) -> None:
    """Delete a model and its files for good. Raises `NotNow` while it is asked, or trained."""
    with in_tenant(tenant), transaction.atomic():
        _alone()
        row = OwnModel.objects.get(pk=model.pk)
        state = state_of(row, policy_of(Tenant.objects.get(pk=tenant.pk)))
        if state in (State.TRAINING, State.SHADOW, State.CHAMPION):
            raise NotNow(f"A model in state '{state}' can't be deleted; retire it first.")
        row.delete()
        record_audit(tenant=tenant, actor=actor, action="model.delete", target=model.pk, now=now)


def begin_keeping(*, tenant: Tenant, schema: str, livemode: bool, gate: Gate, now: datetime, actor: str) -> None:
    """Have requests and labels keep what own models need to know, from the next one on; once."""
    policy = policy_of(Tenant.objects.get(pk=tenant.pk))
    if policy.own_models_for(schema, livemode) is None:
        entry = OwnModels(schema=schema, livemode=livemode)
        changed = msgspec.structs.replace(policy, own_models=(*policy.own_models, entry))
        policies.publish(tenant=tenant, policy=changed, gate=gate, now=now, actor=actor)


def settings_of(tenant_schema: str, livemode: bool) -> list[OwnModelSettings]:
    """What is set of retraining, one row a schema."""
    with in_tenant(tenant_schema):
        return list(OwnModelSettings.objects.filter(livemode=livemode).order_by("schema"))


def set_retraining(
    *, tenant: Tenant, livemode: bool, schema: str, weekly: bool, promotes: bool, now: datetime, actor: str
) -> OwnModelSettings:
    """Have a schema's own model trained again every week, or no more."""
    with in_tenant(tenant), transaction.atomic():
        row, _ = OwnModelSettings.objects.update_or_create(
            livemode=livemode, schema=schema, defaults={"weekly": weekly, "promotes": promotes}
        )
        record_audit(
            tenant=tenant, actor=actor, action="model.retraining", target=schema, now=now,
            after={"weekly": weekly, "promotes": promotes},
        )  # fmt: skip
    return row


def told_of(model: OwnModel) -> dict[str, object]:
    """What a notification says of a model."""
    compared = model.comparison or {}
    return {
        "model": model.pk,
        "schema": model.schema,
        "state": str(model.state),
        "failure": model.failure,
        "average_precision": compared.get("own", {}).get("average_precision"),
        "shared_average_precision": compared.get("shared", {}).get("average_precision"),
        "better_beyond_interval": compared.get("better_beyond_interval"),
    }


def policy_of(tenant: Tenant) -> Policy:
    """The tenant's policy in force."""
    return policies.load(tenant.schema_name, tenant.policy_version) if tenant.policy_version else Policy()


def _step(verb: str, state: str, tenant: Tenant, model: OwnModel, gate: Gate, now: datetime, actor: str) -> OwnModel:
    with transaction.atomic():
        with in_tenant(tenant):
            _alone()
            row = OwnModel.objects.get(pk=model.pk)
        policy = policy_of(Tenant.objects.get(pk=tenant.pk))
        before = state_of(row, policy)
        if before not in FROM[verb]:
            raise NotNow(f"A model in state '{before}' can't go to '{state}'.")
        entry = policy.own_models_for(row.schema, row.livemode) or OwnModels(schema=row.schema, livemode=row.livemode)
        changed = _asked(entry, row.pk, state)
        if len(changed.shadows) > MOST_SHADOWS:
            raise NotNow(f"{MOST_SHADOWS} models are in shadow already; retire one first.")
        others = [one for one in policy.own_models if one != entry]
        policy = msgspec.structs.replace(policy, own_models=(*others, changed))
        policies.publish(tenant=tenant, policy=policy, gate=gate, now=now, actor=actor)
        with in_tenant(tenant):
            OwnModel.objects.filter(pk=row.pk).update(promote_when=None)
            _state_all(row.schema, row.livemode, changed, row.pk, now)
            record_audit(
                tenant=tenant, actor=actor, action=f"model.{verb}", target=row.pk, now=now,
                before={"state": before}, after={"state": state},
            )  # fmt: skip
            return OwnModel.objects.get(pk=row.pk)


def _asked(entry: OwnModels, model_id: str, state: str) -> OwnModels:
    """Who is asked once a model is in a state; whoever was champion and is no more stays in shadow."""
    shadows = [name for name in entry.shadows if name != model_id]
    champion = "" if entry.champion == model_id else entry.champion
    if state == State.CHAMPION:
        shadows += [champion] if champion else []
        champion = model_id
    elif state == State.SHADOW:
        shadows.append(model_id)
    return msgspec.structs.replace(entry, champion=champion, shadows=tuple(shadows))


def _state_all(schema: str, livemode: bool, asked: OwnModels, moved: str, now: datetime) -> None:
    """What the policy says of each model, in their rows."""
    rows = OwnModel.objects.filter(schema=schema, livemode=livemode)
    rows.filter(pk=asked.champion).exclude(state=State.CHAMPION).update(state=State.CHAMPION, champion_at=now)
    rows.filter(pk__in=asked.shadows).exclude(state=State.SHADOW).update(state=State.SHADOW, shadow_at=now)
    unasked = rows.exclude(pk__in=[asked.champion, *asked.shadows])
    unasked.filter(pk=moved).update(state=State.RETIRED, retired_at=now)


def _forget_oldest(livemode: bool, schema: str) -> None:
    ended = OwnModel.objects.filter(livemode=livemode, schema=schema, state__in=(State.RETIRED, State.FAILED))
    for row in ended.order_by("-asked_at")[MOST_KEPT:]:
        row.delete()


def _alone() -> None:
    """One step after the other per tenant."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)


def waiting(tenant: Tenant) -> Iterator[Any]:
    """The ids of models that are to be trained."""
    with in_tenant(tenant):
        yield from OwnModel.objects.filter(state=State.TRAINING).order_by("asked_at").values_list("pk", flat=True)
