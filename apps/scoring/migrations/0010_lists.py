"""Lists that rules ask for, and the history of their items."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0009_likeliest_first")]

    operations = [
        migrations.CreateModel(
            name="ValueList",
            fields=[
                ("id", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("livemode", models.BooleanField()),
                ("name", models.CharField(max_length=64)),
                ("item_type", models.CharField(max_length=10)),
                ("description", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=80)),
                ("deleted_at", models.DateTimeField(null=True)),
                ("deleted_by", models.CharField(blank=True, max_length=80)),
                ("prefixes", models.TextField(blank=True)),
                ("size", models.IntegerField(default=0, help_text="Items that were not removed.")),
                ("version", models.BigIntegerField(default=0)),
                ("published", models.BigIntegerField(default=-1)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("deleted_at", None)),
                        fields=("livemode", "name"),
                        name="value_list_of_one_name",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ListItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("livemode", models.BooleanField(help_text="The list's.")),
                ("token", models.BinaryField(max_length=12)),
                ("value", models.CharField(max_length=254)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("expires_at", models.DateTimeField(null=True)),
                ("added_at", models.DateTimeField()),
                ("added_by", models.CharField(max_length=80)),
                ("removed_at", models.DateTimeField(null=True)),
                ("removed_by", models.CharField(blank=True, max_length=80)),
                (
                    "list",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="scoring.valuelist",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("removed_at", None)), fields=["list", "-id"], name="list_item_newest_first"
                    ),
                    models.Index(
                        condition=models.Q(("removed_at__isnull", False)),
                        fields=["livemode", "removed_at"],
                        name="list_item_removed",
                    ),
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False), ("removed_at", None)),
                        fields=["expires_at"],
                        name="list_item_expiring",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("list", "token", "removed_at"),
                        name="list_item_one_at_a_time",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
    ]
