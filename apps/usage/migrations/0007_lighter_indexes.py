"""Without the index of events that is for beginnings of ids: nothing asks for those, and each event paid for it."""

from django.db import migrations

LIKE = "usage_usageevent_id_5f63201b_like"


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_decisions_of_an_event")]

    operations = [
        migrations.RunSQL(
            f"DROP INDEX IF EXISTS {LIKE}",
            f"CREATE INDEX IF NOT EXISTS {LIKE} ON usage_usageevent (id varchar_pattern_ops)",
        ),
    ]
