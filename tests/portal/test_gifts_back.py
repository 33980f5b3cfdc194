"""What pages say when a gift was not used to its end: to its giver, its user, and staff."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions
from ferriage.orders.models import Document, Order
from ferriage.payments import gifts, tasks
from ferriage.payments.models import Payment
from taxed import charge
from till import THREE_DAYS, Till, assert_sound

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from conftest import Customer


def text(answer: HttpResponse) -> str:
    assert answer.status_code == 200
    return answer.content.decode()


def buy_code(till: Till, giver: Customer) -> Order:
    """Buy a gift code, 4.00 of it from the balance and 6.00 by bank."""
    till.top_up(giver.account, 400)
    order = actions.place(
        account=giver.account,
        price=till.shop.prices[1],
        place="XD",
        kind=Order.Kind.GIFT,
        now=till.now,
        expires_at=till.now + THREE_DAYS,
        actor=CUSTOMER,
    )
    actions.pay_from_balance(order=order, now=till.now, actor=CUSTOMER)
    order.refresh_from_db()
    assert till.receive(till.transfer(order).reference, 600).outcome == "settled"
    order.refresh_from_db()
    return order


def used(till: Till, gift: Order, customer: Customer) -> Order:
    code = customer.order(till.shop)
    customer.pay(code, gifts.reveal(order=gift, now=till.now, actor=CUSTOMER))
    return Order.objects.get(code=code)


def held_by(order: Order) -> str:
    assert order.subscription is not None
    return order.subscription.code


def hides(page: str, gift: Order) -> bool:
    """Tell whether a page names nothing by which the giver could be known."""
    payments = Payment.objects.filter(order=gift)
    secrets = [gift.code, *payments.values_list("code", flat=True)]
    secrets += payments.values_list("reference", flat=True)
    return not any(secret in page for secret in secrets)


def test_code_that_is_ended_goes_back_and_everybody_is_told(
    till: Till, alice: Customer, charlie: Customer, now: datetime
) -> None:
    charge(till.now)
    gift = buy_code(till, alice)
    order = used(till, gift, charlie)
    path = f"/account/{held_by(order)}/refund/"
    page = text(charlie.client.get(path))
    form = {
        name: found[1]
        for name in ("at", "quoted")
        if (found := re.search(rf'name="{name}" value="([^"]*)"', page))
    }
    charlie.client.post(f"{path}confirm/", form)
    told = text(charlie.client.get("/account/"))
    tasks.run(now)

    assert "What was a gift goes back to whoever gave it, and not to you." in page
    assert "The money goes back by the way it came" not in page
    assert "The amount goes to whoever gave it." in told
    assert "We owe you" not in told
    mine = text(charlie.client.get(f"/orders/{order.code}/"))
    assert "10.00 CNY went back to whoever gave you this term." in mine
    assert "Tell the shop" not in mine
    papers = [
        text(charlie.client.get(f"/documents/{paper.code}.txt"))
        for paper in Document.objects.filter(order=order)
    ]
    assert len(papers) == 2
    sentence = "Paid with a gift code. What is owed back of it goes to whoever gave it."
    assert all(sentence in paper for paper in papers)
    assert all(hides(one, gift) for one in (page, told, mine, *papers))

    account = text(alice.client.get("/account/"))
    assert "was not used to its end: 10 CNY goes back to you." in account
    assert "It goes back to the bank account that it came from." in account
    assert "4 CNY of it stands on your balance already." in account
    assert order.code not in account
    theirs = text(alice.client.get(f"/orders/{gift.code}/"))
    assert "6.00 CNY is on its way back to you." in theirs
    assert "a gift of yours was not used to its end" in theirs
    assert order.code not in theirs
    assert_sound()


def test_notice_to_the_giver_ends_and_the_orders_page_keeps_it(
    till: Till, alice: Customer, charlie: Customer, now: datetime
) -> None:
    gift = buy_code(till, alice)
    order = used(till, gift, charlie)
    till.end(order, now + timedelta(minutes=1))
    tasks.run(now - timedelta(days=31))

    assert "was not used to its end" not in text(alice.client.get("/account/"))
    assert "was not used to its end" in text(alice.client.get(f"/orders/{gift.code}/"))


def test_withdrawal_from_a_code_says_to_whom_it_goes(
    till: Till, alice: Customer, charlie: Customer
) -> None:
    gift = buy_code(till, alice)
    order = used(till, gift, charlie)
    done = charlie.client.post(f"/withdraw/{held_by(order)}/confirm/")
    page = text(charlie.client.get(done["Location"]))
    paper = text(charlie.client.get(f"{done['Location'].rstrip('/')}.txt"))

    assert "It was a gift: what is left of it goes back to who gave it." in page
    assert "What was a gift goes back to whoever gave it, and not to you." in paper
    assert "It is refunded by the way the payment came" not in paper
    assert hides(page + paper, gift)


def test_term_that_was_given_to_a_number_names_no_order_of_the_giver(
    till: Till, alice: Customer, charlie: Customer, now: datetime
) -> None:
    till.top_up(alice.account, 1000)
    charlie.order(till.shop)  # declares a place
    charlie.account.refresh_from_db()
    gift = actions.give(
        account=alice.account,
        recipient=charlie.account,
        price=till.shop.prices[1],
        now=now,
        expires_at=now + THREE_DAYS,
        actor=CUSTOMER,
    )
    gift = actions.pay_from_balance(order=gift, now=now, actor=CUSTOMER)
    mine = held_by(gift)
    pages = [
        text(charlie.client.get(address))
        for address in (
            "/account/",
            f"/account/{mine}/refund/",
            "/withdraw/",
            f"/withdraw/{mine}/",
        )
    ]
    done = charlie.client.post(f"/withdraw/{mine}/confirm/")
    pages += [
        text(charlie.client.get(done["Location"])),
        text(charlie.client.get(f"{done['Location'].rstrip('/')}.txt")),
    ]

    assert [hides(page, gift) for page in pages] == [True] * 6
    assert "goes back to who gave it" in pages[3]
    assert "balance" not in pages[4]
    assert "What was a gift goes back to whoever gave it, and not to you." in pages[5]
