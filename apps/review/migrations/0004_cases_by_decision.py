from django.db import migrations, models


class Migration(migrations.Migration):
    """Cases are found by their transaction's id and by their last decision, among any number of them."""

    dependencies = [("review", "0003_label_months")]

    operations = [
        migrations.AddIndex(
            model_name="case", index=models.Index(fields=["transaction_id"], name="case_by_transaction_id")
        ),
        migrations.AddIndex(model_name="case", index=models.Index(fields=["decision_id"], name="case_by_decision")),
    ]
