"""Which order bought the code that paid an order: fixed once the order is fulfilled."""

import django.db.models.deletion
from django.db import migrations, models

from ferriage.core.triggers import per_vendor, rebuilding
from ferriage.orders.owedmodels import CONSTRAINTS

_WHY = "which gift paid is fixed when an order is fulfilled"
_OTHER = "OLD.state = 'fulfilled' AND COALESCE(NEW.gift_id, 0) <> COALESCE(OLD.gift_id, 0)"


class Migration(migrations.Migration):
    dependencies = [("orders", "0019_owed_to")]
    operations = [
        *rebuilding(
            "orders_order",
            migrations.AddField(
                "order",
                "gift",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="orders.order",
                ),
            ),
            migrations.AddConstraint("order", CONSTRAINTS[1]),
        ),
        per_vendor(
            sqlite=(
                "CREATE TRIGGER orders_order_gift_stays BEFORE UPDATE OF gift_id ON orders_order"
                f" WHEN {_OTHER} BEGIN SELECT RAISE(ABORT, '{_WHY}'); END",
            ),
            postgresql=(
                f"""
CREATE FUNCTION orders_order_gift_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF {_OTHER} THEN RAISE EXCEPTION '{_WHY}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$
""",
                "CREATE TRIGGER orders_order_gift_stays BEFORE UPDATE OF gift_id ON orders_order"
                " FOR EACH ROW EXECUTE FUNCTION orders_order_gift_stays()",
            ),
        ),
    ]
