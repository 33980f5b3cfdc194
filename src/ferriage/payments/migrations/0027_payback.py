"""Money that goes back from a balance: the refund says from which, and above a limit two people."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from ferriage.core.triggers import per_vendor, rebuilding

_WRONG = "COALESCE(NEW.balance_id, 0) <> COALESCE(OLD.balance_id, 0)"
_WHY = "what is owed back stays as it was queued"
_NAME = "payments_refund_balance_stays"
_SQLITE = (
    f"CREATE TRIGGER {_NAME} BEFORE UPDATE OF balance_id ON payments_refund WHEN {_WRONG}"
    f" BEGIN SELECT RAISE(ABORT, '{_WHY}'); END",
)
_POSTGRES = (
    f"""
    CREATE FUNCTION {_NAME}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {_WRONG} THEN
            RAISE EXCEPTION '{_WHY}' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    f"CREATE TRIGGER {_NAME} BEFORE UPDATE OF balance_id ON payments_refund"
    f" FOR EACH ROW EXECUTE FUNCTION {_NAME}()",
)


class Migration(migrations.Migration):
    dependencies = [("payments", "0026_codes_stay"), ("orders", "0018_lost")]
    operations = [
        *rebuilding(
            "payments_refund",
            migrations.AddField(
                "refund",
                "balance",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="orders.balance",
                ),
            ),
            migrations.AlterField(
                "refund",
                "kind",
                models.CharField(
                    choices=[
                        ("not_settled", "Not Settled"),
                        ("unallocated", "Unallocated"),
                        ("ended", "Ended"),
                        ("topup", "Topup"),
                        ("balance", "Balance"),
                    ],
                    max_length=12,
                ),
            ),
            migrations.AddConstraint(
                "refund",
                models.CheckConstraint(
                    condition=Q(kind="balance", balance__isnull=False)
                    | Q(~Q(kind="balance"), balance__isnull=True),
                    name="payments_refund_of_balance",
                ),
            ),
        ),
        *rebuilding(
            "payments_proposal",
            migrations.AlterField(
                "proposal",
                "kind",
                models.CharField(
                    choices=[
                        ("correction", "undo a posting"),
                        ("credit", "credit money to a balance"),
                        ("refund", "send money back"),
                        ("opening", "opening balance of a customer"),
                        ("payback", "pay money on a balance back"),
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
                        (Q(kind__in=["opening", "payback"], balance__isnull=False) & ~Q(reason=""))
                        | Q(~Q(kind__in=["opening", "payback"]), balance__isnull=True)
                    ),
                    name="payments_proposal_whole",
                ),
            ),
        ),
        per_vendor(sqlite=_SQLITE, postgresql=_POSTGRES),
    ]
