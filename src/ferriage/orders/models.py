from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField
from ferriage.core.money import Money
from ferriage.orders import owedmodels, usedmodels
from ferriage.orders.balancemodels import Balance, BalanceClaim, BalanceHold, BalanceMove
from ferriage.orders.papermodels import (
    Buyer,
    Document,
    Series,
    TaxRate,
    TaxRemittance,
    TaxSetup,
    Withdrawal,
)

__all__ = [
    "Balance",
    "BalanceClaim",
    "BalanceHold",
    "BalanceMove",
    "Buyer",
    "Coupon",
    "Document",
    "Order",
    "PlaceEvidence",
    "Series",
    "TaxRate",
    "TaxRemittance",
    "TaxSetup",
    "Withdrawal",
]

if TYPE_CHECKING:
    from ferriage.accounts.models import Account
    from ferriage.plans.models import Plan


class Order(models.Model):
    """One purchase, with its price and term copied in. The only link from money to account.

    `list_minor` is the price copied and `discount_minor` what a coupon takes off; the rest is
    `amount_minor`, what the sale is worth. Of it `credit_minor` comes from the account's balance,
    and `due_minor` is what a payment must bring.

    `account` pays and is who gets money back; the term is for `recipient` where it is a gift to
    another account, else for `account`. A gift code is bought for whoever uses it.

    `extends` is the subscription that was named for it to go onto; `beside` asks for another one.
    An order that says neither was placed when nothing was held: it goes onto the one that another
    such order began meanwhile, or begins it. A change names what it changes, an add-on also the
    term that it goes with (`with_term`). `value_minor` is what a change counts on for the time
    that is left, so no payment brings it.

    `period_*` is the stretch it bought, known once fulfilled; earned revenue follows from it.
    `cut_at` is the instant up to which it counts when the term was ended early; what the customer
    is owed then is `refund_due_minor`. `refundable_minor` is the part of the amount that somebody
    really paid (a free voucher's is 0), of it `paid_minor` by this order's own payment, and
    `moved_minor` is what was unused and went on otherwise than by a refund, `charged_back_minor`
    what a payer took back by a dispute. `lost_minor` is what they took back of it while it goes on:
    a loss, and never owed back. What is unused goes `owed_to` somebody else where a code paid that
    was given or resold. `earned_to_at` is how far the books have earned it.

    While no line may serve the customer its days stand still: `frozen_from` is since when, and
    `frozen` how long they stood still before. `period_*` and `cut_at` are in the order's own time,
    which is real time less what it stood still.

    `quota_bytes` is copied too: of a term what its plan gives in a month (None is any amount), of a
    quota pack what it adds to one. Of that `used_bytes` are used, as far as they were counted: a
    pack is earned by them, and by its end. A term with a quota has `data_from_at` once it began:
    its subscription had used `data_before_bytes` of that month before. Where its data ran ahead of
    its time when it was cut, it counts up to `counts_to_at`, in its own time, and not to `cut_at`.

    `tax_*` is copied when it is placed. `tax_minor` is the part of `refundable_minor` that is tax,
    known once fulfilled.
    """

    class Kind(models.TextChoices):
        TERM = "term", _("a term")
        CHANGE = "change", _("a change of plan")
        ADDON = "addon", _("an addition")
        TOPUP = "topup", _("a top-up of the balance")
        GIFT = "gift", _("a gift code")

    class State(models.TextChoices):
        OPEN = "open", _("not paid yet")
        PAID = "paid", _("paid")
        FULFILLED = "fulfilled", _("fulfilled")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    class TaxState(models.TextChoices):
        UNSET = "unset", _("no tax was set up, so none was charged")
        EXEMPT = "exempt", _("small business, no tax")
        TAXED = "taxed", _("taxed")
        REVERSE = "reverse", _("reverse charge, the customer owes the tax")
        OUTSIDE = "outside", _("outside of what the shop charges tax on")
        UNKNOWN = "unknown", _("no confirmed rate for the place, so none was charged")

    code = CodeField("ord")
    kind = models.CharField(max_length=6, choices=Kind, default=Kind.TERM)
    account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, null=True, related_name="+"
    )
    recipient = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, null=True, related_name="+"
    )
    subscription = models.ForeignKey(
        "plans.Subscription", on_delete=models.PROTECT, null=True, related_name="+"
    )
    extends = models.ForeignKey(
        "plans.Subscription", on_delete=models.PROTECT, null=True, related_name="+"
    )
    beside = models.BooleanField(default=False)
    with_term = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    addon_price = models.ForeignKey(
        "plans.AddOnPrice", on_delete=models.PROTECT, null=True, related_name="+"
    )
    plan = models.ForeignKey("plans.Plan", on_delete=models.PROTECT, null=True, related_name="+")
    price = models.ForeignKey("plans.Price", on_delete=models.PROTECT, null=True, related_name="+")
    term_months = models.PositiveSmallIntegerField()
    quota_bytes = models.PositiveBigIntegerField(null=True)
    used_bytes = models.PositiveBigIntegerField(default=0)
    data_from_at = models.DateTimeField(null=True)
    data_before_bytes = models.PositiveBigIntegerField(default=0)
    counts_to_at = models.DateTimeField(null=True)
    list_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField(default=0)
    coupon = models.ForeignKey(
        "orders.Coupon", on_delete=models.PROTECT, null=True, related_name="orders"
    )
    amount_minor = models.BigIntegerField()
    credit_minor = models.BigIntegerField(default=0)
    value_minor = models.BigIntegerField(default=0)
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
    paid_minor = models.BigIntegerField(default=0)
    moved_minor = models.BigIntegerField(default=0)
    charged_back_minor = models.BigIntegerField(default=0)
    lost_minor = models.BigIntegerField(default=0)
    owed_to = models.CharField(max_length=8, choices=owedmodels.OwedTo, default="payer")
    refund_due_minor = models.BigIntegerField(default=0)
    frozen = models.DurationField(default=timedelta(0))
    frozen_from = models.DateTimeField(null=True)
    tax_state = models.CharField(max_length=10, choices=TaxState, default=TaxState.UNSET)
    tax_place = models.CharField(max_length=2, blank=True, default="")
    tax_rate = models.PositiveIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    earned_to_at = models.DateTimeField(null=True)
    earned_fully_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders_order"
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    refund_due_minor__gte=0,
                    moved_minor__gte=0,
                    charged_back_minor__gte=0,
                    lost_minor__gte=0,
                    paid_minor__gte=0,
                    refundable_minor__gte=F("refund_due_minor")
                    + F("moved_minor")
                    + F("charged_back_minor")
                    + F("lost_minor"),
                    amount_minor__gte=F("refundable_minor"),
                ),
                name="orders_order_amounts",
            ),
            models.CheckConstraint(
                condition=Q(
                    discount_minor__gte=0,
                    amount_minor__gte=0,
                    amount_minor=F("list_minor") - F("discount_minor"),
                ),
                name="orders_order_discounted",
            ),
            models.CheckConstraint(
                condition=Q(
                    credit_minor__gte=0,
                    value_minor__gte=0,
                    amount_minor__gte=F("credit_minor") + F("value_minor"),
                ),
                name="orders_order_credited",
            ),
            models.CheckConstraint(
                condition=Q(beside=False) | Q(extends__isnull=True),
                name="orders_order_one_target",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind__in=["term", "gift", "topup"], value_minor=0, with_term__isnull=True
                )
                | Q(kind="change", extends__isnull=False, price__isnull=False, term_months__gt=0)
                | Q(
                    kind="addon",
                    extends__isnull=False,
                    with_term__isnull=False,
                    addon_price__isnull=False,
                    value_minor=0,
                ),
                name="orders_order_targets",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind="topup",
                    plan__isnull=True,
                    price__isnull=True,
                    recipient__isnull=True,
                    subscription__isnull=True,
                    term_months=0,
                    discount_minor=0,
                    credit_minor=0,
                    amount_minor__gt=0,
                )
                | Q(
                    kind="gift",
                    plan__isnull=False,
                    price__isnull=False,
                    recipient__isnull=True,
                    subscription__isnull=True,
                    term_months__gt=0,
                )
                | Q(kind="term", plan__isnull=False, price__isnull=False, term_months__gt=0)
                | Q(kind__in=["change", "addon"], plan__isnull=False),
                name="orders_order_kinds",
            ),
            models.CheckConstraint(
                condition=Q(tax_minor__gte=0, refundable_minor__gte=F("tax_minor"))
                & (Q(tax_state="taxed") | Q(tax_minor=0, tax_rate=0)),
                name="orders_order_tax",
            ),
            models.CheckConstraint(
                condition=~Q(state="fulfilled")
                | Q(kind__in=["topup", "gift"], fulfilled_at__isnull=False)
                | Q(
                    fulfilled_at__isnull=False,
                    period_starts_at__isnull=False,
                    period_ends_at__isnull=False,
                ),
                name="orders_order_fulfilled_whole",
            ),
            models.CheckConstraint(
                condition=Q(coupon__isnull=False) | Q(discount_minor=0),
                name="orders_order_discount_has_coupon",
            ),
            models.CheckConstraint(
                condition=Q(frozen__gte=timedelta(0)), name="orders_order_frozen_forward"
            ),
            models.CheckConstraint(
                condition=Q(used_bytes=0) | Q(kind="addon", used_bytes__lte=F("quota_bytes")),
                name="orders_order_pack_used",
            ),
            *owedmodels.CONSTRAINTS,
            *usedmodels.CONSTRAINTS,
        ]
        indexes = [
            usedmodels.TO_BEGIN,
            usedmodels.TO_FORGET,
            models.Index(fields=["state", "expires_at"], name="orders_order_open"),
            models.Index(fields=["account"], name="orders_order_account"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def due_minor(self) -> int:
        """What a payment must bring."""
        return self.amount_minor - self.credit_minor - self.value_minor

    @property
    def due(self) -> Money:
        """What a payment must bring."""
        return Money(self.due_minor, self.currency)

    @property
    def list_price(self) -> Money:
        """The price copied, before a coupon."""
        return Money(self.list_minor, self.currency)

    @property
    def discount(self) -> Money:
        """What the coupon takes off."""
        return Money(self.discount_minor, self.currency)

    @property
    def from_balance(self) -> Money:
        """The part that the account's balance pays."""
        return Money(self.credit_minor, self.currency)

    @property
    def holder(self) -> Account | None:
        """The account that the term is for."""
        return self.recipient or self.account

    @property
    def plan_sold(self) -> Plan:
        """The plan that it is for; a top-up, which has none, may not be asked."""
        assert self.plan is not None  # noqa: S101 -- a constraint of every other kind
        return self.plan

    @property
    def is_pack(self) -> bool:
        """Tell whether it is a quota pack."""
        return self.kind == self.Kind.ADDON and self.quota_bytes is not None

    @property
    def ends_really_at(self) -> datetime | None:
        """Where it ends or ended in real time, with the days that stood still so far."""
        own = self.cut_at or self.period_ends_at
        return own + self.frozen if own else None


class Coupon(models.Model):
    """A word that makes an order cheaper: by a share of its price, or by an amount.

    What it grants never changes (a trigger keeps it so); it ends. `key` is the word as bare
    characters, since people may type it in any case. An empty list of terms, currencies or plans is
    no limit. `uses` counts the orders that have it and neither expired nor were cancelled.
    """

    code = CodeField("cpn")
    word = models.CharField(max_length=24)
    key = models.CharField(max_length=24, unique=True)
    note = models.CharField(max_length=100, blank=True)
    off_bps = models.PositiveIntegerField(null=True)
    off_minor = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    plans = models.ManyToManyField("plans.Plan", related_name="+")
    terms = models.JSONField(default=list)
    first_only = models.BooleanField(default=False)
    most_uses = models.PositiveIntegerField(null=True)
    most_per_account = models.PositiveIntegerField(null=True)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    uses = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "orders_coupon"
        constraints = [
            models.CheckConstraint(
                condition=Q(off_minor__isnull=True, off_bps__gt=0, off_bps__lte=10_000)
                | (Q(off_bps__isnull=True, off_minor__gt=0) & ~Q(currency="")),
                name="orders_coupon_one_kind",
            ),
            models.CheckConstraint(
                condition=Q(most_uses__isnull=True) | Q(uses__lte=F("most_uses")),
                name="orders_coupon_uses",
            ),
        ]

    def __str__(self) -> str:
        return self.word


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
