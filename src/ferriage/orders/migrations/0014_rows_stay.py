"""What was sold and what balances hold stays: no row of it is deleted or replaced."""

from django.db import migrations

from ferriage.core.triggers import rows_stay


class Migration(migrations.Migration):
    dependencies = [("orders", "0013_balance_holds")]
    operations = [
        rows_stay(
            "orders_order",
            why="an order that is not open any more stays",
            kept="\"state\" <> 'open'",
        ),
        rows_stay("orders_balance", why="a balance stays"),
        rows_stay("orders_balancehold", why="what was held of a balance stays"),
        rows_stay("orders_coupon", why="a coupon stays"),
    ]
