import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='Simulation',
            fields=[
                ('id', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('livemode', models.BooleanField()),
                ('asked_at', models.DateTimeField()),
                ('asked_by', models.CharField(max_length=200)),
                ('policy', models.JSONField(help_text='See engine/decide.py; as it was read.')),
                ('against', models.IntegerField(help_text='The version that was in force.')),
                ('begin', models.DateTimeField()),
                ('end', models.DateTimeField(help_text='Before this.')),
                ('schema', models.CharField(blank=True, help_text='Only this kind of transaction; empty: all.', max_length=40)),
                ('costs', models.JSONField(help_text='See curves.Costs.')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('completed', 'Completed'), ('failed', 'Failed')], default='queued', max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it failed.', max_length=300)),
                ('total', models.BigIntegerField(default=0, help_text='Decisions of the span, by the roll-ups.')),
                ('done', models.BigIntegerField(default=0)),
                ('touched_at', models.DateTimeField(help_text='When it last came further.')),
                ('finished_at', models.DateTimeField(null=True)),
                ('result', models.JSONField(help_text='See outcome.Outcome.', null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['livemode', '-asked_at', '-id'], name='simulation_newest_first')],
            },
        ),
        migrations.CreateModel(
            name='Flip',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('decision_id', models.CharField(max_length=32)),
                ('decided_at', models.DateTimeField()),
                ('schema', models.CharField(max_length=40)),
                ('transaction_id', models.CharField(max_length=128)),
                ('amount', models.FloatField()),
                ('fraud_probability', models.FloatField(null=True)),
                ('before', models.CharField(help_text='What was recommended.', max_length=9)),
                ('after', models.CharField(max_length=9)),
                ('decisive_before', models.CharField(help_text='kind:id, as the decision has it.', max_length=80)),
                ('decisive_after', models.CharField(max_length=80)),
                ('label', models.CharField(blank=True, help_text='That holds now; empty: none.', max_length=10)),
                ('simulation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flips', to='simulation.simulation')),
            ],
            options={
                'indexes': [models.Index(fields=['simulation', 'id'], name='flip_in_order'), models.Index(fields=['decision_id'], name='flip_of_decision')],
            },
        ),
    ]
