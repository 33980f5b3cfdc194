from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class LedgerAccount(models.Model):
    """One account of the books in one currency, such as `liabilities:unearned` in CNY."""

    ROOTS = ("assets", "liabilities", "income", "expenses", "equity")

    name = models.CharField(max_length=100)
    currency = models.CharField(max_length=3)

    class Meta:
        db_table = "ledger_account"
        constraints = [
            models.UniqueConstraint(fields=["name", "currency"], name="ledger_account_unique"),
            models.CheckConstraint(
                condition=models.Q(name__regex=r"^(assets|liabilities|income|expenses|equity):"),
                name="ledger_account_root",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.currency}"


class LedgerTransaction(models.Model):
    """Transfers that belong together. Append-only.

    `source_code` names what was posted (an order, payment or batch), so that posting the same
    thing twice is refused by the database: unique on (source, kind, sequence). None may be dated
    in a month that is closed.
    """

    code = CodeField("ltx")
    source_code = models.CharField(max_length=24)
    kind = models.CharField(max_length=24)
    sequence = models.PositiveIntegerField(default=0)
    posted_at = models.DateTimeField()
    description = models.CharField(max_length=200)

    class Meta:
        db_table = "ledger_transaction"
        constraints = [
            models.UniqueConstraint(
                fields=["source_code", "kind", "sequence"], name="ledger_transaction_once"
            )
        ]
        indexes = [models.Index(fields=["posted_at"], name="ledger_transaction_posted")]

    def __str__(self) -> str:
        return f"{self.kind} {self.source_code}"


class Transfer(models.Model):
    """An amount moved from the credited to the debited account. Append-only.

    One row holds both sides, so an unbalanced transaction cannot be written at all. None can be
    added to a transaction that stands in the chain.
    """

    transaction = models.ForeignKey(
        LedgerTransaction, on_delete=models.PROTECT, related_name="transfers"
    )
    debit = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="+")
    credit = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="+")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)

    class Meta:
        db_table = "ledger_transfer"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(amount_minor__gt=0), name="ledger_transfer_positive"
            ),
            models.CheckConstraint(
                condition=~models.Q(debit=models.F("credit")), name="ledger_transfer_two_accounts"
            ),
        ]
        indexes = [
            models.Index(fields=["debit", "id"], name="ledger_transfer_debit_page"),
            models.Index(fields=["credit", "id"], name="ledger_transfer_credit_page"),
            models.Index(fields=["debit", "credit", "id"], name="ledger_transfer_pair_page"),
        ]


class MonthFlow(models.Model):
    """What moved from one account to another in a month, added up as it is posted.

    Pages read these few rows where summing transfers would take longer each year. `first_id` and
    `last_id` say among which transfers the `entries` behind the figure stand.
    """

    month = models.DateField()
    debit = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="+")
    credit = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="+")
    amount_minor = models.BigIntegerField()
    entries = models.PositiveBigIntegerField()
    first_id = models.PositiveBigIntegerField()
    last_id = models.PositiveBigIntegerField()

    class Meta:
        db_table = "ledger_monthflow"
        constraints = [
            models.UniqueConstraint(
                fields=["month", "debit", "credit"], name="ledger_monthflow_once"
            )
        ]


class Closing(models.Model):
    """The end of a month: from then on no posting may be dated before `until`. Append-only.

    `balances` are [account, currency, debit less credit] of every account that held something.
    """

    code = CodeField("cls")
    month = models.DateField(unique=True)
    until = models.DateTimeField(unique=True)
    balances = models.JSONField()
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=170)

    class Meta:
        db_table = "ledger_closing"

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class ChainLink(models.Model):
    """One place in the chain of the books: a transaction or a closing. Append-only.

    The hash covers the entry with all its transfers and the hash before; numbers have no gap.
    """

    number = models.PositiveBigIntegerField(unique=True)
    transaction = models.OneToOneField(
        LedgerTransaction, on_delete=models.PROTECT, null=True, related_name="link"
    )
    closing = models.OneToOneField(
        Closing, on_delete=models.PROTECT, null=True, related_name="link"
    )
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        db_table = "ledger_chainlink"
        constraints = [
            models.CheckConstraint(
                condition=Q(transaction__isnull=True, closing__isnull=False)
                | Q(transaction__isnull=False, closing__isnull=True),
                name="ledger_chainlink_of_one",
            )
        ]


# --- partners ---------------------------------------------------------------------------------


class Partner(models.Model):
    """Somebody who gets a share. `login` names the member of staff who sees the statements."""

    name = models.CharField(max_length=40, unique=True)
    login = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_partner"
        constraints = [
            models.UniqueConstraint(
                fields=["login"], condition=~Q(login=""), name="ledger_partner_one_login"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Agreement(models.Model):
    """Who gets which share of a service's earned income, from a month on. Append-only.

    It holds until its own end, or until another of the service begins; of two that begin in the
    same month the later written one holds. Its shares are written first: the database takes an
    agreement only when they sum to the whole.
    """

    code = CodeField("agr")
    service = models.CharField(max_length=100)
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_agreement"
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")),
                name="ledger_agreement_forward",
            )
        ]
        indexes = [models.Index(fields=["service", "valid_from"], name="ledger_agreement_service")]

    def __str__(self) -> str:
        return self.code


class Share(models.Model):
    """One share of an agreement in basis points; without a partner the operator's. Append-only."""

    agreement = models.ForeignKey(
        Agreement, to_field="code", on_delete=models.PROTECT, related_name="shares"
    )
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, related_name="+")
    share_bps = models.PositiveIntegerField()

    class Meta:
        db_table = "ledger_share"
        constraints = [
            models.UniqueConstraint(fields=["agreement", "partner"], name="ledger_share_once"),
            models.UniqueConstraint(
                fields=["agreement"],
                condition=Q(partner__isnull=True),
                name="ledger_share_one_operator",
            ),
            models.CheckConstraint(
                condition=Q(share_bps__gt=0, share_bps__lte=10_000), name="ledger_share_part"
            ),
        ]


class Settlement(models.Model):
    """A service's earned income of one month, split. Append-only.

    `income_minor` is net of what was taken back; `carried_in_minor` is a loss of months before,
    never positive. What is split is their sum, or nothing when that is a loss, which carries on.
    """

    code = CodeField("stl")
    service = models.CharField(max_length=100)
    currency = models.CharField(max_length=3)
    month = models.DateField()
    agreement = models.ForeignKey(
        Agreement, to_field="code", on_delete=models.PROTECT, null=True, related_name="+"
    )
    income_minor = models.BigIntegerField()
    carried_in_minor = models.BigIntegerField()
    split_minor = models.BigIntegerField()
    carried_out_minor = models.BigIntegerField()
    settled_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_settlement"
        constraints = [
            models.UniqueConstraint(
                fields=["service", "currency", "month"], name="ledger_settlement_once"
            ),
            models.CheckConstraint(
                condition=Q(
                    carried_in_minor__lte=0,
                    split_minor__gte=0,
                    carried_out_minor__lte=0,
                    income_minor=F("split_minor") + F("carried_out_minor") - F("carried_in_minor"),
                ),
                name="ledger_settlement_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class SettledShare(models.Model):
    """What one share of a settlement came to; without a partner the operator's. Append-only."""

    settlement = models.ForeignKey(Settlement, on_delete=models.PROTECT, related_name="shares")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, related_name="+")
    share_bps = models.PositiveIntegerField()
    amount_minor = models.BigIntegerField()

    class Meta:
        db_table = "ledger_settledshare"
        constraints = [
            models.UniqueConstraint(
                fields=["settlement", "partner"], name="ledger_settledshare_once"
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gte=0), name="ledger_settledshare_positive"
            ),
        ]


class Payout(models.Model):
    """Money that goes to a partner: queued by one person, noted as paid with the bank's number.

    With `needs_second` these are two people. Who acted is a kind and a name, such as `staff:anna`.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("to be paid")
        PAID = "paid", _("paid")
        CANCELLED = "cancelled", _("cancelled")

    code = CodeField("pou")
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="payouts")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    queued_at = models.DateTimeField()
    queued_by = models.CharField(max_length=170)
    needs_second = models.BooleanField(default=False)
    paid_at = models.DateTimeField(null=True)
    paid_by = models.CharField(max_length=170, blank=True)
    paid_reference = models.CharField(max_length=100, blank=True)

    class Meta:
        db_table = "ledger_payout"
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="ledger_payout_positive"),
            models.CheckConstraint(
                condition=~Q(state="paid") | (Q(paid_at__isnull=False) & ~Q(paid_reference="")),
                name="ledger_payout_paid_whole",
            ),
            models.CheckConstraint(
                condition=~Q(state="paid", needs_second=True)
                | ~Q(Exact(Lower(F("paid_by")), Lower(F("queued_by")))),
                name="ledger_payout_two_people",
            ),
        ]

    def __str__(self) -> str:
        return self.code


# --- costs ------------------------------------------------------------------------------------


class HostingBill(models.Model):
    """What the host of a gateway costs: one bill, or one that comes each month until `last_month`.

    `booked` counts its months that are in the books, `paid` those that were paid; a single bill
    has one. `evidence` names the bill's own file by its hash, as the rooms above keep it.
    """

    code = CodeField("hst")
    gateway = models.CharField(max_length=100)
    what = models.CharField(max_length=100)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    first_month = models.DateField()
    is_monthly = models.BooleanField()
    last_month = models.DateField(null=True)
    booked = models.PositiveIntegerField(default=0)
    paid = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    evidence = models.CharField(max_length=64, blank=True, db_default="")

    class Meta:
        db_table = "ledger_hostingbill"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="ledger_hostingbill_positive"
            ),
            models.CheckConstraint(
                condition=Q(booked__gte=F("paid")), name="ledger_hostingbill_paid_of_booked"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what}, {self.gateway}"
