"""An order of own staff, or of a plan on a line for own staff, has price 0, whoever writes it."""

from django.db import migrations

from ferriage.core.triggers import per_vendor

WHY = "the price of an order for own staff is 0"
REFUSED = """
NEW.amount_minor > 0 AND (
    EXISTS (
        SELECT 1 FROM plans_offer AS offer JOIN fleet_line AS line ON line.id = offer.line_id
        WHERE offer.plan_id = NEW.plan_id AND offer.withdrawn_at IS NULL
        AND line.customer_class = 'own_staff'
    ) OR EXISTS (
        SELECT 1 FROM accounts_account AS account
        WHERE account.id = NEW.account_id AND account.account_class = 'own_staff'
    )
)
"""
COLUMNS = "amount_minor, plan_id, account_id"


def sqlite():
    for event in ("INSERT", f"UPDATE OF {COLUMNS}"):
        yield (
            f"CREATE TRIGGER orders_order_own_staff_{event.split()[0].lower()} "
            f"BEFORE {event} ON orders_order WHEN {REFUSED} "
            f"BEGIN SELECT RAISE(ABORT, '{WHY}'); END"
        )


POSTGRES_FUNCTION = f"""
CREATE FUNCTION ferriage_order_own_staff() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF {REFUSED} THEN RAISE EXCEPTION '{WHY}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$
"""
POSTGRES = f"""
CREATE TRIGGER orders_order_own_staff BEFORE INSERT OR UPDATE OF {COLUMNS} ON orders_order
FOR EACH ROW EXECUTE FUNCTION ferriage_order_own_staff()
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0003_lapse"), ("members", "0002_triggers")]
    operations = [
        per_vendor(sqlite=tuple(sqlite()), postgresql=(POSTGRES_FUNCTION, POSTGRES)),
    ]
