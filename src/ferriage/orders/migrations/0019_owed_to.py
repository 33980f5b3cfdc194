"""To whom goes what is unused of an order that a code paid: fixed once the order is fulfilled."""

from django.db import migrations, models

from ferriage.core.triggers import per_vendor, rebuilding
from ferriage.orders.owedmodels import CONSTRAINTS

_WHY = "who is owed what is unused is fixed when an order is fulfilled"
_OTHER = "OLD.state = 'fulfilled' AND NEW.owed_to <> OLD.owed_to"


class Migration(migrations.Migration):
    dependencies = [("orders", "0018_lost")]
    operations = [
        *rebuilding(
            "orders_order",
            migrations.AddField(
                "order",
                "owed_to",
                models.CharField(
                    choices=[
                        ("payer", "whoever holds the order"),
                        ("giver", "whoever gave the code"),
                        ("reseller", "the reseller of the code"),
                    ],
                    default="payer",
                    max_length=8,
                ),
            ),
            *(migrations.AddConstraint("order", one) for one in CONSTRAINTS),
        ),
        per_vendor(
            sqlite=(
                "CREATE TRIGGER orders_order_owed_to_stays BEFORE UPDATE OF owed_to ON orders_order"
                f" WHEN {_OTHER} BEGIN SELECT RAISE(ABORT, '{_WHY}'); END",
            ),
            postgresql=(
                f"""
CREATE FUNCTION orders_order_owed_to_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF {_OTHER} THEN RAISE EXCEPTION '{_WHY}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$
""",
                "CREATE TRIGGER orders_order_owed_to_stays BEFORE UPDATE OF owed_to ON orders_order"
                " FOR EACH ROW EXECUTE FUNCTION orders_order_owed_to_stays()",
            ),
        ),
    ]
