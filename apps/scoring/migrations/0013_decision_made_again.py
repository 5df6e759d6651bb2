from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0012_own_models'),
    ]

    operations = [
        migrations.AddField(
            model_name='decision',
            name='policy_version',
            field=models.IntegerField(help_text='It was made under; null: before this was kept.', null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='made_on',
            field=models.BinaryField(help_text='See engine/made_on.py; null: before this was kept.', null=True),
        ),
    ]
