"""Tables of a tenant's schema: decisions with the facts they were made on, and published policies."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.sealing import SealedText

#: A decision's probability where lists are sorted by it: those without one, made by a rule alone, come last.
LIKELIHOOD = Coalesce("fraud_probability", models.Value(-1.0), output_field=models.FloatField())


class Decision(models.Model):
    """One decision, exactly as it was answered. Written only by `recording.record`; never changed.

    `answer` is the very text the client got, so that a replay is byte-identical; the columns beside it are for
    searching. `features` and `contributions` are float32 vectors in the order of the model's card.
    """

    id = models.CharField(primary_key=True, max_length=32)
    created_at = models.DateTimeField()
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    transaction_id = models.CharField(max_length=128)
    body_hash = models.CharField(max_length=32, help_text="Of the facts: the same id and hash again is a duplicate.")
    idempotency_hash = models.CharField(max_length=32, blank=True, help_text="Of the Idempotency-Key; empty without.")
    fingerprint = models.CharField(max_length=32, blank=True, help_text="Of the request, under an Idempotency-Key.")
    status = models.CharField(max_length=12, help_text="new or superseding")
    fraud_probability = models.FloatField(null=True)
    risk_score = models.SmallIntegerField(null=True)
    risk_level = models.CharField(max_length=8)
    recommended_action = models.CharField(max_length=9)
    decisive = models.CharField(max_length=80, help_text="kind:id of what decided")
    model_name = models.CharField(max_length=40, blank=True)
    model_version = models.CharField(max_length=40, blank=True)
    facts = models.JSONField()
    answer = models.TextField()
    features = models.BinaryField()
    contributions = models.BinaryField()
    hidden = models.JSONField(
        null=True,
        help_text="Keyed hashes of what is masked in the facts, by field, and of the id.",
    )
    shadows = models.JSONField(null=True, help_text="What own models in shadow would have said; null where none was.")
    row = models.SmallIntegerField(default=0, help_text="Its place in the batch it came with: the order of arrival.")
    policy_version = models.IntegerField(null=True, help_text="It was made under; null: before this was kept.")
    made_on = models.BinaryField(null=True, help_text="See engine/made_on.py; null: before this was kept.")
    # What it is found by: sought.py.
    amount = models.FloatField(default=0)
    parties = ArrayField(models.TextField(), default=list)
    rules_hit = ArrayField(models.TextField(), default=list)

    class Meta:
        indexes: ClassVar = [
            # Read backwards: in the order of time a new one goes behind the last, and pages are filled.
            models.Index(fields=["livemode", "created_at", "id"], name="decision_newest_first"),
            models.Index(fields=["transaction_id"], name="decision_of_transaction"),
            models.Index(fields=["livemode", "-amount", "-id"], name="decision_largest_first"),
            models.Index(
                models.F("livemode"), LIKELIHOOD.desc(), models.F("id").desc(), name="decision_likeliest_first"
            ),
            # Apart: of a row without a hit, as most are, one index over both would keep an entry that says so.
            GinIndex(fields=["parties"], name="decision_of_party"),
            GinIndex(fields=["rules_hit"], condition=~models.Q(rules_hit=[]), name="decision_of_rule"),
            # Of the few that were not waved through: whoever looks for a rare one must not read a million.
            models.Index(
                fields=["livemode", "risk_level", "-created_at", "-id"],
                condition=~models.Q(risk_level="low"),
                name="decision_of_level",
            ),
            models.Index(
                fields=["livemode", "recommended_action", "-created_at", "-id"],
                condition=~models.Q(recommended_action="approve"),
                name="decision_of_action",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class OutcomeSums(models.Model):
    """Decisions by what was recommended."""

    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    recommended_action = models.CharField(max_length=9)
    decisions = models.BigIntegerField()
    fraud = models.BigIntegerField(help_text="Of them, at level high or critical.")

    class Meta:
        abstract = True


class OutcomeHour(OutcomeSums):
    """Decisions of one hour (UTC) by what was recommended. Added up by the recorder with the decisions themselves."""

    hour = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "hour", "schema", "recommended_action"], name="outcome_hour_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.recommended_action} on {self.hour:%Y-%m-%d %H}:00"


class OutcomeDay(OutcomeSums):
    """Decisions of one day (UTC) of a month that is folded (`months.py`)."""

    day = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "recommended_action"], name="outcome_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.recommended_action} on {self.day}"


class ScoreSums(models.Model):
    """Decisions by whole percent of fraud probability, rounded down; 100 counts as 99."""

    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    percent = models.SmallIntegerField()
    decisions = models.BigIntegerField()

    class Meta:
        abstract = True


class ScoreDay(ScoreSums):
    """Decisions of one day (UTC) by whole percent of fraud probability."""

    day = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "percent"], name="score_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.percent} % on {self.day}"


class ScoreMonth(ScoreSums):
    """Decisions of one folded month by whole percent of fraud probability; `month` is its first day."""

    month = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "month", "schema", "percent"], name="score_month_once")
        ]

    def __str__(self) -> str:
        return f"{self.percent} % in {self.month:%Y-%m}"


class PatternSums(models.Model):
    """Decisions by one word of one dimension (`counting.DIMENSIONS`)."""

    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    dimension = models.CharField(max_length=12)
    word = models.CharField(max_length=90)
    decisions = models.BigIntegerField()
    fraud = models.BigIntegerField(help_text="Of them, at level high or critical.")
    amount = models.FloatField(help_text="In the transactions' own currencies.")
    fraud_amount = models.FloatField()

    class Meta:
        abstract = True


class PatternDay(PatternSums):
    """Decisions of one day (UTC) by one word of one dimension."""

    day = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "dimension", "word"], name="pattern_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.word} on {self.day}"


class PatternMonth(PatternSums):
    """Decisions of one folded month by one word of one dimension; `month` is its first day."""

    month = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "month", "schema", "dimension", "word"], name="pattern_month_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.dimension} {self.word} in {self.month:%Y-%m}"


class RuleSums(models.Model):
    """Decisions on which a rule was hit; with `other`, on which both were."""

    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    rule = models.CharField(max_length=80, help_text="A rule's id; of one that was not told, behind rules.SHADOW.")
    other = models.CharField(max_length=80, blank=True)
    decisions = models.BigIntegerField()
    fraud = models.BigIntegerField(help_text="Of them, at level high or critical.")
    decided = models.BigIntegerField(help_text="Of them, decided by the rule.")

    class Meta:
        abstract = True


class RuleDay(RuleSums):
    """Decisions of one day (UTC) on which a rule, or two, were hit."""

    day = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "rule", "other"], name="rule_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.rule} on {self.day}"


class RuleMonth(RuleSums):
    """Decisions of one folded month on which a rule, or two, were hit; `month` is its first day."""

    month = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "month", "schema", "rule", "other"], name="rule_month_once")
        ]

    def __str__(self) -> str:
        return f"{self.rule} in {self.month:%Y-%m}"


class PartyDay(models.Model):
    """The parties with the most risky decisions of one day (UTC), as one field named them: a sketch of bounded size."""

    day = models.DateField()
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    field = models.CharField(max_length=40)
    sketch = models.BinaryField(help_text="heavy_hitters.Sketch, msgpack.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "field"], name="party_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.field} on {self.day}"


class FeatureSums(models.Model):
    """Histograms of features and score under one model, in the bins of its reference.

    `counts` is int64[features + 1, bins + 1], the score last; the last bin of each holds what is unknown. Of many
    decisions a sample stands for all (`counting.sampled`).
    """

    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    model = models.CharField(max_length=90, help_text="name@version")
    reference = models.CharField(max_length=16, help_text="Of the reference's SHA-256: other bins are another row.")
    counts = models.BinaryField()
    decisions = models.BigIntegerField(help_text="That were looked at.")

    class Meta:
        abstract = True


class FeatureDay(FeatureSums):
    """Histograms of a day's (UTC) features and score under one model."""

    day = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["livemode", "day", "schema", "model", "reference"], name="feature_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.day}"


class FeatureMonth(FeatureSums):
    """Histograms of a folded month's features and score under one model; `month` is its first day."""

    month = models.DateField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "month", "schema", "model", "reference"], name="feature_month_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} in {self.month:%Y-%m}"


class FoldedMonth(models.Model):
    """The mark of a month whose sums (`subject`: of decisions, of labels) are what its days say: see `months.py`."""

    subject = models.CharField(max_length=10)
    month = models.DateField(help_text="Its first day.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["subject", "month"], name="folded_month_once")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.month:%Y-%m}"


class SavedSearch(models.Model):
    """A search of decisions that somebody keeps under a name; theirs alone."""

    user_id = models.BigIntegerField()
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2_000, help_text="The query string of the decisions' page.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user_id", "name"], name="saved_search_once")]

    def __str__(self) -> str:
        return self.name


class StripeAccount(models.Model):
    """The tenant's own account at Stripe, whose payments are screened (stripe_guard.py); one live, one test."""

    livemode = models.BooleanField(unique=True)
    api_key = SealedText(editable=False)
    webhook_secret = SealedText(blank=True, editable=False)
    key_digest = models.CharField(
        max_length=64, help_text="Of the API key that connected it: its webhooks act with it."
    )
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return "live" if self.livemode else "test"


class OwnModel(models.Model):
    """A model of the tenant's own: trained on its decisions and labels, and on nobody else's.

    Which one is asked stands in the policy (`engine/decide.py`: `own_models`); `state` says the same for people.
    """

    class State(models.TextChoices):
        TRAINING = "training"
        CANDIDATE = "candidate"
        SHADOW = "shadow"
        CHAMPION = "champion"
        RETIRED = "retired"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32)
    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State)
    families = models.JSONField(help_text="Those that are tried; the best of them becomes the model.")
    since = models.DateTimeField(null=True, help_text="Decisions dated before are left out, by their own time.")
    until = models.DateTimeField(null=True)
    maturity_days = models.FloatField(null=True, help_text="After which no label means legitimate; null: as measured.")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=200)
    retrains = models.CharField(max_length=32, blank=True, help_text="The model a weekly retraining is to replace.")
    progress = models.CharField(max_length=200, blank=True)
    leased_until = models.DateTimeField(null=True, help_text="Until then the worker that trains it is alive.")
    failure = models.CharField(max_length=500, blank=True)
    trained_at = models.DateTimeField(null=True)
    shadow_at = models.DateTimeField(null=True)
    champion_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)
    card = models.JSONField(null=True, help_text="What it was trained on, how, and what it is worth.")
    comparison = models.JSONField(null=True, help_text="With the shared champion, on the same later rows.")
    stability = models.JSONField(null=True, help_text="By how much the population of each threshold moves.")
    shadow_report = models.JSONField(null=True, help_text="Beside what decided since it is in shadow; by night.")
    promote_when = models.JSONField(null=True, help_text="In shadow: what makes it champion; null: a call alone.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["livemode", "-asked_at", "-id"], name="own_model_newest_first")]

    def __str__(self) -> str:
        return self.id


class OwnModelFiles(models.Model):
    """The artifact of an own model: sealed, so that a stolen dump alone can't score with it; gone with its row."""

    model = models.OneToOneField(OwnModel, on_delete=models.CASCADE, primary_key=True, related_name="files")
    content = SealedText(editable=False, help_text="Base 64 of zlib of msgpack: name → bytes.")
    sha256 = models.CharField(max_length=64, help_text="Of what is sealed.")

    def __str__(self) -> str:
        return self.model_id


class OwnModelSettings(models.Model):
    """Whether a schema's own model is trained again every week; one row a schema and mode."""

    livemode = models.BooleanField()
    schema = models.CharField(max_length=40)
    weekly = models.BooleanField(default=False)
    promotes = models.BooleanField(default=False, help_text="At once, when better beyond the interval.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["livemode", "schema"], name="own_model_settings_once")]

    def __str__(self) -> str:
        return f"{self.schema}: {'weekly' if self.weekly else 'on demand'}"


class Receipt(models.Model):
    """A link of the chain on which every decision stands (`receipts.py`). Append-only."""

    number = models.BigIntegerField(primary_key=True, help_text="From 1, without gaps.")
    at = models.DateTimeField()
    kind = models.CharField(max_length=8, help_text="recorded or removed")
    ids = ArrayField(models.TextField(), help_text="Of the decisions.")
    leaves = models.BinaryField(help_text="16 bytes a decision that was recorded.")
    digest = models.BinaryField()

    def __str__(self) -> str:
        return f"receipt {self.number}"


class PublishedPolicy(models.Model):
    """A tenant's own rules and thresholds, by version. Append-only: a decision can be traced to its policy."""

    version = models.PositiveIntegerField(primary_key=True)
    document = models.JSONField(help_text="See engine/decide.py: rules and thresholds.")
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.CharField(max_length=200, blank=True, db_default="")
    note = models.CharField(
        max_length=500, blank=True, db_default="", help_text="Why, in the words of whoever published it."
    )

    def __str__(self) -> str:
        return f"policy {self.version}"


class ValueList(models.Model):
    """A list rules ask for by its name. One that was deleted stays for those who look back: see `lists/`.

    `version` counts the changes of its items, `published` is the one Valkey was told of. `prefixes` are those of
    networks and BINs that were ever in it, such as "4/24 4/32".
    """

    id = models.CharField(primary_key=True, max_length=32)
    livemode = models.BooleanField()
    name = models.CharField(max_length=64)
    item_type = models.CharField(max_length=10)
    description = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.CharField(max_length=80, blank=True)
    prefixes = models.TextField(blank=True)
    size = models.IntegerField(default=0, help_text="Items that were not removed.")
    version = models.BigIntegerField(default=0)
    published = models.BigIntegerField(default=-1)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["livemode", "name"], condition=models.Q(deleted_at=None), name="value_list_of_one_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ListItem(models.Model):
    """One item's time in a list, from `added_at` until it was removed or expired. Changed by its end alone.

    `token` is the keyed hash of its name (`lists/tokens.py`); `value` is what people are shown, masked where it names
    a card or a person.
    """

    list = models.ForeignKey(ValueList, on_delete=models.CASCADE, related_name="items", db_index=False)
    livemode = models.BooleanField(help_text="The list's.")
    token = models.BinaryField(max_length=12)
    value = models.CharField(max_length=254)
    note = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField(null=True)
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=80)
    removed_at = models.DateTimeField(null=True)
    removed_by = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints: ClassVar = [
            # Also what is asked for when somebody looks back. Of what was not removed there is one at a time.
            models.UniqueConstraint(
                fields=["list", "token", "removed_at"], nulls_distinct=False, name="list_item_one_at_a_time"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["list", "-id"], condition=models.Q(removed_at=None), name="list_item_newest_first"),
            models.Index(
                fields=["livemode", "removed_at"],
                condition=models.Q(removed_at__isnull=False),
                name="list_item_removed",
            ),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(removed_at=None, expires_at__isnull=False),
                name="list_item_expiring",
            ),
        ]

    def __str__(self) -> str:
        return self.value
