import django.db.models.deletion
import ferriage.core.models
from django.db import migrations, models

from ferriage.approvals import frozen
from ferriage.core.triggers import append_only


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0004_calendar'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClockRepair',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', ferriage.core.models.CodeField('rep')),
                ('first_sequence', models.PositiveBigIntegerField()),
                ('last_sequence', models.PositiveBigIntegerField()),
                ('last_hash', models.CharField(max_length=64)),
                ('reason', models.CharField(max_length=500)),
                ('proposed_by', models.CharField(max_length=150)),
                ('proposed_at', models.DateTimeField()),
                ('confirmed_by', models.CharField(blank=True, max_length=150)),
                ('confirmed_at', models.DateTimeField(null=True)),
                ('dropped_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'approvals_clockrepair',
            },
        ),
        migrations.CreateModel(
            name='OutsideAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('relation', models.CharField(max_length=200)),
                ('looked_at', models.TextField()),
                ('confirmed', models.BooleanField()),
                ('reason', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'approvals_outsideanswer',
            },
        ),
        migrations.CreateModel(
            name='OutsideLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('made_by', models.CharField(max_length=150)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'approvals_outsidelink',
            },
        ),
        migrations.AddField(
            model_name='approval',
            name='capacity',
            field=models.CharField(blank=True, db_default='', max_length=120),
        ),
        migrations.AddField(
            model_name='approval',
            name='correction_reason',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddField(
            model_name='approval',
            name='customers',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddField(
            model_name='approval',
            name='is_correction',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name='approval',
            name='state',
            field=models.CharField(choices=[('draft', 'Draft'), ('lodged', 'Lodged'), ('granted', 'Granted'), ('suspended', 'Suspended'), ('revoked', 'Revoked'), ('surrendered', 'Surrendered'), ('refused', 'Refused'), ('superseded', 'Corrected by a later version')], default='draft', max_length=12),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('is_correction', False), models.Q(('supersedes__isnull', False), models.Q(('correction_reason', ''), _negated=True)), _connector='OR'), name='approvals_approval_correction_whole'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.UniqueConstraint(condition=models.Q(('is_correction', True)), fields=('supersedes',), name='approvals_approval_corrected_once'),
        ),
        migrations.AddConstraint(
            model_name='clockrepair',
            constraint=models.CheckConstraint(condition=models.Q(('first_sequence__gte', 1), ('first_sequence__lte', models.F('last_sequence')), models.Q(('reason', ''), _negated=True)), name='approvals_clockrepair_range'),
        ),
        migrations.AddConstraint(
            model_name='clockrepair',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('confirmed_at__isnull', True), ('confirmed_by', '')), models.Q(models.Q(('confirmed_by', ''), _negated=True), models.Q(('confirmed_by', models.F('proposed_by')), _negated=True), ('confirmed_at__isnull', False), ('dropped_at__isnull', True)), _connector='OR'), name='approvals_clockrepair_two_people'),
        ),
        migrations.AddField(
            model_name='outsideanswer',
            name='approval',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='outside_answers', to='approvals.approval'),
        ),
        migrations.AddField(
            model_name='outsideanswer',
            name='repair',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='outside_answers', to='approvals.clockrepair'),
        ),
        migrations.AddField(
            model_name='outsidelink',
            name='approval',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='links', to='approvals.approval'),
        ),
        migrations.AddField(
            model_name='outsidelink',
            name='repair',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='links', to='approvals.clockrepair'),
        ),
        migrations.AddField(
            model_name='outsideanswer',
            name='link',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='answer', to='approvals.outsidelink'),
        ),
        migrations.AddConstraint(
            model_name='outsidelink',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('approval__isnull', False), ('repair__isnull', True)), models.Q(('approval__isnull', True), ('repair__isnull', False)), _connector='OR'), name='approvals_outsidelink_one_subject'),
        ),
        migrations.AddConstraint(
            model_name='outsideanswer',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('name', ''), _negated=True), models.Q(('relation', ''), _negated=True), models.Q(('looked_at', ''), _negated=True), models.Q(('confirmed', True), models.Q(('reason', ''), _negated=True), _connector='OR')), name='approvals_outsideanswer_whole'),
        ),
        migrations.AddConstraint(
            model_name='outsideanswer',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('approval__isnull', False), ('repair__isnull', True)), models.Q(('approval__isnull', True), ('repair__isnull', False)), _connector='OR'), name='approvals_outsideanswer_one_subject'),
        ),
        append_only("approvals_outsideanswer"),
        frozen.install(),
    ]
