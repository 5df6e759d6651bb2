"""Whether Valkey is still to hear of a change of a tenant's lists."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_closed_at")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="lists_pending",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Valkey is to hear of its lists."
            ),
        ),
    ]
