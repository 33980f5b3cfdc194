"""No more goes back of a payment than came: a lost dispute's refunds are known, and it is refused."""

import django.db.models.deletion
from django.db import migrations, models

from ferriage.core.triggers import per_vendor

_WHY = "no more goes back of a payment than came"
# The row itself stands among the refunds where it is changed, and not yet where it is written.
_LEFT = """
(SELECT COALESCE(received_minor, 0) FROM payments_payment WHERE id = NEW.payment_id)
- (SELECT COALESCE(SUM(amount_minor), 0) FROM payments_refund
   WHERE payment_id = NEW.payment_id AND id <> {own} AND dispute_id IS NULL AND state <> 'replaced')
- (SELECT COALESCE(SUM(amount_minor), 0) FROM payments_dispute
   WHERE payment_id = NEW.payment_id AND state = 'lost')
"""
_QUEUED = f"NEW.dispute_id IS NULL AND NEW.amount_minor > {_LEFT.format(own=0)}"
_GOES = f"""
NEW.dispute_id IS NULL AND OLD.state IN ('queued', 'by_hand') AND NEW.state IN ('sent', 'paid')
AND NEW.amount_minor > {_LEFT.format(own='NEW.id')}
"""
_SQLITE = """
CREATE TRIGGER payments_refund_bound_{name} BEFORE {event} ON payments_refund WHEN {condition}
BEGIN SELECT RAISE(ABORT, '{why}'); END
"""
_POSTGRES = (
    """
CREATE FUNCTION payments_refund_bound_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN
        RAISE EXCEPTION '{why}' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER payments_refund_bound_{name} BEFORE {event} ON payments_refund
FOR EACH ROW EXECUTE FUNCTION payments_refund_bound_{name}()
""",
)
_RULES = (("queued", "INSERT", _QUEUED), ("goes", "UPDATE OF state", _GOES))


def _written(template: str) -> tuple[str, ...]:
    return tuple(
        template.format(name=name, event=event, condition=condition, why=_WHY)
        for name, event, condition in _RULES
    )


class Migration(migrations.Migration):
    dependencies = [("payments", "0024_waiting")]
    operations = [
        # It may be null, so no table is made anew, and every trigger stays.
        migrations.AddField(
            "refund",
            "dispute",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.dispute",
            ),
        ),
        per_vendor(
            sqlite=_written(_SQLITE),
            postgresql=(*_written(_POSTGRES[0]), *_written(_POSTGRES[1])),
        ),
    ]
