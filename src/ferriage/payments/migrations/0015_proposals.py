"""What waits for a second person; what was proposed and confirmed does not change."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact

import ferriage.core.models
from ferriage.core.triggers import per_vendor

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
    + " OR (OLD.confirmed_by <> '' AND NEW.confirmed_by <> OLD.confirmed_by)"
    + " OR (OLD.dropped_by <> '' AND NEW.dropped_by <> OLD.dropped_by)"
)
_MESSAGE = "what was proposed and confirmed does not change"
_SQLITE = (
    f"CREATE TRIGGER payments_proposal_kept BEFORE UPDATE ON payments_proposal WHEN {_WRONG}"
    f" BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
    "CREATE TRIGGER payments_proposal_no_delete BEFORE DELETE ON payments_proposal"
    f" BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
)
_POSTGRES = (
    f"""
    CREATE FUNCTION payments_proposal_kept() RETURNS trigger LANGUAGE plpgsql AS $$
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
    "CREATE TRIGGER payments_proposal_kept BEFORE UPDATE OR DELETE ON payments_proposal"
    " FOR EACH ROW EXECUTE FUNCTION payments_proposal_kept()",
)


class Migration(migrations.Migration):
    dependencies = [("payments", "0014_recalls"), ("orders", "0012_packs")]
    operations = [
        migrations.CreateModel(
            name="Proposal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", ferriage.core.models.CodeField("prp")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("correction", "undo a posting"),
                            ("credit", "credit money to a balance"),
                            ("refund", "send money back"),
                        ],
                        max_length=10,
                    ),
                ),
                ("subject", models.CharField(max_length=24)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("entered_by", models.CharField(max_length=150)),
                ("entered_at", models.DateTimeField()),
                ("confirmed_by", models.CharField(blank=True, max_length=150)),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("dropped_by", models.CharField(blank=True, max_length=150)),
                ("dropped_at", models.DateTimeField(null=True)),
                (
                    "order",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orders.order",
                    ),
                ),
            ],
            options={
                "db_table": "payments_proposal",
                "constraints": [
                    models.UniqueConstraint(
                        fields=["subject"],
                        condition=Q(dropped_at=None, confirmed_at=None),
                        name="payments_proposal_once",
                    ),
                    models.CheckConstraint(
                        condition=Q(amount_minor__gt=0)
                        & ~Q(entered_by="")
                        & (Q(kind="credit", order__isnull=False) | ~Q(kind="credit")),
                        name="payments_proposal_whole",
                    ),
                    models.CheckConstraint(
                        condition=Q(confirmed_by="", confirmed_at__isnull=True)
                        | (
                            ~Q(confirmed_by="")
                            & ~Q(Exact(Lower(F("confirmed_by")), Lower(F("entered_by"))))
                            & Q(confirmed_at__isnull=False, dropped_at__isnull=True)
                        ),
                        name="payments_proposal_two_people",
                    ),
                ],
            },
        ),
        per_vendor(sqlite=_SQLITE, postgresql=_POSTGRES),
    ]
