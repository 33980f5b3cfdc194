"""Coupons, whose terms never change; orders for another account; gift codes."""

import django.db.models.deletion
import ferriage.core.models
from django.db import migrations, models

from ferriage.core.triggers import per_vendor
from ferriage.orders.rules import rules_of_orders

WHY = "what a coupon grants never changes"
COLUMNS = (
    "word, key, off_bps, off_minor, currency, terms, first_only, most_uses, most_per_account, "
    "valid_from, valid_to"
)
SQLITE = (
    f"CREATE TRIGGER orders_coupon_kept BEFORE UPDATE OF {COLUMNS} ON orders_coupon "
    f"BEGIN SELECT RAISE(ABORT, '{WHY}'); END"
)
POSTGRES = (
    "CREATE FUNCTION ferriage_coupon_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"RAISE EXCEPTION '{WHY}' USING ERRCODE = 'check_violation'; END $$",
    f"CREATE TRIGGER orders_coupon_kept BEFORE UPDATE OF {COLUMNS} ON orders_coupon "
    "FOR EACH ROW EXECUTE FUNCTION ferriage_coupon_kept()",
)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_labels'),
        ('orders', '0006_amounts'),
        ('plans', '0004_routes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Coupon',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', ferriage.core.models.CodeField('cpn')),
                ('word', models.CharField(max_length=24)),
                ('key', models.CharField(max_length=24, unique=True)),
                ('note', models.CharField(blank=True, max_length=100)),
                ('off_bps', models.PositiveIntegerField(null=True)),
                ('off_minor', models.BigIntegerField(null=True)),
                ('currency', models.CharField(blank=True, max_length=3)),
                ('terms', models.JSONField(default=list)),
                ('first_only', models.BooleanField(default=False)),
                ('most_uses', models.PositiveIntegerField(null=True)),
                ('most_per_account', models.PositiveIntegerField(null=True)),
                ('valid_from', models.DateTimeField()),
                ('valid_to', models.DateTimeField(null=True)),
                ('uses', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'orders_coupon',
            },
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_kinds',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_fulfilled_whole',
        ),
        migrations.AddField(
            model_name='order',
            name='recipient',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.account'),
        ),
        migrations.AlterField(
            model_name='order',
            name='kind',
            field=models.CharField(choices=[('term', 'a term'), ('change', 'a change of plan'), ('addon', 'an addition'), ('topup', 'a top-up of the balance'), ('gift', 'a gift code')], default='term', max_length=6),
        ),
        migrations.AddField(
            model_name='coupon',
            name='plans',
            field=models.ManyToManyField(related_name='+', to='plans.plan'),
        ),
        migrations.AddField(
            model_name='order',
            name='coupon',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='orders.coupon'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount_minor__gt', 0), ('credit_minor', 0), ('discount_minor', 0), ('kind', 'topup'), ('plan__isnull', True), ('price__isnull', True), ('recipient__isnull', True), ('subscription__isnull', True), ('term_months', 0)), models.Q(('kind', 'gift'), ('plan__isnull', False), ('price__isnull', False), ('recipient__isnull', True), ('subscription__isnull', True), ('term_months__gt', 0)), models.Q(('kind', 'term'), ('plan__isnull', False), ('price__isnull', False), ('term_months__gt', 0)), models.Q(('kind__in', ['change', 'addon']), ('plan__isnull', False)), _connector='OR'), name='orders_order_kinds'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'fulfilled'), _negated=True), models.Q(('fulfilled_at__isnull', False), ('kind__in', ['topup', 'gift'])), models.Q(('fulfilled_at__isnull', False), ('period_ends_at__isnull', False), ('period_starts_at__isnull', False)), _connector='OR'), name='orders_order_fulfilled_whole'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('coupon__isnull', False), ('discount_minor', 0), _connector='OR'), name='orders_order_discount_has_coupon'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('off_bps__gt', 0), ('off_bps__lte', 10000), ('off_minor__isnull', True)), models.Q(('off_bps__isnull', True), ('off_minor__gt', 0), models.Q(('currency', ''), _negated=True)), _connector='OR'), name='orders_coupon_one_kind'),
        ),
        migrations.AddConstraint(
            model_name='coupon',
            constraint=models.CheckConstraint(condition=models.Q(('most_uses__isnull', True), ('uses__lte', models.F('most_uses')), _connector='OR'), name='orders_coupon_uses'),
        ),
        per_vendor(sqlite=(SQLITE,), postgresql=POSTGRES),
        rules_of_orders(),
    ]
