"""Payments that are taken back. Beside `models.py`, which names them.

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField
from ferriage.payments.models import Payment, ProviderAccount


class Dispute(models.Model):
    """A payment that its payer takes back through the bank or card scheme.

    While it is open the service is held. Lost, the money and what was earned of it goes back. A
    bank's recall has no `account`: it is named by the statement's line, and `void` if it was none;
    `came_again` is the payment that brought its money again, and stands for `payment` from then on.
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        WON = "won", _("won")
        LOST = "lost", _("lost")
        VOID = "void", _("not of this payment")

    code = CodeField("dsp")
    account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, related_name="+"
    )
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    came_again = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="+")
    reference = models.CharField(max_length=200)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=4, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_dispute"
        constraints = [
            models.UniqueConstraint(fields=["account", "reference"], name="payments_dispute_once"),
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(account=None) & ~Q(state="void"),
                name="payments_dispute_recall_once",
            ),
            models.UniqueConstraint(
                fields=["came_again"],
                condition=Q(came_again__isnull=False),
                name="payments_dispute_came_again_once",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_dispute_positive"
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at__isnull=True)
                | Q(state__in=["won", "lost"], closed_at__isnull=False)
                | Q(state="void", closed_at__isnull=False, account=None),
                name="payments_dispute_closed_whole",
            ),
            models.CheckConstraint(
                condition=Q(came_again__isnull=True) | Q(state="won", account=None),
                name="payments_dispute_came_again_won",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def asset(self) -> str:
        """The ledger account that the money leaves if it is lost."""
        return self.account.asset if self.account else "assets:disputed"


class MadeGood(models.Model):
    """What became of money that went out twice, or of a part of it. Append-only.

    `payment` is what it went back of. Either money came again by a `receipt`, or it was given up
    for a `reason`.
    """

    code = CodeField("mgd")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="made_good")
    receipt = models.OneToOneField(Payment, on_delete=models.PROTECT, null=True, related_name="+")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200, blank=True)
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        db_table = "payments_madegood"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0)
                & (Q(receipt__isnull=False, reason="") | Q(Q(receipt__isnull=True), ~Q(reason=""))),
                name="payments_madegood_whole",
            )
        ]

    def __str__(self) -> str:
        return self.code
