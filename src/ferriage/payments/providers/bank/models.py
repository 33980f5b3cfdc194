"""What was read of the bank's statements: accounts, files, statements and their lines."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class BankAccount(models.Model):
    """One account of the shop at a bank, in one currency, and its account in the books.

    `number` is the IBAN or whatever the bank calls it, without spaces; a statement of another
    account is refused. `layout` says how the bank writes its CSV, once that was found out.
    """

    code = CodeField("bka")
    name = models.CharField(max_length=60)
    number = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=3)
    book_account = models.CharField(max_length=60)
    layout = models.JSONField(null=True)
    added_at = models.DateTimeField()

    class Meta:
        db_table = "payments_bankaccount"
        constraints = [
            models.UniqueConstraint(
                fields=["book_account", "currency"], name="payments_bankaccount_books_once"
            ),
            models.CheckConstraint(
                condition=Q(book_account="assets:bank")
                | Q(book_account__startswith="assets:bank:"),
                name="payments_bankaccount_is_bank",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.currency})"


class StatementFile(models.Model):
    """A file from the bank. It lies here whole until it is posted or dropped, and then empty."""

    class State(models.TextChoices):
        DRAFT = "draft", _("looked at")
        POSTED = "posted", _("posted")
        DROPPED = "dropped", _("dropped")

    code = CodeField("stf")
    account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="files")
    name = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField(null=True)
    layout = models.JSONField(null=True)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)
    uploaded_by = models.CharField(max_length=150)
    uploaded_at = models.DateTimeField()
    done_by = models.CharField(max_length=150, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_statementfile"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="draft", content__isnull=False, done_at__isnull=True)
                | Q(state__in=["posted", "dropped"], content__isnull=True, done_at__isnull=False),
                name="payments_statementfile_emptied",
            )
        ]


class BankStatement(models.Model):
    """One statement of a posted file, with what the bank says the account held."""

    code = CodeField("bst")
    file = models.ForeignKey(StatementFile, on_delete=models.PROTECT, related_name="statements")
    account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="statements")
    format = models.CharField(max_length=20)
    number = models.CharField(max_length=100, blank=True)
    first_on = models.DateField(null=True)
    last_on = models.DateField(null=True)
    opening_minor = models.BigIntegerField(null=True)
    closing_minor = models.BigIntegerField(null=True)
    closing_on = models.DateField(null=True)
    posted_at = models.DateTimeField()

    class Meta:
        db_table = "payments_bankstatement"

    def __str__(self) -> str:
        return self.number or self.code


class StatementLine(models.Model):
    """One movement of the account, stored once. What the bank said of it never changes.

    Attributes:
        state: `kept` until it was looked at; `waits` for staff; `done` with its outcome.
        statement: The first one that held it.
    """

    class State(models.TextChoices):
        KEPT = "kept", _("not booked yet")
        WAITS = "waits", _("waits for staff")
        DONE = "done", _("booked")

    code = CodeField("bln")
    statement = models.ForeignKey(BankStatement, on_delete=models.PROTECT, related_name="lines")
    account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="lines")
    key = models.CharField(max_length=64)
    booked_on = models.DateField()
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    bank_reference = models.CharField(max_length=100, blank=True)
    text = models.CharField(max_length=1000, blank=True)
    payer_place = models.CharField(max_length=2, blank=True)
    is_fee = models.BooleanField(default=False)
    is_return = models.BooleanField(default=False)
    state = models.CharField(max_length=5, choices=State, default=State.KEPT)
    outcome = models.CharField(max_length=24, blank=True)
    note = models.CharField(max_length=200, blank=True)
    done_at = models.DateTimeField(null=True)
    payment = models.ForeignKey(
        "payments.Payment", on_delete=models.PROTECT, null=True, related_name="+"
    )
    refund = models.ForeignKey(
        "payments.Refund", on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        db_table = "payments_statementline"
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="payments_statementline_once"),
            models.CheckConstraint(
                condition=~Q(amount_minor=0), name="payments_statementline_moves"
            ),
            models.CheckConstraint(
                condition=Q(state="done", done_at__isnull=False) & ~Q(outcome="")
                | Q(state__in=["kept", "waits"], done_at__isnull=True),
                name="payments_statementline_done_whole",
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=~Q(state="done"), name="payments_statementline_left"
            ),
            models.Index(fields=["account", "booked_on"], name="payments_statementline_days"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def number(self) -> str:
        """What a receipt of this line is booked under: the bank's reference, and our code."""
        return f"{self.bank_reference} ({self.code})" if self.bank_reference else self.code


class HandReceipt(models.Model):
    """A receipt that a member of staff typed. Above the limit another one confirms it first.

    What was typed never changes; until it is booked it moves nothing. `needs_second` is what the
    limit said when it was entered.
    """

    class Kind(models.TextChoices):
        TRANSFER = "transfer", _("bank transfer")
        CASH = "cash", _("cash")

    code = CodeField("rcp")
    kind = models.CharField(max_length=8, choices=Kind)
    reference = models.CharField(max_length=60, blank=True)
    transaction_id = models.CharField(max_length=100)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    payer_place = models.CharField(max_length=6, blank=True)
    note = models.CharField(max_length=200, blank=True)
    evidence = models.ForeignKey(
        "approvals.Evidence", on_delete=models.PROTECT, null=True, related_name="+"
    )
    needs_second = models.BooleanField()
    entered_by = models.CharField(max_length=150)
    entered_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=150, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    dropped_by = models.CharField(max_length=150, blank=True)
    dropped_at = models.DateTimeField(null=True)
    booked_at = models.DateTimeField(null=True)
    payment = models.ForeignKey(
        "payments.Payment", on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        db_table = "payments_handreceipt"
        constraints = [
            models.UniqueConstraint(
                fields=["transaction_id"],
                condition=Q(dropped_at=None),
                name="payments_handreceipt_once",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0) & ~Q(entered_by=""),
                name="payments_handreceipt_whole",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by="", confirmed_at__isnull=True)
                | (
                    ~Q(confirmed_by="")
                    & ~Q(Exact(Lower(F("confirmed_by")), Lower(F("entered_by"))))
                    & Q(confirmed_at__isnull=False, dropped_at__isnull=True)
                ),
                name="payments_handreceipt_two_people",
            ),
            models.CheckConstraint(
                condition=Q(booked_at__isnull=True, payment__isnull=True)
                | Q(booked_at__isnull=False, payment__isnull=False, dropped_at__isnull=True)
                & (Q(needs_second=False) | Q(confirmed_at__isnull=False)),
                name="payments_handreceipt_booked",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Proposal(models.Model):
    """What a member of staff wants to do with money above the limit; another one confirms it.

    `subject` is the posting that is to be undone, the payment that is to be credited or sent back,
    or the code of an opening balance; `order` or `balance` says whose balance it is credited to or
    taken back from. Of what is paid back from a `balance` it is only a name, so that one waits for
    each at most.
    What was proposed never changes.
    """

    class Kind(models.TextChoices):
        CORRECTION = "correction", _("undo a posting")
        CREDIT = "credit", _("credit money to a balance")
        REFUND = "refund", _("send money back")
        OPENING = "opening", _("opening balance of a customer")
        TAKE_BACK = "take-back", _("take an opening balance back")
        PAYBACK = "payback", _("pay money on a balance back")

    code = CodeField("prp")
    kind = models.CharField(max_length=10, choices=Kind)
    subject = models.CharField(max_length=24)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, related_name="+")
    balance = models.ForeignKey(
        "orders.Balance", on_delete=models.PROTECT, null=True, related_name="+"
    )
    reason = models.CharField(max_length=200, blank=True)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    entered_by = models.CharField(max_length=150)
    entered_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=150, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    dropped_by = models.CharField(max_length=150, blank=True)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_proposal"
        constraints = [
            models.UniqueConstraint(
                fields=["subject"],
                condition=Q(dropped_at=None, confirmed_at=None),
                name="payments_proposal_once",
            ),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0)
                & ~Q(entered_by="")
                & (Q(kind="credit", order__isnull=False) | ~Q(kind="credit"))
                & (
                    (
                        Q(kind__in=["opening", "take-back", "payback"], balance__isnull=False)
                        & ~Q(reason="")
                    )
                    | Q(
                        ~Q(kind__in=["opening", "take-back", "payback"]),
                        balance__isnull=True,
                    )
                ),
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
        ]

    def __str__(self) -> str:
        return self.code
