"""Codes that pay a term: batches, who sells them, what was paid, which were taken back or given."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class Reseller(models.Model):
    """Somebody who sells codes and pays for them later: `assets:receivable:<slug>` in the books.

    A quota is what they may hold without having paid for it, in codes or as an amount; without
    one they may hold any number. `reference` is what they quote when they pay. Whoever holds the
    link whose token is kept as a hash sees their batches and statements, and nothing else.
    """

    code = CodeField("rsl")
    slug = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    currency = models.CharField(max_length=3)
    discount_bp = models.PositiveIntegerField(default=0)
    quota_codes = models.PositiveIntegerField(null=True)
    quota_minor = models.PositiveBigIntegerField(null=True)
    reference = models.CharField(max_length=24, unique=True)
    token_hash = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001 -- unique where there is one
    added_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_reseller"
        constraints = [
            models.CheckConstraint(
                condition=Q(discount_bp__lte=10_000), name="payments_reseller_discount"
            ),
            models.CheckConstraint(
                condition=Q(slug__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"), name="payments_reseller_slug"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def receivable(self) -> str:
        """Where the books keep what they owe."""
        return f"assets:receivable:{self.slug}"


class ResellerPayment(models.Model):
    """What a reseller paid for codes, booked once under the bank's number. Append-only."""

    code = CodeField("rsp")
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="payments")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    book_account = models.CharField(max_length=60)
    transaction_id = models.CharField(max_length=140)
    note = models.CharField(max_length=200, blank=True)
    booked_by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        db_table = "payments_resellerpayment"
        constraints = [
            models.UniqueConstraint(
                fields=["book_account", "transaction_id"], name="payments_resellerpayment_once"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_resellerpayment_positive"
            ),
        ]


class ResellerReturn(models.Model):
    """What of a reseller's payment its bank took back for good: owed again. Append-only."""

    code = CodeField("rsr")
    payment = models.ForeignKey(ResellerPayment, on_delete=models.PROTECT, related_name="returns")
    dispute = models.OneToOneField("payments.Dispute", on_delete=models.PROTECT, related_name="+")
    amount_minor = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "payments_resellerreturn"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_resellerreturn_positive"
            ),
        ]


class ResellerCredit(models.Model):
    """What a reseller owes less, for a code that its user did not use up. Append-only.

    Its code is the number of the note that the user shows them, with `unused_bps` of the term.
    """

    code = CodeField("rsc")
    reseller = models.ForeignKey(Reseller, on_delete=models.PROTECT, related_name="credits")
    refund = models.OneToOneField(
        "payments.Refund", on_delete=models.PROTECT, related_name="reseller_credit"
    )
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    unused_bps = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "payments_resellercredit"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, unused_bps__lte=10_000),
                name="payments_resellercredit_whole",
            ),
        ]


class BatchReversal(models.Model):
    """Codes of a batch that will not be used any more, and what that did. Append-only.

    `void` takes unpaid codes back from whoever was to sell them; `write_off` makes income of
    expired ones, which stay owed until somebody says why they are not.
    """

    class Kind(models.TextChoices):
        VOID = "void", _("taken back")
        WRITE_OFF = "write_off", _("written off")

    code = CodeField("vbr")
    batch = models.ForeignKey(
        "payments.VoucherBatch", on_delete=models.PROTECT, related_name="reversals"
    )
    kind = models.CharField(max_length=9, choices=Kind)
    count = models.PositiveIntegerField()
    amount_minor = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    done_by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        db_table = "payments_batchreversal"
        constraints = [
            models.CheckConstraint(
                condition=Q(count__gt=0, amount_minor__gte=0) & ~Q(reason=""),
                name="payments_batchreversal_whole",
            )
        ]


class VoucherBatch(models.Model):
    """Codes worth one price of one plan, made together and accounted for together.

    `sold` batches were paid for by somebody (`paid_per_code_minor`); `free` ones are given away.
    """

    class Kind(models.TextChoices):
        SOLD = "sold", _("sold")
        FREE = "free", _("given away")

    code = CodeField("vb")
    name = models.CharField(max_length=60)
    plan = models.ForeignKey("plans.Plan", on_delete=models.PROTECT, related_name="+")
    term_months = models.PositiveSmallIntegerField()
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    kind = models.CharField(max_length=4, choices=Kind)
    paid_per_code_minor = models.BigIntegerField()
    count = models.PositiveIntegerField()
    issued_at = models.DateTimeField()
    reseller = models.ForeignKey(
        "payments.Reseller", on_delete=models.PROTECT, null=True, related_name="batches"
    )
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_voucherbatch"

    def __str__(self) -> str:
        return self.name


class Voucher(models.Model):
    """One code of a batch, known by its keyed hash; used at most once, or taken back."""

    batch = models.ForeignKey(VoucherBatch, on_delete=models.PROTECT, related_name="vouchers")
    code_hash = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True)
    payment = models.OneToOneField(
        "payments.Payment", on_delete=models.PROTECT, null=True, related_name="+"
    )
    reversal = models.ForeignKey(
        "payments.BatchReversal", on_delete=models.PROTECT, null=True, related_name="vouchers"
    )

    class Meta:
        db_table = "payments_voucher"
        constraints = [
            models.CheckConstraint(
                condition=Q(used_at__isnull=True, payment__isnull=True)
                | Q(used_at__isnull=False, payment__isnull=False),
                name="payments_voucher_used_whole",
            ),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(reversal__isnull=True),
                name="payments_voucher_used_or_gone",
            ),
        ]


class Gift(models.Model):
    """The voucher that a paid gift code is. Its buyer's order knows it; who uses it does not."""

    order = models.OneToOneField("orders.Order", on_delete=models.PROTECT, related_name="+")
    voucher = models.OneToOneField(Voucher, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        db_table = "payments_gift"
