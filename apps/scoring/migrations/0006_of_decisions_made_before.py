"""What is added up and found of decisions that were recorded before it was."""

from django.db import migrations

#: Kind → the field of its amount, the fields of its parties, as they were in 2026-11.
FIELDS = {
    "payments": ("amount", ("user_id", "merchant_id", "device_id", "email", "ip_address")),
    "paysim": ("amount", ("nameOrig", "nameDest")),
    "card_activity": ("Transaction_Amount", ("User_ID", "Merchant_ID", "Device_ID")),
    "ieee_cis": ("TransactionAmt", ("card1", "P_emaildomain")),
}


def found(schema, amount, parties):
    names = ", ".join(f"lower(facts->>'{name}')" for name in parties)
    return f"""
UPDATE scoring_decision SET amount = coalesce((facts->>'{amount}')::float8, 0),
    parties = array_remove(ARRAY[{names}], NULL),
    rules_hit = ARRAY(SELECT rule->>'id' FROM jsonb_array_elements(answer::jsonb->'rules') rule
                      WHERE rule->>'outcome' = 'hit')
WHERE schema = '{schema}'
"""


ADDED_UP = """
INSERT INTO scoring_outcomehour (livemode, hour, schema, recommended_action, decisions, fraud)
SELECT livemode, date_trunc('hour', created_at, 'UTC'), schema, recommended_action, count(*),
       count(*) FILTER (WHERE risk_level IN ('high', 'critical'))
FROM scoring_decision GROUP BY 1, 2, 3, 4;
INSERT INTO scoring_scoreday (livemode, day, schema, percent, decisions)
SELECT livemode, (created_at AT TIME ZONE 'UTC')::date, schema, least(floor(100 * fraud_probability), 99), count(*)
FROM scoring_decision WHERE fraud_probability IS NOT NULL GROUP BY 1, 2, 3, 4;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("scoring", "0005_found_and_added_up"),
    ]

    operations = [
        *(
            migrations.RunSQL(found(schema, *fields), migrations.RunSQL.noop)
            for schema, fields in FIELDS.items()
        ),
        migrations.RunSQL(ADDED_UP, "DELETE FROM scoring_outcomehour; DELETE FROM scoring_scoreday"),
    ]
