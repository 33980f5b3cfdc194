from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class Payment(models.Model):
    """One attempt to move money in by one provider.

    `reference` is what the payer quotes (bank transfer: unique, with a check character).
    `transaction_id` is the provider's own name of the money that came: unique per provider, so
    one receipt can be posted once only, whatever happens around it.
    """

    class State(models.TextChoices):
        CREATED = "created", _("begun")
        PENDING = "pending", _("waiting for money")
        CAPTURED = "captured", _("received")
        FAILED = "failed", _("failed")

    code = CodeField("pay")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="+")
    provider = models.CharField(max_length=16)
    state = models.CharField(max_length=10, choices=State, default=State.CREATED)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=24, null=True, unique=True)  # noqa: DJ001 -- unique where there is one
    transaction_id = models.CharField(max_length=100, null=True)  # noqa: DJ001 -- unique where there is one
    received_minor = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=24, blank=True)
    created_at = models.DateTimeField()
    captured_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_payment"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "transaction_id"], name="payments_payment_money_once"
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(state="captured", outcome="settled"),
                name="payments_payment_one_settles",
            ),
            models.CheckConstraint(
                condition=~Q(state="captured")
                | Q(captured_at__isnull=False, received_minor__isnull=False),
                name="payments_payment_captured_whole",
            ),
        ]
        indexes = [models.Index(fields=["order"], name="payments_payment_order")]

    def __str__(self) -> str:
        return self.code


class InboxEvent(models.Model):
    """What a provider or a member of staff said, as it came, before anything is done with it."""

    provider = models.CharField(max_length=16)
    event_id = models.CharField(max_length=100)
    raw = models.JSONField()
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=24, blank=True)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "payments_inboxevent"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "event_id"], name="payments_inboxevent_once"
            )
        ]


class Refund(models.Model):
    """Money that goes back, against one payment and never above it."""

    class State(models.TextChoices):
        QUEUED = "queued", _("to be paid")
        PAID = "paid", _("paid")

    class Kind(models.TextChoices):
        NOT_SETTLED = "not_settled"
        UNALLOCATED = "unallocated"
        ENDED = "ended"
        TOPUP = "topup"

    code = CodeField("ref")
    kind = models.CharField(max_length=12, choices=Kind)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    paid_reference = models.CharField(max_length=100, blank=True)

    class Meta:
        db_table = "payments_refund"
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payments_refund_positive")
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

    class Meta:
        db_table = "payments_voucherbatch"

    def __str__(self) -> str:
        return self.name


class Voucher(models.Model):
    """One code of a batch, known by its keyed hash; used at most once."""

    batch = models.ForeignKey(VoucherBatch, on_delete=models.PROTECT, related_name="vouchers")
    code_hash = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True)
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "payments_voucher"
        constraints = [
            models.CheckConstraint(
                condition=Q(used_at__isnull=True, payment__isnull=True)
                | Q(used_at__isnull=False, payment__isnull=False),
                name="payments_voucher_used_whole",
            )
        ]


class Gift(models.Model):
    """The voucher that a paid gift code is. Its buyer's order knows it; who uses it does not."""

    order = models.OneToOneField("orders.Order", on_delete=models.PROTECT, related_name="+")
    voucher = models.OneToOneField(Voucher, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()

    class Meta:
        db_table = "payments_gift"
