from __future__ import annotations

from django.db import models

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
    thing twice is refused by the database: unique on (source, kind, sequence).
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

    One row holds both sides, so an unbalanced transaction cannot be written at all.
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
