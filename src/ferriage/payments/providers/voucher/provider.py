from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from django.utils.translation import gettext_lazy as _

from ferriage.payments.providers.contract import (
    Means,
    NotByThisMeans,
    RefundResult,
    SecretField,
    Unverified,
)

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, Refund
    from ferriage.payments.providers.contract import (
        Event,
        RawEvent,
        SettlementRow,
        Started,
        Urls,
    )

TITLE: Final = _("With a voucher")


def is_paid_in_part(order: Order) -> bool:
    """Tell whether a coupon or the balance took something off, so that no voucher pays the rest."""
    return bool(order.discount_minor or order.credit_minor)


class VoucherProvider:
    """Vouchers by the contract.

    A code is typed on the order's page and pays at once (`redeem_voucher`), so nothing is begun,
    called back or asked for.
    """

    slug: ClassVar[str] = "voucher"
    secret_fields: ClassVar[tuple[SecretField, ...]] = ()
    title: object = TITLE
    is_test_mode = False

    def offered(self, order: Order, now: datetime) -> list[Means]:
        """Return the form for a code; a code pays a whole term and nothing else."""
        del now
        if order.kind != order.Kind.TERM or is_paid_in_part(order):
            return []
        return [Means(self.slug, TITLE, template="portal/means/voucher.html", on_page=True)]

    def start(self, payment: Payment, order: Order, urls: Urls, now: datetime) -> Started:
        """Refuse: a voucher pays at once, from the order's page."""
        del payment, order, urls, now
        raise NotByThisMeans(_("A voucher pays at once."), _("Type its code on the order's page."))

    def verify(self, raw: RawEvent) -> list[Event]:
        """Refuse: nobody outside can say that a voucher was used."""
        del raw
        raise Unverified(_("Vouchers are called back by nobody."))

    def ask(self, payment: Payment) -> list[Event]:
        """Return nothing: there is nobody to ask."""
        del payment
        return []

    def refund(self, refund: Refund) -> RefundResult:
        """Leave it to staff, who ask the customer where to send it."""
        del refund
        return RefundResult("by-hand")

    def settlements(self, since: datetime) -> list[SettlementRow]:
        """Return nothing: no other books hold vouchers."""
        del since
        return []
