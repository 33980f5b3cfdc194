from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class Order(models.Model):
    """One purchase, with its price and term copied in. The only link from money to account.

    `period_*` is the stretch it bought, known once fulfilled; earned revenue follows from it.
    `cut_at` is the instant up to which it counts when the term was ended early; what the customer
    is owed then is `refund_due_minor`. `refundable_minor` is the part of the amount that somebody
    really paid (a free voucher's is 0). `earned_to_at` is how far the books have earned it.

    While no line may serve the customer its days stand still: `frozen_from` is since when, and
    `frozen` how long they stood still before. `period_*` and `cut_at` are in the order's own time,
    which is real time less what it stood still.
    """

    class State(models.TextChoices):
        OPEN = "open", _("not paid yet")
        PAID = "paid", _("paid")
        FULFILLED = "fulfilled", _("fulfilled")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    code = CodeField("ord")
    account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, null=True, related_name="+"
    )
    subscription = models.ForeignKey(
        "plans.Subscription", on_delete=models.PROTECT, null=True, related_name="+"
    )
    plan = models.ForeignKey("plans.Plan", on_delete=models.PROTECT, related_name="+")
    price = models.ForeignKey("plans.Price", on_delete=models.PROTECT, related_name="+")
    term_months = models.PositiveSmallIntegerField()
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    place = models.CharField(max_length=6)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    fulfilled_at = models.DateTimeField(null=True)
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    cut_at = models.DateTimeField(null=True)
    refundable_minor = models.BigIntegerField(default=0)
    refund_due_minor = models.BigIntegerField(default=0)
    frozen = models.DurationField(default=timedelta(0))
    frozen_from = models.DateTimeField(null=True)
    earned_to_at = models.DateTimeField(null=True)
    earned_fully_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders_order"
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    refund_due_minor__gte=0,
                    refundable_minor__gte=F("refund_due_minor"),
                    amount_minor__gte=F("refundable_minor"),
                ),
                name="orders_order_amounts",
            ),
            models.CheckConstraint(
                condition=~Q(state="fulfilled")
                | Q(
                    fulfilled_at__isnull=False,
                    period_starts_at__isnull=False,
                    period_ends_at__isnull=False,
                ),
                name="orders_order_fulfilled_whole",
            ),
            models.CheckConstraint(
                condition=Q(frozen__gte=timedelta(0)), name="orders_order_frozen_forward"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "expires_at"], name="orders_order_open"),
            models.Index(fields=["account"], name="orders_order_account"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def ends_really_at(self) -> datetime | None:
        """Where it ends or ended in real time, with the days that stood still so far."""
        own = self.cut_at or self.period_ends_at
        return own + self.frozen if own else None


class PlaceEvidence(models.Model):
    """One thing that says where the customer of an order is. Append-only.

    Only the kind and the place are kept, never what was shown, and never a network address.
    """

    class Kind(models.TextChoices):
        SELF_DECLARED = "self_declared", _("the customer's own word")
        PAYMENT_COUNTRY = "payment_country", _("the country that the payment came from")
        RESIDENCE_PAPER = "residence_paper", _("a paper of residence that staff saw")
        LOCAL_BILL = "local_bill", _("a bill of water, power or rent that staff saw")
        TELEPHONE = "telephone", _("a telephone number of the country that staff called")

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="place_evidence")
    kind = models.CharField(max_length=16, choices=Kind)
    place = models.CharField(max_length=6)
    noted_by = models.CharField(max_length=150)
    noted_at = models.DateTimeField()

    class Meta:
        db_table = "orders_placeevidence"
        constraints = [
            models.UniqueConstraint(
                fields=["order", "kind", "place"], name="orders_placeevidence_once"
            )
        ]
