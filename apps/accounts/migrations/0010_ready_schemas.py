"""Schemas built beforehand, for tenants to come."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_lists_pending")]

    operations = [
        migrations.CreateModel(
            name="ReadySchema",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("schema_name", models.CharField(max_length=63, unique=True)),
                ("template", models.CharField(max_length=32)),
            ],
        ),
    ]
