"""A closed service keeps one subscription for each account, whoever writes it."""

from django.db import migrations

from ferriage.core.triggers import per_vendor

WHY = "a closed service has one subscription for each account"
REFUSED = """
EXISTS (SELECT 1 FROM members_closedservice AS closed WHERE closed.service_id = NEW.service_id)
AND EXISTS (
    SELECT 1 FROM plans_subscription AS held
    WHERE held.account_id = NEW.account_id AND held.service_id = NEW.service_id
)
"""
SQLITE = f"""
CREATE TRIGGER plans_subscription_closed_once BEFORE INSERT ON plans_subscription
WHEN {REFUSED} BEGIN SELECT RAISE(ABORT, '{WHY}'); END
"""
POSTGRES = (
    f"""
    CREATE FUNCTION ferriage_subscription_closed_once() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF {REFUSED} THEN RAISE EXCEPTION '{WHY}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW; END $$
    """,
    """
    CREATE TRIGGER plans_subscription_closed_once BEFORE INSERT ON plans_subscription
    FOR EACH ROW EXECUTE FUNCTION ferriage_subscription_closed_once()
    """,
)


class Migration(migrations.Migration):
    dependencies = [("members", "0002_triggers"), ("plans", "0006_subscriptions")]
    operations = [per_vendor(sqlite=(SQLITE,), postgresql=POSTGRES)]
