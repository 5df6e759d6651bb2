"""An entry's seal and its place in the chain of its tenant; chains' heads."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_trail_checks_names")]

    operations = [
        migrations.CreateModel(
            name="AuditChain",
            fields=[
                ("chain", models.BigIntegerField(primary_key=True, serialize=False)),
                ("length", models.BigIntegerField()),
                ("digest", models.CharField(max_length=64)),
            ],
        ),
        migrations.AddField("auditentry", "request_id", models.CharField(blank=True, default="", max_length=100)),
        migrations.AddField("auditentry", "chain", models.BigIntegerField(default=0, editable=False)),
        migrations.AddField("auditentry", "sequence", models.BigIntegerField(editable=False, null=True)),
        migrations.AddField("auditentry", "seal", models.CharField(default="", editable=False, max_length=80)),
        migrations.AddField(
            "auditentry", "digest", models.CharField(blank=True, default="", editable=False, max_length=64)
        ),
    ]
