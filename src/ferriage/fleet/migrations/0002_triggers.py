from django.db import migrations

from ferriage.core.triggers import append_only, per_vendor

# R9: an open permit rests on a Decision that allows the same line at least as long, and on the
# line's last one: a better day's Decision, replayed after a denial, opens nothing.
RESTS_ON_DECISION = """
SELECT 1 FROM approvals_decision AS decision JOIN fleet_line AS line ON line.id = NEW.line_id
WHERE decision.id = NEW.decision_id AND decision.allowed AND decision.line_code = line.code
AND NEW.open_until <= decision.valid_until
AND NOT EXISTS (
    SELECT 1 FROM approvals_decision AS later
    WHERE later.subject = line.code AND later.sequence > decision.sequence
)
"""

# SQLite compares values of different types without complaint, hence typeof().
SQLITE = f"""
CREATE TRIGGER fleet_permit_rests_on_decision BEFORE INSERT ON fleet_permit
WHEN NEW.state = 'open' AND (
    typeof(NEW.open_until) <> 'text' OR NOT EXISTS ({RESTS_ON_DECISION})
)
BEGIN SELECT RAISE(ABORT, 'an open permit needs a decision that allows it'); END
"""

POSTGRES_FUNCTION = f"""
CREATE FUNCTION ferriage_permit_rests_on_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'open' AND NOT EXISTS ({RESTS_ON_DECISION}) THEN
        RAISE EXCEPTION 'an open permit needs a decision that allows it'
        USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""

POSTGRES = """
CREATE TRIGGER fleet_permit_rests_on_decision BEFORE INSERT ON fleet_permit
FOR EACH ROW EXECUTE FUNCTION ferriage_permit_rests_on_decision()
"""


class Migration(migrations.Migration):
    dependencies = [("fleet", "0001_initial"), ("core", "0002_triggers")]
    operations = [
        append_only("fleet_permit"),
        per_vendor(sqlite=(SQLITE,), postgresql=(POSTGRES_FUNCTION, POSTGRES)),
    ]
