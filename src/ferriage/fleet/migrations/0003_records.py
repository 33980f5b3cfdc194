from django.db import migrations, models

from ferriage.core.triggers import per_vendor

# As in 0002, and: a Decision that two people named as wrong opens nothing any more.
RESTS_ON_DECISION = """
SELECT 1 FROM approvals_decision AS decision JOIN fleet_line AS line ON line.id = NEW.line_id
WHERE decision.id = NEW.decision_id AND decision.allowed AND decision.line_code = line.code
AND NEW.open_until <= decision.valid_until
AND NOT EXISTS (
    SELECT 1 FROM approvals_decision AS later
    WHERE later.subject = line.code AND later.sequence > decision.sequence
)
AND NOT EXISTS (
    SELECT 1 FROM approvals_clockrepair AS repair
    WHERE repair.confirmed_at IS NOT NULL
    AND decision.sequence BETWEEN repair.first_sequence AND repair.last_sequence
)
"""

SQLITE = f"""
CREATE TRIGGER fleet_permit_rests_on_decision BEFORE INSERT ON fleet_permit
WHEN NEW.state = 'open' AND (
    typeof(NEW.open_until) <> 'text' OR NOT EXISTS ({RESTS_ON_DECISION})
)
BEGIN SELECT RAISE(ABORT, 'an open permit needs a decision that allows it'); END
"""

POSTGRES_FUNCTION = f"""
CREATE OR REPLACE FUNCTION ferriage_permit_rests_on_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'open' AND NOT EXISTS ({RESTS_ON_DECISION}) THEN
        RAISE EXCEPTION 'an open permit needs a decision that allows it'
        USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("fleet", "0002_triggers"), ("approvals", "0005_records")]
    operations = [
        # SQLite rebuilds no table that a trigger of another one names.
        per_vendor(sqlite=("DROP TRIGGER fleet_permit_rests_on_decision",), postgresql=()),
        migrations.AddField(
            "line", "lessor", models.CharField(blank=True, db_default="", max_length=120)
        ),
        migrations.AddField(
            "line", "lease_contract", models.CharField(blank=True, db_default="", max_length=120)
        ),
        migrations.AddField(
            "line", "capacity", models.CharField(blank=True, db_default="", max_length=120)
        ),
        per_vendor(sqlite=(SQLITE,), postgresql=(POSTGRES_FUNCTION,)),
    ]
