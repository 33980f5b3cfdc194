"""What an order is for: one subscription, a change of it, or an addition to a term of it."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from ferriage.core.triggers import per_vendor
from ferriage.orders.rules import POSTGRES_TARGETS, rules_of_orders


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_labels'),
        ("orders", "0007_coupons_and_gifts"),
        ("plans", "0007_addons_and_changes"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_amounts',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_credited',
        ),
        migrations.AddField(
            model_name='order',
            name='addon_price',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='plans.addonprice'),
        ),
        migrations.AddField(
            model_name='order',
            name='beside',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='order',
            name='extends',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='plans.subscription'),
        ),
        migrations.AddField(
            model_name='order',
            name='moved_minor',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='paid_minor',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='value_minor',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='order',
            name='with_term',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.order'),
        ),
        migrations.RunSQL(
            "UPDATE orders_order SET paid_minor = refundable_minor - credit_minor"
            " WHERE state = 'fulfilled'"
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gte', models.F('refundable_minor')), ('moved_minor__gte', 0), ('paid_minor__gte', 0), ('refund_due_minor__gte', 0), ('refundable_minor__gte', django.db.models.expressions.CombinedExpression(models.F('refund_due_minor'), '+', models.F('moved_minor')))), name='orders_order_amounts'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gte', django.db.models.expressions.CombinedExpression(models.F('credit_minor'), '+', models.F('value_minor'))), ('credit_minor__gte', 0), ('value_minor__gte', 0)), name='orders_order_credited'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('beside', False), ('extends__isnull', True), _connector='OR'), name='orders_order_one_target'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['term', 'gift', 'topup']), ('value_minor', 0), ('with_term__isnull', True)), models.Q(('extends__isnull', False), ('kind', 'change'), ('price__isnull', False), ('term_months__gt', 0)), models.Q(('addon_price__isnull', False), ('extends__isnull', False), ('kind', 'addon'), ('value_minor', 0), ('with_term__isnull', False)), _connector='OR'), name='orders_order_targets'),
        ),
        per_vendor(sqlite=(), postgresql=POSTGRES_TARGETS),
        rules_of_orders(),
    ]
