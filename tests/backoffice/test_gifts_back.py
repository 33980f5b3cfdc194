"""What staff see of a gift that was not used to its end: both orders, each from the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse

from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions
from ferriage.orders.models import Order
from ferriage.payments import gifts, tasks
from ferriage.payments.models import Refund
from till import THREE_DAYS, Till

if TYPE_CHECKING:
    from django.test import Client


def test_order_of_the_giver_and_order_of_the_code_lead_to_each_other(
    olga: Client, till: Till
) -> None:
    gift = actions.place(
        account=till.shop.account(),
        price=till.shop.prices[1],
        place="XD",
        kind=Order.Kind.GIFT,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    till.receive(till.transfer(gift).reference, gift.due_minor)
    order = till.order()
    till.redeem(order, gifts.reveal(order=gift, now=till.now, actor=CUSTOMER))
    till.end(order, till.now)
    tasks.run(till.now)

    pages = {
        one.code: olga.get(reverse("staff-order", args=[one.code])).content.decode()
        for one in (gift, order)
    }
    listed = olga.get(reverse("staff-bank")).content.decode()

    assert f">{gift.code}<" in pages[order.code]
    assert "passed on to whoever paid for the code" in pages[order.code]
    assert f">{order.code}<" in pages[gift.code]
    assert "10.00 CNY to be paid" in pages[gift.code]
    # What staff pay is the giver's; what was passed on is nobody's to pay.
    assert Refund.objects.get(kind="gift").code in listed
    assert Refund.objects.get(kind="ended").code not in listed
