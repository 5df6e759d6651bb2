from django.db import migrations, models


class Migration(migrations.Migration):
    """What a model in shadow said beside what decided, and what makes it champion by itself."""

    dependencies = [("scoring", "0015_months")]

    operations = [
        migrations.AddField(
            model_name="ownmodel",
            name="shadow_report",
            field=models.JSONField(null=True, help_text="Beside what decided since it is in shadow; by night."),
        ),
        migrations.AddField(
            model_name="ownmodel",
            name="promote_when",
            field=models.JSONField(null=True, help_text="In shadow: what makes it champion; null: a call alone."),
        ),
    ]
