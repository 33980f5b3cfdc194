"""A code that somebody bought or will redeem stays, and so does what a provider once said."""

from django.db import migrations

from ferriage.core.triggers import rows_stay


class Migration(migrations.Migration):
    dependencies = [("payments", "0025_bound")]
    operations = [
        rows_stay("payments_voucher", why="a code that was issued stays"),
        rows_stay("payments_inboxevent", why="what a provider said stays"),
    ]
