import django.db.models.deletion
from django.db import migrations, models

import apps.sealing


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0011_rules'),
    ]

    operations = [
        migrations.AddField(
            model_name='decision',
            name='shadows',
            field=models.JSONField(help_text='What own models in shadow would have said; null where none was.', null=True),
        ),
        migrations.CreateModel(
            name='OwnModel',
            fields=[
                ('id', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('livemode', models.BooleanField()),
                ('schema', models.CharField(max_length=40)),
                ('state', models.CharField(choices=[('training', 'Training'), ('candidate', 'Candidate'), ('shadow', 'Shadow'), ('champion', 'Champion'), ('retired', 'Retired'), ('failed', 'Failed')], max_length=10)),
                ('families', models.JSONField(help_text='Those that are tried; the best of them becomes the model.')),
                ('since', models.DateTimeField(help_text='Decisions dated before are left out, by their own time.', null=True)),
                ('until', models.DateTimeField(null=True)),
                ('maturity_days', models.FloatField(help_text='After which no label means legitimate; null: as measured.', null=True)),
                ('asked_at', models.DateTimeField()),
                ('asked_by', models.CharField(max_length=200)),
                ('retrains', models.CharField(blank=True, help_text='The model a weekly retraining is to replace.', max_length=32)),
                ('progress', models.CharField(blank=True, max_length=200)),
                ('leased_until', models.DateTimeField(help_text='Until then the worker that trains it is alive.', null=True)),
                ('failure', models.CharField(blank=True, max_length=500)),
                ('trained_at', models.DateTimeField(null=True)),
                ('shadow_at', models.DateTimeField(null=True)),
                ('champion_at', models.DateTimeField(null=True)),
                ('retired_at', models.DateTimeField(null=True)),
                ('card', models.JSONField(help_text='What it was trained on, how, and what it is worth.', null=True)),
                ('comparison', models.JSONField(help_text='With the shared champion, on the same later rows.', null=True)),
                ('stability', models.JSONField(help_text='By how much the population of each threshold moves.', null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['livemode', '-asked_at', '-id'], name='own_model_newest_first')],
            },
        ),
        migrations.CreateModel(
            name='OwnModelSettings',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField()),
                ('schema', models.CharField(max_length=40)),
                ('weekly', models.BooleanField(default=False)),
                ('promotes', models.BooleanField(default=False, help_text='At once, when better beyond the interval.')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('livemode', 'schema'), name='own_model_settings_once')],
            },
        ),
        migrations.CreateModel(
            name='OwnModelFiles',
            fields=[
                ('model', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='files', serialize=False, to='scoring.ownmodel')),
                ('content', apps.sealing.SealedText(editable=False, help_text='Base 64 of zlib of msgpack: name → bytes.')),
                ('sha256', models.CharField(help_text='Of what is sealed.', max_length=64)),
            ],
        ),
    ]
