import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0013_decision_made_again'),
    ]

    operations = [
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('number', models.BigIntegerField(help_text='From 1, without gaps.', primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('kind', models.CharField(help_text='recorded or removed', max_length=8)),
                ('ids', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), help_text='Of the decisions.', size=None)),
                ('leaves', models.BinaryField(help_text='16 bytes a decision that was recorded.')),
                ('digest', models.BinaryField()),
            ],
        ),
    ]
