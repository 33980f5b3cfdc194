from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.contract import (
    Means,
    RefundResult,
    SecretField,
    Started,
    Unverified,
)

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, Refund
    from ferriage.payments.providers.contract import Event, RawEvent, SettlementRow, Urls

TITLE: Final = _("By bank transfer")


class BankProvider:
    """Bank transfers by the contract.

    The payer quotes a reference. What came is booked from the bank's statement (`book_receipt`),
    so nothing is called back or asked for.
    """

    slug: ClassVar[str] = "bank"
    secret_fields: ClassVar[tuple[SecretField, ...]] = ()
    title: object = TITLE
    is_test_mode = False

    def offered(self, order: Order, now: datetime) -> list[Means]:
        """Return the transfer where the shop's settings name an account."""
        del order, now
        shop = settings.FERRIAGE.shop
        if not shop.bank_details:
            return []
        place, template = shop.bank_country, "portal/means/bank.html"
        return [Means(self.slug, TITLE, payer_place=place, template=template)]

    def start(self, payment: Payment, order: Order, urls: Urls, now: datetime) -> Started:
        """Give the payer a reference to quote: the one that was given out, if there is one."""
        del order, urls, now
        return Started(reference=payment.reference or references.new_reference())

    def verify(self, raw: RawEvent) -> list[Event]:
        """Refuse: what came is read from statements, and nobody calls back."""
        del raw
        raise Unverified(_("Bank transfers are called back by nobody."))

    def ask(self, payment: Payment) -> list[Event]:
        """Return nothing: the bank is asked by importing its statement."""
        del payment
        return []

    def refund(self, refund: Refund) -> RefundResult:
        """Leave it to staff, who pay at the bank and note its number."""
        del refund
        return RefundResult("by-hand")

    def settlements(self, since: datetime) -> list[SettlementRow]:
        """Return nothing: the bank's own account is where money settles."""
        del since
        return []
