"""What an order costs, in parts, and the balance that it may be paid from.

The database itself keeps a balance the sum of its moves, and the amounts of an order as they were
when it ceased to be open.
"""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from ferriage.core.triggers import append_only, per_vendor
from ferriage.orders.rules import POSTGRES_AMOUNTS, rules_of_orders

WHY = "a balance is the sum of its moves"
WRONG = """
NEW.amount_minor <> (
    SELECT COALESCE(SUM(move.amount_minor), 0) FROM orders_balancemove AS move
    WHERE move.balance_id = NEW.id
)
"""
ADD = """
UPDATE orders_balance SET amount_minor = amount_minor + NEW.amount_minor WHERE id = NEW.balance_id
"""
SQLITE = (
    f"CREATE TRIGGER orders_balancemove_adds AFTER INSERT ON orders_balancemove BEGIN {ADD}; END",
    *(
        f"CREATE TRIGGER orders_balance_sum_{event.split()[0].lower()} BEFORE {event} "
        f"ON orders_balance WHEN {WRONG} BEGIN SELECT RAISE(ABORT, '{WHY}'); END"
        for event in ("INSERT", "UPDATE OF amount_minor")
    ),
)
POSTGRES = (
    f"CREATE FUNCTION ferriage_balancemove_adds() RETURNS trigger LANGUAGE plpgsql AS $$ "
    f"BEGIN {ADD}; RETURN NEW; END $$",
    "CREATE TRIGGER orders_balancemove_adds AFTER INSERT ON orders_balancemove "
    "FOR EACH ROW EXECUTE FUNCTION ferriage_balancemove_adds()",
    f"CREATE FUNCTION ferriage_balance_sum() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"IF {WRONG} THEN RAISE EXCEPTION '{WHY}' USING ERRCODE = 'check_violation'; END IF; "
    "RETURN NEW; END $$",
    "CREATE TRIGGER orders_balance_sum BEFORE INSERT OR UPDATE OF amount_minor ON orders_balance "
    "FOR EACH ROW EXECUTE FUNCTION ferriage_balance_sum()",
)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_labels'),
        ('orders', '0005_labels'),
        ('plans', '0004_routes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Balance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('currency', models.CharField(max_length=3)),
                ('amount_minor', models.BigIntegerField(default=0)),
                ('reserved_minor', models.BigIntegerField(default=0)),
            ],
            options={
                'db_table': 'orders_balance',
            },
        ),
        migrations.CreateModel(
            name='BalanceMove',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount_minor', models.BigIntegerField()),
                ('source_code', models.CharField(max_length=24)),
                ('kind', models.CharField(max_length=24)),
                ('sequence', models.PositiveIntegerField(default=0)),
                ('moved_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'orders_balancemove',
            },
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_fulfilled_whole',
        ),
        migrations.AddField(
            model_name='order',
            name='credit_minor',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='discount_minor',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='kind',
            field=models.CharField(choices=[('term', 'a term'), ('change', 'a change of plan'), ('addon', 'an addition'), ('topup', 'a top-up of the balance')], default='term', max_length=6),
        ),
        migrations.AddField(
            model_name='order',
            name='list_minor',
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.RunSQL("UPDATE orders_order SET list_minor = amount_minor"),
        migrations.AlterField(
            model_name='order',
            name='plan',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='plans.plan'),
        ),
        migrations.AlterField(
            model_name='order',
            name='price',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='plans.price'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor', django.db.models.expressions.CombinedExpression(models.F('list_minor'), '-', models.F('discount_minor'))), ('amount_minor__gte', 0), ('discount_minor__gte', 0)), name='orders_order_discounted'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gte', models.F('credit_minor')), ('credit_minor__gte', 0)), name='orders_order_credited'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('amount_minor__gt', 0), ('credit_minor', 0), ('discount_minor', 0), ('kind', 'topup'), ('plan__isnull', True), ('price__isnull', True), ('subscription__isnull', True), ('term_months', 0)), models.Q(('kind', 'term'), ('plan__isnull', False), ('price__isnull', False), ('term_months__gt', 0)), models.Q(('kind__in', ['change', 'addon']), ('plan__isnull', False)), _connector='OR'), name='orders_order_kinds'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'fulfilled'), _negated=True), models.Q(('fulfilled_at__isnull', False), ('kind', 'topup')), models.Q(('fulfilled_at__isnull', False), ('period_ends_at__isnull', False), ('period_starts_at__isnull', False)), _connector='OR'), name='orders_order_fulfilled_whole'),
        ),
        migrations.AddField(
            model_name='balance',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.account'),
        ),
        migrations.AddField(
            model_name='balancemove',
            name='balance',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='moves', to='orders.balance'),
        ),
        migrations.AddConstraint(
            model_name='balance',
            constraint=models.UniqueConstraint(fields=('account', 'currency'), name='orders_balance_once'),
        ),
        migrations.AddConstraint(
            model_name='balance',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gte', models.F('reserved_minor')), ('reserved_minor__gte', 0)), name='orders_balance_never_below'),
        ),
        migrations.AddConstraint(
            model_name='balancemove',
            constraint=models.UniqueConstraint(fields=('source_code', 'kind', 'sequence'), name='orders_balancemove_once'),
        ),
        migrations.AddConstraint(
            model_name='balancemove',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor', 0), _negated=True), name='orders_balancemove_moves'),
        ),
        append_only("orders_balancemove"),
        per_vendor(sqlite=SQLITE, postgresql=POSTGRES),
        per_vendor(sqlite=(), postgresql=POSTGRES_AMOUNTS),
        rules_of_orders(),
    ]
