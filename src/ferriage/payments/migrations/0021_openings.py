"""Opening balances of customers wait for a second person, too, and say whose balance it is."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from ferriage.core.triggers import per_vendor, rebuilding

_TYPED = (
    "code",
    "kind",
    "subject",
    "reason",
    "amount_minor",
    "currency",
    "entered_by",
    "entered_at",
)
_WRONG = (
    " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _TYPED)
    + " OR COALESCE(NEW.order_id, 0) <> COALESCE(OLD.order_id, 0)"
    + " OR COALESCE(NEW.balance_id, 0) <> COALESCE(OLD.balance_id, 0)"
    + " OR (OLD.confirmed_by <> '' AND NEW.confirmed_by <> OLD.confirmed_by)"
    + " OR (OLD.dropped_by <> '' AND NEW.dropped_by <> OLD.dropped_by)"
)
_MESSAGE = "what was proposed and confirmed does not change"
_SQLITE = (
    "DROP TRIGGER payments_proposal_kept",
    f"CREATE TRIGGER payments_proposal_kept BEFORE UPDATE ON payments_proposal WHEN {_WRONG}"
    f" BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
)
_POSTGRES = (
    f"""
    CREATE OR REPLACE FUNCTION payments_proposal_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'check_violation';
        END IF;
        IF {_WRONG} THEN
            RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
)


class Migration(migrations.Migration):
    dependencies = [("payments", "0020_early_disputes"), ("orders", "0016_rowid")]
    operations = [
        *rebuilding(
            "payments_proposal",
            migrations.AddField(
                "proposal",
                "balance",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="orders.balance",
                ),
            ),
            migrations.AlterField(
                "proposal",
                "kind",
                models.CharField(
                    choices=[
                        ("correction", "undo a posting"),
                        ("credit", "credit money to a balance"),
                        ("refund", "send money back"),
                        ("opening", "opening balance of a customer"),
                    ],
                    max_length=10,
                ),
            ),
            migrations.RemoveConstraint("proposal", "payments_proposal_whole"),
            migrations.AddConstraint(
                "proposal",
                models.CheckConstraint(
                    condition=Q(amount_minor__gt=0)
                    & ~Q(entered_by="")
                    & (Q(kind="credit", order__isnull=False) | ~Q(kind="credit"))
                    & (
                        (Q(kind="opening", balance__isnull=False) & ~Q(reason=""))
                        | Q(~Q(kind="opening"), balance__isnull=True)
                    ),
                    name="payments_proposal_whole",
                ),
            ),
        ),
        per_vendor(sqlite=_SQLITE, postgresql=_POSTGRES),
    ]
