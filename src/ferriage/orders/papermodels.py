"""Rows about tax, invoices and withdrawal. None is changed once written, so the database says.

They stand beside `models.py`, which names them, because a file ends at 400 lines.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.models import CodeField


class TaxSetup(models.Model):
    """What the operator said about tax; the newest row holds. Append-only.

    `party` is who sells and stands on invoices, with the address and number typed here.
    `also_places` are places outside of the regime where the party is registered as well.
    """

    class Regime(models.TextChoices):
        SMALL = "small", _("small business: no tax is charged")
        DOMESTIC = "domestic", _("taxed at home")
        OSS = "oss", _("taxed where the customer is (one stop shop)")

    code = CodeField("tax")
    party = models.ForeignKey("approvals.Party", on_delete=models.PROTECT, related_name="+")
    regime = models.CharField(max_length=10, choices=Regime)
    home_place = models.CharField(max_length=2)
    address = models.TextField(max_length=400)
    tax_id = models.CharField(max_length=40, blank=True)
    also_places = models.JSONField(default=list, blank=True)
    reverse_charge = models.BooleanField(default=False)
    exempt_sentence = models.CharField(max_length=300, blank=True)
    paper_language = models.CharField(max_length=10, blank=True)
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=150)

    class Meta:
        db_table = "orders_taxsetup"


class TaxRate(models.Model):
    """A place's rate from a day on, confirmed by somebody; the newest row of a day holds.

    Append-only.
    """

    place = models.CharField(max_length=2)
    rate_bps = models.PositiveIntegerField()
    from_on = models.DateField()
    source = models.CharField(max_length=200)
    confirmed_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=150)

    class Meta:
        db_table = "orders_taxrate"
        constraints = [
            models.CheckConstraint(condition=Q(rate_bps__lte=5000), name="orders_taxrate_plausible")
        ]


class TaxRemittance(models.Model):
    """Tax that was paid to an authority, as the bank's statement shows it. Append-only."""

    code = CodeField("rem")
    place = models.CharField(max_length=2)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    quarter = models.CharField(max_length=7)
    reference = models.CharField(max_length=100, unique=True)
    paid_at = models.DateTimeField()

    class Meta:
        db_table = "orders_taxremittance"
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="orders_taxremittance_positive"
            )
        ]


class Buyer(models.Model):
    """Who an invoice is made out to, given by the customer for one order and nothing else."""

    order = models.OneToOneField("orders.Order", on_delete=models.PROTECT, related_name="buyer")
    name = models.CharField(max_length=120)
    address = models.TextField(max_length=400)
    vat_id = models.CharField(max_length=20, blank=True)
    given_at = models.DateTimeField()

    class Meta:
        db_table = "orders_buyer"


class Series(models.Model):
    """Numbers of one kind of document of one party in one year. `taken` is the last one used."""

    party = models.ForeignKey("approvals.Party", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8)
    year = models.PositiveSmallIntegerField()
    taken = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "orders_series"
        constraints = [
            models.UniqueConstraint(fields=["party", "kind", "year"], name="orders_series_one")
        ]


class Document(models.Model):
    """An invoice or a credit note: numbered without gaps, frozen, never edited.

    Amounts are positive on both kinds; a credit note takes back what its invoice said. The
    database takes only the next number of a series, and neither change nor deletion.
    """

    class Kind(models.TextChoices):
        INVOICE = "invoice", _("Invoice")
        CREDIT = "credit", _("Credit note")

    code = CodeField("doc")
    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="documents")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="documents")
    corrects = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    issued_at = models.DateTimeField()
    supply_from = models.DateTimeField()
    supply_to = models.DateTimeField()
    currency = models.CharField(max_length=3)
    net_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField()
    gross_minor = models.BigIntegerField()
    tax_state = models.CharField(max_length=10)
    tax_place = models.CharField(max_length=2, blank=True)
    tax_rate = models.PositiveIntegerField(default=0)
    content = models.JSONField()

    class Meta:
        db_table = "orders_document"
        constraints = [
            models.UniqueConstraint(fields=["series", "number"], name="orders_document_number"),
            models.UniqueConstraint(
                fields=["order"], condition=Q(kind="invoice"), name="orders_document_one_invoice"
            ),
            models.CheckConstraint(
                condition=Q(gross_minor=models.F("net_minor") + models.F("tax_minor"))
                & Q(net_minor__gte=0, tax_minor__gte=0, gross_minor__gt=0),
                name="orders_document_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(kind="invoice", corrects__isnull=True)
                | Q(kind="credit", corrects__isnull=False),
                name="orders_document_credit_refers",
            ),
        ]
        indexes = [models.Index(fields=["issued_at"], name="orders_document_issued")]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Its number as printed, such as `INV-2026-00001`."""
        return str(self.content["label"])


class Withdrawal(models.Model):
    """A customer's declaration of withdrawal as it was made, with what it came to. Append-only."""

    code = CodeField("wdr")
    subscription = models.ForeignKey(
        "plans.Subscription", on_delete=models.PROTECT, related_name="+"
    )
    declared_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    lines = models.JSONField()

    class Meta:
        db_table = "orders_withdrawal"
