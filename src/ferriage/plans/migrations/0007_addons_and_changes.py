"""Add-ons to a plan, places for devices among the periods, and changes booked for a term's end."""

import django.db.models.deletion
from django.db import migrations, models

import ferriage.core.models
from ferriage.core.triggers import append_only

ONCE = """
(source_code = NEW.source_code AND kind = NEW.kind AND (kind IN ('purchase', 'slot')
OR (kind = 'freeze' AND (ends_at IS NULL) = (NEW.ends_at IS NULL))))
"""


def append_only_again(apps, editor):
    """SQLite's rule against replacing a row names what is unique; PostgreSQL needs none."""
    if editor.connection.vendor == "sqlite":
        for what in ("update", "delete", "replace"):
            editor.execute(f"DROP TRIGGER IF EXISTS plans_period_no_{what}", params=None)
        append_only("plans_period", once=ONCE).code(apps, editor)


class Migration(migrations.Migration):

    dependencies = [
        ("plans", "0006_subscriptions"),
    ]

    operations = [
        migrations.CreateModel(
            name='AddOnPrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', ferriage.core.models.CodeField('adp')),
                ('kind', models.CharField(choices=[('device_slot', 'place for one more device')], max_length=12)),
                ('amount_minor', models.BigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('valid_from', models.DateTimeField()),
                ('valid_to', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'plans_addonprice',
            },
        ),
        migrations.CreateModel(
            name='PlannedChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', ferriage.core.models.CodeField('chg')),
                ('booked_at', models.DateTimeField()),
                ('source_code', models.CharField(blank=True, max_length=24)),
                ('outcome', models.CharField(blank=True, choices=[('', 'booked'), ('done', 'done'), ('cancelled', 'cancelled'), ('withdrawn', 'not sold any more'), ('denied', 'not to be sold to you now')], max_length=9)),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'plans_plannedchange',
            },
        ),
        migrations.AlterField(
            model_name='period',
            name='kind',
            field=models.CharField(choices=[('purchase', 'Purchase'), ('gift', 'Gift'), ('grant', 'Grant'), ('cut', 'Cut'), ('freeze', 'Freeze'), ('slot', 'Slot')], max_length=8),
        ),
        migrations.AddConstraint(
            model_name='period',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', 'slot')), fields=('source_code',), name='plans_period_slot_once'),
        ),
        migrations.AddField(
            model_name='addonprice',
            name='plan',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='addon_prices', to='plans.plan'),
        ),
        migrations.AddField(
            model_name='plannedchange',
            name='plan',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='plans.plan'),
        ),
        migrations.AddField(
            model_name='plannedchange',
            name='subscription',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='plans.subscription'),
        ),
        migrations.AddConstraint(
            model_name='addonprice',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='plans_addonprice_sane'),
        ),
        migrations.AddConstraint(
            model_name='addonprice',
            constraint=models.CheckConstraint(condition=models.Q(('valid_to__isnull', True), ('valid_to__gte', models.F('valid_from')), _connector='OR'), name='plans_addonprice_dates'),
        ),
        migrations.AddConstraint(
            model_name='addonprice',
            constraint=models.UniqueConstraint(condition=models.Q(('valid_to__isnull', True)), fields=('plan', 'kind', 'currency'), name='plans_addonprice_one_current'),
        ),
        migrations.AddConstraint(
            model_name='plannedchange',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('subscription',), name='plans_plannedchange_one_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='plannedchange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('outcome', '')), models.Q(('ended_at__isnull', False), models.Q(('outcome', ''), _negated=True)), _connector='OR'), name='plans_plannedchange_ended_whole'),
        ),
        migrations.RunPython(append_only_again),
    ]
