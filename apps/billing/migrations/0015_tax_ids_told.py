"""What the payment provider was told of a customer's tax id, and what it says of it."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("billing", "0014_names")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="subscription",
            name="told_country",
            field=models.CharField(blank=True, db_default="", max_length=2),
        ),
        migrations.AddField(
            model_name="subscription",
            name="told_tax_id",
            field=models.CharField(blank=True, db_default="", max_length=40),
        ),
        migrations.AddField(
            model_name="subscription",
            name="tax_id_state",
            field=models.CharField(blank=True, db_default="", max_length=20),
        ),
    ]
