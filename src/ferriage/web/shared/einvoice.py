"""An invoice as data: EN 16931 in the syntax of UN/CEFACT's Cross Industry Invoice.

Only where a buyer is named, since the standard asks for one. Written by drafthorse, which checks
it against the published schema.

Source: docs/explanation/tax.md
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core.money import Money
from ferriage.web.shared.papers import PaperWaits
from ferriage.web.shared.words import size

if TYPE_CHECKING:
    from ferriage.orders.models import Document

_GUIDELINE: Final = "urn:cen.eu:en16931:2017"
_SCHEMA: Final = "FACTUR-X_EN16931"
_TYPES: Final = {"invoice": "380", "credit": "381"}
"""UNTDID 1001: commercial invoice, credit note."""
_CATEGORIES: Final = {"taxed": "S", "exempt": "E", "reverse": "AE"}
"""UNCL 5305; what bears no tax for any other reason is O, outside of the scope."""
_REASONS: Final = {
    "reverse": "Reverse charge",
    "outside": "Not subject to VAT",
    "unset": "No VAT was charged",
    "unknown": "No VAT was charged",
}
_PIECE: Final = "C62"


def cii(document: Document) -> bytes:
    """Return an invoice or credit note that names its buyer as XML.

    Raises:
        PaperWaits: The library is not installed.
    """
    try:
        from drafthorse.models.document import Document as Invoice
    except ImportError as error:
        raise PaperWaits(
            _("This shop cannot write an invoice as data."),
            _("Take the PDF; whoever runs it installs the rest."),
        ) from error
    made = Invoice()
    made.context.guideline_parameter.id = _GUIDELINE
    made.header.id = document.label
    made.header.type_code = _TYPES[document.kind]
    made.header.issue_date_time = document.issued_at.date()
    agreement = made.trade.agreement
    _name(agreement.seller, document.content["seller"], document.content["seller"]["tax_id"])
    _name(agreement.buyer, document.content["buyer"], document.content["buyer"]["vat_id"])
    agreement.buyer_order.issuer_assigned_id = document.content["order"]
    _add_line(made, document)
    _sum_up(made.trade.settlement, document)
    xml: bytes = made.serialize(schema=_SCHEMA)
    return xml


def _name(party: Any, typed: dict[str, str], number: str) -> None:
    from drafthorse.models.party import TaxRegistration

    party.name = typed["name"]
    party.address.line_one, party.address.line_two = _two(typed["address"])
    party.address.country_id = typed["country"]
    if number:
        # VA is a VAT number, with its country in front; FC any other number of a tax office.
        scheme = "VA" if number[:2].isalpha() else "FC"
        party.tax_registrations.add(TaxRegistration(id=(scheme, number)))


def _two(address: str) -> tuple[str, str]:
    first, *rest = [line.strip() for line in address.splitlines() if line.strip()]
    return first, ", ".join(rest)


def _add_line(made: Any, document: Document) -> None:
    from drafthorse.models.tradelines import LineItem

    (sold,) = document.content["lines"]
    net = _decimal(document.net_minor, document.currency)
    line = LineItem()
    line.document.line_id = "1"
    line.product.name = f"{sold['service']}, {sold['plan']}, {_what(sold)}"
    line.agreement.net.amount = net
    line.delivery.billed_quantity = (Decimal(1), _PIECE)
    line.settlement.trade_tax.type_code = "VAT"
    line.settlement.trade_tax.category_code = _category(document)
    if _category(document) != "O":
        line.settlement.trade_tax.rate_applicable_percent = _rate(document)
    line.settlement.monetary_summation.total_amount = net
    made.trade.items.add(line)


def _what(sold: dict[str, Any]) -> str:
    if quota := sold.get("quota_bytes"):
        return f"{size(quota)} more data for a month"
    return "one more device" if sold["kind"] == "addon" else f"{sold['term_months']} months"


def _sum_up(settlement: Any, document: Document) -> None:
    from drafthorse.models.accounting import ApplicableTradeTax

    net, tax, gross = (
        _decimal(minor, document.currency)
        for minor in (document.net_minor, document.tax_minor, document.gross_minor)
    )
    settlement.currency_code = document.currency
    settlement.period.start = document.supply_from.date()
    settlement.period.end = document.supply_to.date()
    if document.corrects is not None:
        settlement.invoice_referenced_document.issuer_assigned_id = document.corrects.label
    entry = ApplicableTradeTax()
    entry.calculated_amount = tax
    entry.basis_amount = net
    entry.type_code = "VAT"
    entry.category_code = _category(document)
    if _category(document) != "O":
        entry.rate_applicable_percent = _rate(document)
    if document.tax_state != "taxed":
        entry.exemption_reason = document.content["sentence"] or _REASONS[document.tax_state]
    settlement.trade_tax.add(entry)
    summation = settlement.monetary_summation
    summation.line_total = net
    summation.tax_basis_total = net
    summation.tax_total = (tax, document.currency)
    summation.grand_total = gross
    summation.prepaid_total = gross
    summation.due_amount = _decimal(0, document.currency)


def _category(document: Document) -> str:
    return _CATEGORIES.get(document.tax_state, "O")


def _rate(document: Document) -> Decimal:
    return Decimal(document.tax_rate) / 100


def _decimal(minor: int, currency: str) -> Decimal:
    return Decimal(Money(minor, currency).decimal())
