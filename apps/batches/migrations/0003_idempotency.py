from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_closed_at"), ("batches", "0002_drafts")]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="idempotency_key",
            field=models.CharField(
                blank=True, default="", help_text="Its hash; empty: none, or over by now.", max_length=32
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="batch",
            name="fingerprint",
            field=models.CharField(
                blank=True, default="", help_text="Of the request that key came with.", max_length=32
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(
                condition=~models.Q(idempotency_key=""),
                fields=["tenant", "livemode", "idempotency_key"],
                name="batch_once_a_key",
            ),
        ),
    ]
