"""Tax and documents of an order, in the transaction that settles or ends it.

A number is taken from its series by the transaction that writes the document, so one that is
rolled back takes none.

Source: docs/explanation/tax.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import StaleState
from ferriage.ledger.actions import post_all
from ferriage.orders import tax
from ferriage.orders.models import Buyer, Document, Order, Series
from ferriage.orders.owedmodels import OwedTo

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.models import Party
    from ferriage.ledger.actions import Posting
    from ferriage.orders.models import TaxSetup
    from ferriage.orders.tax import Basis

Kind = Document.Kind
_PREFIXES: Final = {Kind.INVOICE.value: "INV", Kind.CREDIT.value: "CN"}


def copy_basis(order: Order, basis: Basis) -> None:
    """Copy into an open order which tax it bears."""
    copied = {
        "tax_state": basis.state,
        "tax_place": basis.place,
        "tax_rate": basis.rate_bps,
    }
    Order.objects.filter(pk=order.pk).update(**copied)
    for name, value in copied.items():
        setattr(order, name, value)


def on_settled(order: Order, *, now: datetime) -> None:
    """Take the tax out of what was paid for a fulfilled order, and issue its invoice.

    A top-up is no sale: it is taxed as what it pays for later.
    """
    if order.kind == Order.Kind.TOPUP:
        return
    order.tax_minor = tax.tax_part(order.refundable_minor, order.tax_rate)
    if order.tax_minor:
        Order.objects.filter(pk=order.pk).update(tax_minor=order.tax_minor)
        post_all(tax.sale_posting(order), now=now)
    setup = tax.setup_now()
    if setup is not None and order.refundable_minor:
        _issue_invoice(order, setup, now)


def on_cut(order: Order, owed_before: int, owed: int, *, now: datetime) -> list[Posting]:
    """Return the posting of the tax that is not owed any more; issue a credit note of it.

    Args:
        owed: What has gone back of the order in all, or is owed back, after `owed_before`.
    """
    if owed <= owed_before:
        return []
    tax_back = tax.tax_kept(order, owed_before) - tax.tax_kept(order, owed)
    invoice = Document.objects.filter(order=order, kind=Kind.INVOICE).first()
    if invoice is not None:
        _issue_credit(order, invoice, gross=owed - owed_before, tax_minor=tax_back, now=now)
    return tax.back_posting(order, tax_back)


def _issue_invoice(order: Order, setup: TaxSetup, now: datetime) -> None:
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.period_ends_at is not None  # noqa: S101 -- the same
    _write(
        Kind.INVOICE,
        setup.party,
        order,
        now,
        supply=(order.period_starts_at, order.period_ends_at),
        amounts=(order.refundable_minor, order.tax_minor),
        content={
            "seller": {
                "name": setup.party.name,
                "address": setup.address,
                "register_number": setup.party.register_number,
                "tax_id": setup.tax_id,
                "country": setup.home_place,
            },
            "buyer": _buyer(order),
            "order": order.code,
            "lines": [
                {
                    "service": order.plan_sold.service.name,
                    "plan": order.plan_sold.name,
                    "term_months": order.term_months,
                    "kind": order.kind,
                    **({"quota_bytes": order.quota_bytes} if order.is_pack else {}),
                }
            ],
            **({} if order.owed_to == OwedTo.PAYER else {"owed_to": order.owed_to}),
            "sentence": setup.exempt_sentence if order.tax_state == tax.State.EXEMPT else "",
            "language": setup.paper_language or (order.account.language if order.account else ""),
        },
    )


def _issue_credit(
    order: Order, invoice: Document, *, gross: int, tax_minor: int, now: datetime
) -> None:
    assert order.period_ends_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.cut_at is not None  # noqa: S101 -- set by whoever ends it
    _write(
        Kind.CREDIT,
        invoice.series.party,
        order,
        now,
        supply=(order.cut_at + order.frozen, order.period_ends_at + order.frozen),
        amounts=(gross, tax_minor),
        content={
            **{key: invoice.content[key] for key in invoice.content if key != "label"},
            "corrects": invoice.label,
            "corrects_on": invoice.issued_at.date().isoformat(),
        },
        corrects=invoice,
    )


def _write(
    kind: Kind,
    party: Party,
    order: Order,
    now: datetime,
    *,
    supply: tuple[datetime, datetime],
    amounts: tuple[int, int],
    content: dict[str, Any],
    corrects: Document | None = None,
) -> None:
    """Write a document under the next number of its series."""
    gross, tax_minor = amounts
    series, number = _take_number(party, kind, now.year)
    content["label"] = f"{_PREFIXES[kind]}-{now.year}-{number:05d}"
    Document.objects.create(
        series=series,
        number=number,
        kind=kind,
        order=order,
        corrects=corrects,
        issued_at=now,
        supply_from=supply[0],
        supply_to=supply[1],
        currency=order.currency,
        gross_minor=gross,
        tax_minor=tax_minor,
        net_minor=gross - tax_minor,
        tax_state=order.tax_state,
        tax_place=order.tax_place,
        tax_rate=order.tax_rate,
        content=content,
    )


def _take_number(party: Party, kind: str, year: int) -> tuple[Series, int]:
    """Take the next number: the row is locked by its update until the transaction ends."""
    series = Series.objects.get_or_create(party=party, kind=kind, year=year)[0]
    taken = Series.objects.filter(pk=series.pk, taken=series.taken).update(taken=F("taken") + 1)
    if taken != 1:
        raise StaleState(_("This series was numbered on just now."), _("Try again."))
    return series, series.taken + 1


def _buyer(order: Order) -> dict[str, str]:
    """Return who the invoice is made out to; nobody where the customer gave no name."""
    buyer = Buyer.objects.filter(order=order).first()
    if buyer is None or order.owed_to == OwedTo.RESELLER:
        return {}  # who uses a code that was resold bought nothing of us at the price it says
    return {
        "name": buyer.name,
        "address": buyer.address,
        "vat_id": buyer.vat_id,
        "country": order.place[:2],
    }
