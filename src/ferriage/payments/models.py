from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class ProviderAccount(models.Model):
    """The shop's account with a provider that is asked over the net.

    Several rows may have one slug, of which one is enabled at most: payments that were begun with
    an earlier one are still listened for. Secrets are sealed; who needs them opens them by
    `providers.registry`, and no page, table or log ever shows them. The provider's own books are
    read again at `read_books_at`, and are known up to `books_read_to_at`.
    """

    class Mode(models.TextChoices):
        TEST = "test", _("test: no real money")
        LIVE = "live", _("live")

    code = CodeField("pva")
    slug = models.CharField(max_length=16)
    label = models.CharField(max_length=60)
    mode = models.CharField(max_length=4, choices=Mode)
    secrets_sealed = models.TextField()
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    books_read_to_at = models.DateTimeField(null=True)
    read_books_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_provideraccount"
        constraints = [
            models.UniqueConstraint(
                fields=["slug"], condition=Q(enabled=True), name="payments_account_one_enabled"
            ),
            models.CheckConstraint(
                condition=Q(mode__in=["test", "live"]), name="payments_account_mode"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def is_test_mode(self) -> bool:
        """Whether it moves no real money."""
        return self.mode == self.Mode.TEST

    @property
    def asset(self) -> str:
        """The ledger account of what lies there; what was never real has one of its own."""
        return f"assets:{self.slug}:test" if self.is_test_mode else f"assets:{self.slug}"

    @property
    def bank(self) -> str:
        """The ledger account that its payouts go to."""
        return "assets:bank:test" if self.is_test_mode else "assets:bank"


class Payment(models.Model):
    """One attempt to move money in by one provider.

    `account` is whose it is where the provider is asked over the net; `choice` is the means that
    was chosen there, and `provider_ref` the provider's own name of what was begun.
    `reference` is what the payer quotes (bank transfer: unique, with a check character).
    `transaction_id` is the provider's own name of the money that came: unique per provider, so
    one receipt can be posted once only, whatever happens around it. `ask_at` is when the provider
    is asked what became of it, and null when that is not worth asking any more.
    """

    class State(models.TextChoices):
        CREATED = "created", _("begun")
        PENDING = "pending", _("waiting for money")
        CAPTURED = "captured", _("received")
        FAILED = "failed", _("failed")

    code = CodeField("pay")
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="+")
    provider = models.CharField(max_length=16)
    account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, related_name="+"
    )
    choice = models.CharField(max_length=32, blank=True)
    provider_ref = models.CharField(max_length=200, blank=True)
    pay_url = models.URLField(max_length=2000, blank=True)
    pay_until = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.CREATED)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=24, null=True, unique=True)  # noqa: DJ001 -- unique where there is one
    transaction_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 -- unique where there is one
    received_minor = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=24, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField()
    captured_at = models.DateTimeField(null=True)
    ask_at = models.DateTimeField(null=True)
    asked = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "payments_payment"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "transaction_id"], name="payments_payment_money_once"
            ),
            models.UniqueConstraint(
                fields=["account", "provider_ref"],
                condition=~Q(provider_ref=""),
                name="payments_payment_ref_once",
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
        indexes = [
            models.Index(fields=["order"], name="payments_payment_order"),
            # Each page of the back office counts those that wait.
            models.Index(fields=["outcome"], name="payments_payment_outcome"),
            # The constraint's own is partial: SQLite cannot use it for a value that it is given.
            models.Index(fields=["account", "provider_ref"], name="payments_payment_ref"),
            models.Index(
                fields=["ask_at"], condition=Q(ask_at__isnull=False), name="payments_payment_ask"
            ),
        ]

    def __str__(self) -> str:
        return self.code


class InboxEvent(models.Model):
    """What a provider or a member of staff said, as it came, before anything is done with it.

    An event of a provider's account holds the callback's body and headers, and what they mean.
    Bodies may name the payer: `has_body` until they are forgotten. A dispute that was told before
    its money came `awaits` it, by the provider's name of the money or by our code.
    """

    provider = models.CharField(max_length=16)
    account = models.ForeignKey(
        ProviderAccount, on_delete=models.PROTECT, null=True, related_name="+"
    )
    event_id = models.CharField(max_length=200)
    raw = models.JSONField()
    has_body = models.BooleanField(default=False)
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=24, blank=True)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="+")
    awaits = models.CharField(max_length=200, null=True)  # noqa: DJ001 -- its index holds only what awaits

    class Meta:
        db_table = "payments_inboxevent"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "event_id"],
                condition=Q(account=None),
                name="payments_inboxevent_once",
            ),
            models.UniqueConstraint(
                fields=["account", "event_id"], name="payments_inboxevent_account_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(handled_at=None), name="payments_inboxevent_left"
            ),
            models.Index(
                fields=["received_at"], condition=Q(has_body=True), name="payments_inboxevent_body"
            ),
            models.Index(
                fields=["awaits"],
                condition=Q(awaits__isnull=False),
                name="payments_inboxevent_awaits",
            ),
        ]


class RefusedCallbacks(models.Model):
    """How many callbacks of a day were not signed by the provider: a number, and no bodies."""

    slug = models.CharField(max_length=16)
    day = models.DateField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "payments_refusedcallbacks"
        constraints = [
            models.UniqueConstraint(fields=["slug", "day"], name="payments_refusedcallbacks_once")
        ]


class _Refunds(models.Manager["Refund"]):
    """All refunds but those in whose place others stand, which would count twice."""

    def get_queryset(self) -> models.QuerySet[Refund]:
        return super().get_queryset().exclude(state=Refund.State.REPLACED)


class Refund(models.Model):
    """Money that goes back, against one payment and never above it.

    Where a provider over the net pays it back it is `sent` before the provider is asked, and
    `by_hand` when the provider says that it cannot; `note` is its word for why. `claim_url` is
    where the customer says how to get it, where the provider leaves that to them. A lost `dispute`
    pays it where it waits. One is `replaced` by two that sum to it where a dispute pays a part of
    it; `objects` leaves it out. What was paid back from a balance says from which. One is `passed`
    on where a code paid that somebody gave: what of it goes to the giver's payment is another
    refund, `passed_from` it.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("to be paid")
        SENT = "sent", _("asked of the provider")
        BY_HAND = "by_hand", _("to be paid by hand")
        PAID = "paid", _("paid")
        REPLACED = "replaced", _("in two parts")
        PASSED = "passed", _("passed on to whoever paid for the code")

    class Kind(models.TextChoices):
        NOT_SETTLED = "not_settled"
        UNALLOCATED = "unallocated"
        ENDED = "ended"
        TOPUP = "topup"
        BALANCE = "balance"
        GIFT = "gift"

    code = CodeField("ref")
    kind = models.CharField(max_length=12, choices=Kind)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    dispute = models.ForeignKey(
        "payments.Dispute", on_delete=models.PROTECT, null=True, related_name="+"
    )
    balance = models.ForeignKey(
        "orders.Balance", on_delete=models.PROTECT, null=True, related_name="+"
    )
    passed_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="passed_to"
    )
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    paid_reference = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=200, blank=True)
    claim_url = models.URLField(max_length=2000, blank=True)
    ask_at = models.DateTimeField(null=True)
    asked = models.PositiveSmallIntegerField(default=0)

    objects = _Refunds()

    class Meta:
        db_table = "payments_refund"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="payments_refund_positive"
            ),
            models.CheckConstraint(
                condition=Q(kind="balance", balance__isnull=False)
                | Q(~Q(kind="balance"), balance__isnull=True),
                name="payments_refund_of_balance",
            ),
        ]


class SettlementLine(models.Model):
    """One line of a provider's own books, as it said it. Append-only; net = gross - fee."""

    class Kind(models.TextChoices):
        CHARGE = "charge", _("payment")
        REFUND = "refund", _("refund")
        DISPUTE = "dispute", _("dispute")
        FEE = "fee", _("fee")
        PAYOUT = "payout", _("payout to the bank")
        OTHER = "other", _("other")

    code = CodeField("stl")
    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="+")
    row_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=Kind)
    reference = models.CharField(max_length=200, blank=True)
    gross_minor = models.BigIntegerField()
    fee_minor = models.BigIntegerField()
    net_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    payout = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()
    imported_at = models.DateTimeField()

    class Meta:
        db_table = "payments_settlementline"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "row_id"], name="payments_settlementline_once"
            ),
            models.CheckConstraint(
                condition=Q(net_minor=F("gross_minor") - F("fee_minor")),
                name="payments_settlementline_adds_up",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "reference"], name="payments_settlementline_ref")
        ]

    def __str__(self) -> str:
        return self.code


class Difference(models.Model):
    """Something on which a provider's books and ours do not agree, until staff looked at it."""

    class Kind(models.TextChoices):
        MONEY_UNKNOWN = "money-unknown", _("money there that we know nothing of")
        MONEY_MISSING = "money-missing", _("money here that is not in the provider's books")
        AMOUNT = "amount", _("another amount there than here")
        CURRENCY = "currency", _("settled in another currency than it was paid in")
        REFUND_UNKNOWN = "refund-unknown", _("money went back that we did not send back")
        DISPUTE_UNKNOWN = "dispute-unknown", _("a dispute that we were not told of")
        OTHER = "other", _("a line that is none of these")

    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(max_length=200)
    details = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "payments_difference"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "subject"], name="payments_difference_once"
            )
        ]


# Django finds the models of a room in this module; those of a provider stand with the provider.
from ferriage.payments.disputemodels import (  # noqa: E402 -- they name the rows above
    Dispute,
    MadeGood,
)
from ferriage.payments.providers.bank.models import (  # noqa: E402 -- the same
    BankAccount,
    BankStatement,
    HandReceipt,
    Proposal,
    StatementFile,
    StatementLine,
)
from ferriage.payments.providers.voucher.models import (  # noqa: E402 -- the same
    BatchReversal,
    Gift,
    Reseller,
    ResellerCredit,
    ResellerPayment,
    ResellerReturn,
    Voucher,
    VoucherBatch,
)

__all__ = [
    "BankAccount",
    "BankStatement",
    "BatchReversal",
    "Difference",
    "Dispute",
    "Gift",
    "HandReceipt",
    "InboxEvent",
    "MadeGood",
    "Payment",
    "Proposal",
    "ProviderAccount",
    "Refund",
    "RefusedCallbacks",
    "Reseller",
    "ResellerCredit",
    "ResellerPayment",
    "ResellerReturn",
    "SettlementLine",
    "StatementFile",
    "StatementLine",
    "Voucher",
    "VoucherBatch",
]
