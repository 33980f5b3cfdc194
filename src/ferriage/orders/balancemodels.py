"""What accounts hold with the shop, and every move of it. Beside `models.py`, which names them."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import F, Q

from ferriage.core.money import Money

TOPUP: Final = "topup"
TOPUP_RETURNED: Final = "topup-returned"
TAKEN_BACK: Final = "taken-back"
PAID_BACK: Final = "paid-back"
SPENT: Final = "balance-spent"
RETURNED: Final = "balance-returned"
GIFT_RETURNED: Final = "gift-returned"
CREDITED: Final = "credited"
OPENED: Final = "opening"
UNOPENED: Final = "opening-undone"
CHANGE: Final = "change"
"""Kinds of moves. In another currency than the order's, a change's is `change-` and its name."""


class Balance(models.Model):
    """What an account holds with the shop in one currency, to pay orders with.

    `amount_minor` is the sum of its moves, kept so by the database; `reserved_minor` is the part
    that open orders are going to be paid with, and what is held for disputed payments.
    """

    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField(default=0)
    reserved_minor = models.BigIntegerField(default=0)

    class Meta:
        db_table = "orders_balance"
        constraints = [
            models.UniqueConstraint(fields=["account", "currency"], name="orders_balance_once"),
            models.CheckConstraint(
                condition=Q(reserved_minor__gte=0, amount_minor__gte=F("reserved_minor")),
                name="orders_balance_never_below",
            ),
        ]

    @property
    def money(self) -> Money:
        """All that it holds."""
        return Money(self.amount_minor, self.currency)

    @property
    def reserved(self) -> Money:
        """What open orders are going to be paid with."""
        return Money(self.reserved_minor - self.held.amount_minor, self.currency)

    @property
    def held(self) -> Money:
        """What disputes hold; read `holds` ahead for many balances."""
        still = (hold for hold in self.holds.all() if hold.released_at is None)
        return Money(sum(hold.amount_minor for hold in still), self.currency)


class BalanceMove(models.Model):
    """An amount that came to a balance (above 0) or left it (below). Append-only.

    `source_code`, `kind` and `sequence` are those of the ledger transaction that moved the money.
    """

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="moves")
    amount_minor = models.BigIntegerField()
    source_code = models.CharField(max_length=24)
    kind = models.CharField(max_length=24)
    sequence = models.PositiveIntegerField(default=0)
    moved_at = models.DateTimeField()

    class Meta:
        db_table = "orders_balancemove"
        constraints = [
            models.UniqueConstraint(
                fields=["source_code", "kind", "sequence"], name="orders_balancemove_once"
            ),
            models.CheckConstraint(condition=~Q(amount_minor=0), name="orders_balancemove_moves"),
        ]

    @property
    def money(self) -> Money:
        """The amount, below 0 where it left."""
        return Money(self.amount_minor, self.balance.currency)


class BalanceClaim(models.Model):
    """A payment that is disputed: what of its money comes to a balance is held, now and later.

    `source_code` is the dispute's. `order` is what the payment settled; where it has none the
    money was credited. `account` has it first, and never more than `most_minor` is held.
    """

    source_code = models.CharField(max_length=24, unique=True)
    payment_code = models.CharField(max_length=24)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="+")
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    most_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    made_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders_balanceclaim"
        constraints = [
            models.CheckConstraint(
                condition=Q(most_minor__gt=0), name="orders_balanceclaim_positive"
            )
        ]
        indexes = [
            models.Index(
                fields=["account"], condition=Q(released_at=None), name="orders_balanceclaim_open"
            )
        ]


class BalanceHold(models.Model):
    """A part of a balance that nobody can spend while the payment that brought it is disputed.

    It is in the balance's `reserved_minor` until it is released. `source_code` is the dispute's.
    It grows when more of the payment's money becomes free, and never shrinks.
    """

    balance = models.ForeignKey(Balance, on_delete=models.PROTECT, related_name="holds")
    amount_minor = models.BigIntegerField()
    source_code = models.CharField(max_length=24)
    made_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders_balancehold"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="orders_balancehold_positive"
            ),
            models.UniqueConstraint(
                fields=["source_code", "balance"], name="orders_balancehold_once"
            ),
        ]
