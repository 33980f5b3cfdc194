"""A plan on a line of a closed service is paid by nobody, so no voucher is worth a term of it."""

from django.db import migrations

from ferriage.core.triggers import per_vendor

WHY = "a closed service takes no vouchers"
REFUSED = """
EXISTS (
    SELECT 1 FROM plans_offer AS offer JOIN fleet_line AS line ON line.id = offer.line_id
    WHERE offer.plan_id = NEW.plan_id AND offer.withdrawn_at IS NULL
    AND line.customer_class <> 'public'
)
"""


def sqlite():
    for event in ("INSERT", "UPDATE OF plan_id"):
        yield (
            f"CREATE TRIGGER payments_voucherbatch_closed_{event.split()[0].lower()} "
            f"BEFORE {event} ON payments_voucherbatch WHEN {REFUSED} "
            f"BEGIN SELECT RAISE(ABORT, '{WHY}'); END"
        )


POSTGRES_FUNCTION = f"""
CREATE FUNCTION ferriage_voucherbatch_closed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF {REFUSED} THEN RAISE EXCEPTION '{WHY}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$
"""
POSTGRES = """
CREATE TRIGGER payments_voucherbatch_closed BEFORE INSERT OR UPDATE OF plan_id
ON payments_voucherbatch FOR EACH ROW EXECUTE FUNCTION ferriage_voucherbatch_closed()
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("members", "0002_triggers")]
    operations = [
        per_vendor(sqlite=tuple(sqlite()), postgresql=(POSTGRES_FUNCTION, POSTGRES)),
    ]
