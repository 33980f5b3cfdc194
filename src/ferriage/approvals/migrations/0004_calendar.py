import django.db.models.deletion
import ferriage.core.models
from django.db import migrations, models

from ferriage.core.triggers import append_only

WITHOUT_DAY = (
    "due_at IS NULL AND NEW.due_at IS NULL AND subject = NEW.subject"
    " AND duty = NEW.duty AND sequence = NEW.sequence"
)

class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0003_packs'),
    ]

    operations = [
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', ferriage.core.models.CodeField('inc')),
                ('line_code', models.CharField(max_length=24)),
                ('noticed_at', models.DateTimeField()),
                ('words', models.CharField(max_length=500)),
                ('noted_by', models.CharField(max_length=150)),
                ('noted_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'approvals_incident',
                'constraints': [models.CheckConstraint(condition=models.Q(('noted_at__gte', models.F('noticed_at')), models.Q(('words', ''), _negated=True)), name='approvals_incident_whole')],
            },
        ),
        migrations.CreateModel(
            name='TaskTick',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(max_length=24)),
                ('duty', models.CharField(blank=True, max_length=40)),
                ('due_at', models.DateTimeField()),
                ('days_before', models.PositiveSmallIntegerField()),
                ('note', models.CharField(blank=True, max_length=500)),
                ('ticked_by', models.CharField(max_length=150)),
                ('ticked_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'approvals_tasktick',
                'constraints': [models.UniqueConstraint(fields=('subject', 'duty', 'due_at', 'days_before'), name='approvals_tasktick_once')],
            },
        ),
        migrations.CreateModel(
            name='Fulfilment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(max_length=24)),
                ('duty', models.CharField(max_length=40)),
                ('due_at', models.DateTimeField(null=True)),
                ('sequence', models.PositiveIntegerField()),
                ('done', models.BooleanField()),
                ('note', models.CharField(blank=True, max_length=500)),
                ('noted_by', models.CharField(max_length=150)),
                ('noted_at', models.DateTimeField()),
                ('evidence', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='approvals.evidence')),
            ],
            options={
                'db_table': 'approvals_fulfilment',
                'constraints': [models.UniqueConstraint(fields=('subject', 'duty', 'due_at', 'sequence'), name='approvals_fulfilment_once'), models.UniqueConstraint(condition=models.Q(('due_at__isnull', True)), fields=('subject', 'duty', 'sequence'), name='approvals_fulfilment_once_without_day'), models.CheckConstraint(condition=models.Q(models.Q(('note', ''), _negated=True), ('evidence__isnull', False), _connector='OR'), name='approvals_fulfilment_shown')],
            },
        ),
        append_only("approvals_incident"),
        append_only("approvals_tasktick"),
        append_only("approvals_fulfilment", once=WITHOUT_DAY),
    ]
