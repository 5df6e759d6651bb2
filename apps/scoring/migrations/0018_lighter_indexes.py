"""What a decision costs its indexes: the one of parties and rules in two, since in one each row without a hit is an
entry, too; and without the one that is for beginnings of ids, which nothing asks for."""

import django.contrib.postgres.indexes
from django.db import migrations, models

LIKE = "scoring_decision_id_a7dd428a_like"


class Migration(migrations.Migration):
    dependencies = [("scoring", "0017_values_in_bytes_as_they_are")]

    operations = [
        migrations.RemoveIndex(model_name="decision", name="decision_of_party"),
        migrations.AddIndex(
            model_name="decision",
            index=django.contrib.postgres.indexes.GinIndex(fields=["parties"], name="decision_of_party"),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("rules_hit", []), _negated=True), fields=["rules_hit"], name="decision_of_rule"
            ),
        ),
        migrations.RunSQL(
            f"DROP INDEX IF EXISTS {LIKE}",
            f"CREATE INDEX IF NOT EXISTS {LIKE} ON scoring_decision (id varchar_pattern_ops)",
        ),
    ]
