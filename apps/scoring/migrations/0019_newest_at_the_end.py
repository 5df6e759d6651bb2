"""Newest first is read backwards: a new decision goes behind the last one, where it split pages into halves before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0018_lighter_indexes")]

    operations = [
        migrations.RemoveIndex(model_name="decision", name="decision_newest_first"),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["livemode", "created_at", "id"], name="decision_newest_first"),
        ),
    ]
