"""Rows stay where an UPDATE names their id by another word: SQLite calls it `rowid`, too."""

from django.db import migrations

from ferriage.core.triggers import rows_stay


class Migration(migrations.Migration):
    dependencies = [("orders", "0015_balance_claims")]
    operations = [
        rows_stay(
            "orders_order",
            why="an order that is not open any more stays",
            kept="\"state\" <> 'open'",
        ),
        rows_stay("orders_balance", why="a balance stays"),
        rows_stay("orders_balancehold", why="what was held of a balance stays"),
        rows_stay("orders_coupon", why="a coupon stays"),
        rows_stay("orders_balanceclaim", why="what was disputed of a balance stays"),
    ]
