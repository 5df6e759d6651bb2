from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scoring", "0003_stripe_account"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="hidden",
            field=models.JSONField(
                help_text="Keyed hashes of what is masked in the facts, by field, and of the id.",
                null=True,
            ),
        ),
    ]
