"""Pages of the balance, coupons and gifts, as a customer without scripts uses them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from dearer import open_dearer
from ferriage.core.money import Money
from ferriage.orders import actions, balance
from ferriage.orders.actions import Grant
from ferriage.orders.models import Order
from ferriage.payments import recalls
from ferriage.payments.models import Payment, Refund
from taxed import charge
from till import Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from django.http import HttpResponse
    from pytest_django.fixtures import SettingsWrapper

    from conftest import Customer, NewCustomer
    from shop import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def till(shop: Shop, settings: SettingsWrapper) -> Till:
    """A counter that takes transfers and top-ups."""
    config = settings.FERRIAGE
    rules = replace(
        config.shop,
        bank_details="Bank of Here 1",
        topup_currency="CNY",
        topup_amounts=("20", "50"),
        topup_least="5",
        topup_most="100",
    )
    settings.FERRIAGE = replace(config, shop=rules)
    shop.approve_for_years()
    return Till(shop, shop.now)


def text(answer: HttpResponse) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def top_up(customer: Customer, **form: str) -> HttpResponse:
    return customer.client.post("/balance/top-up/", {"place": "XD", **form})


def buy(customer: Customer, till: Till, coupon: str = "", months: int = 1) -> HttpResponse:
    price = till.shop.prices[months].code
    form = {"price": price, "place": "XD", "consent": "yes", "coupon": coupon}
    return customer.client.post("/orders/", form)


def coupon(till: Till, word: str, off_bps: int, **values: object) -> None:
    grant = replace(Grant(off_bps=off_bps, valid_from=till.now), **values)  # type: ignore[arg-type]
    actions.make_coupon(word=word, grant=grant, note="", now=till.now, actor=OWNER)


def chosen_place(customer: Customer, page: str) -> list[str]:
    return re.findall(r'<option value="(\w+)" selected', text(customer.client.get(page)))


# --- balance ----------------------------------------------------------------------------------


def test_amount_is_chosen_paid_and_shown(till: Till, alice: Customer) -> None:
    page = text(alice.client.get("/balance/"))
    assert "There is nothing on it yet." in page
    assert "From 5 CNY to 100 CNY." in page

    answer = top_up(alice, amount="20.00")
    order = Order.objects.get()
    assert answer["Location"] == f"/orders/{order.code}/"
    charge(till.now)  # invoices from now on, but a top-up is none of anything
    assert "Put yours on it" not in text(alice.client.get(f"/orders/{order.code}/"))
    alice.client.post(f"/orders/{order.code}/bank/")
    till.receive(Payment.objects.get().reference, 2000)

    assert "It stands on your balance." in text(alice.client.get(f"/orders/{order.code}/"))
    page = text(alice.client.get("/balance/"))
    assert "20.00 CNY" in page
    assert "top-up" in page
    assert "Top-up of the balance" in text(alice.client.get("/account/"))


@pytest.mark.parametrize(
    ("form", "minor"),
    [
        ({"other": "7.5"}, 750),
        ({"amount": "20.00", "other": "100"}, 10_000),
        ({"amount": "21.00"}, None),
        ({"other": "4.99"}, None),
        ({"other": "100.01"}, None),
        ({"other": "seven"}, None),
        ({"amount": "20.00", "place": ""}, None),
    ],
)
def test_amounts_within_the_bounds_alone_are_taken(
    till: Till,  # noqa: ARG001 -- takes top-ups
    alice: Customer,
    form: dict[str, str],
    minor: int | None,
) -> None:
    answer = top_up(alice, **form)
    assert answer.status_code == (302 if minor else 422)
    assert [order.amount_minor for order in Order.objects.all()] == ([minor] if minor else [])


def test_shop_that_takes_nothing_in_advance_has_no_form_for_it(
    shop: Shop,  # noqa: ARG001 -- prepares the site
    alice: Customer,
) -> None:
    assert "Top up" not in text(alice.client.get("/balance/"))
    assert top_up(alice, amount="20.00").status_code == 404


def test_account_page_speaks_of_a_balance_only_where_there_is_or_can_be_one(
    shop: Shop, alice: Customer, charlie: Customer
) -> None:
    till = Till(shop, shop.now)
    shop.approve_for_years()
    balance.credit(
        account=charlie.account,
        money=Money(1000, "CNY"),
        source_code=till.sell(1, account=charlie.account).code,
        kind="credited",
        against="expenses:other",
        now=shop.now,
    )

    assert [
        "/balance/" in text(customer.client.get("/account/")) for customer in (alice, charlie)
    ] == [False, True]


def test_balance_pays_an_order_at_once_and_in_part(till: Till, alice: Customer) -> None:
    till.top_up(alice.account, 1500)
    first = alice.order(till.shop)
    page = text(alice.client.get(f"/orders/{first}/"))
    assert "Pay 10 CNY from my balance" in page
    assert "Your balance pays all that is left" in page

    alice.client.post(f"/orders/{first}/balance/")
    assert Order.objects.get(code=first).state == "fulfilled"

    second = alice.order(till.shop, 6)
    alice.client.post(f"/orders/{second}/balance/")
    page = text(alice.client.get(f"/orders/{second}/"))
    assert 'Left to pay</dt><dd class="mb-0 font-semibold">45.00 CNY' in page
    assert "With a voucher" not in page
    alice.client.post(f"/orders/{second}/balance/", {"use": "none"})
    assert balance.available(alice.account, "CNY") == 500
    assert_sound()


def test_pages_say_what_cannot_be_spent_while_a_top_up_is_disputed(
    till: Till, alice: Customer
) -> None:
    order = till.top_up(alice.account, 2000)

    recalls.take_back(
        payment=Payment.objects.get(order=order, outcome="settled"),
        money=Money(2000, "CNY"),
        reference="REC-1",
        from_account="assets:bank",
        now=till.now,
        actor=OWNER,
    )

    held = "20.00 CNY of it cannot be spent now: a payment that brought it is being taken back."
    assert held in alice.client.get("/balance/").content.decode()
    page = alice.client.get(f"/orders/{order.code}/").content.decode()
    assert "what is left of it on your balance cannot be spent" in page
    assert "devices are on hold" not in page
    assert "Send" not in page
    assert_sound()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("opening", "brought along from before"),
        ("credited", "a payment that belonged to no order"),
        ("change", "left over from a change of plan"),
    ],
)
def test_page_says_in_words_where_money_came_from(
    till: Till, alice: Customer, kind: str, words: str
) -> None:
    balance.credit(
        account=alice.account,
        money=Money(1250, "CNY"),
        source_code="opn_1",
        kind=kind,
        against="equity:opening",
        now=till.now,
    )

    page = text(alice.client.get("/balance/"))

    assert f"{words}<br>" in page
    assert "12.50 CNY" in page


def test_top_up_goes_back_on_asking(till: Till, alice: Customer, charlie: Customer) -> None:
    order = till.top_up(alice.account, 1500)
    address = f"/orders/{order.code}/return/"
    assert charlie.client.post(address).status_code == 404

    assert "Send 15 CNY back" in text(alice.client.get(f"/orders/{order.code}/"))
    alice.client.post(address)

    assert Refund.objects.get().amount_minor == 1500
    again = alice.client.post(address)
    assert (again.status_code, "Nothing is left of this top-up." in text(again)) == (409, True)


def test_nobody_pays_from_somebody_elses_balance(
    till: Till, alice: Customer, charlie: Customer
) -> None:
    till.top_up(alice.account, 1500)
    order = alice.order(till.shop)
    assert charlie.client.post(f"/orders/{order}/balance/").status_code == 404
    theirs = charlie.order(till.shop)
    charlie.client.post(f"/orders/{theirs}/balance/")
    assert Order.objects.get(code=theirs).state == "open"
    assert balance.available(alice.account, "CNY") == 1500


# --- coupons ----------------------------------------------------------------------------------


def test_coupon_makes_an_order_cheaper(till: Till, alice: Customer) -> None:
    coupon(till, "SPRING", 2500)
    answer = buy(alice, till, " spring ")
    page = text(alice.client.get(answer["Location"]))
    assert "Coupon SPRING" in page
    assert "−2.50 CNY" in page
    assert "7.50 CNY" in page


def test_page_says_why_no_voucher_pays_beside_a_coupon_or_the_balance(
    till: Till, alice: Customer
) -> None:
    coupon(till, "SPRING", 2500)
    till.top_up(alice.account, 500)
    whole = buy(alice, till)["Location"]
    before = text(alice.client.get(whole))
    alice.client.post(f"{whole}balance/")
    in_part = text(alice.client.get(whole))
    cheaper = text(alice.client.get(buy(alice, till, "spring", months=6)["Location"]))

    asked = [("Voucher code" in page, "A voucher pays" in page) for page in (before, in_part)]
    assert asked == [(True, False), (False, True)]
    assert "To pay with a voucher, pay nothing from your balance." in in_part
    assert "Voucher code" not in cheaper
    assert "cancel this order and order again without the coupon" in cheaper


def test_page_says_why_a_coupon_does_not_apply_and_keeps_what_was_typed(
    till: Till, alice: Customer
) -> None:
    coupon(till, "YEAR", 2500, terms=[12])
    answer = buy(alice, till, "year")
    assert answer.status_code == 422
    assert "This coupon is for another term." in text(answer)
    assert 'value="year"' in text(answer)
    assert Order.objects.count() == 0


def test_order_that_a_coupon_pays_wholly_begins_at_once(till: Till, alice: Customer) -> None:
    coupon(till, "FREE", 10_000)
    answer = buy(alice, till, "free")
    assert Order.objects.get().state == "fulfilled"
    assert "To my devices" in text(alice.client.get(answer["Location"]))
    assert_sound()


# --- gifts ------------------------------------------------------------------------------------


def test_gift_code_is_bought_shown_once_and_used_by_another(
    till: Till, alice: Customer, charlie: Customer
) -> None:
    price = till.shop.prices[1].code
    assert "Give a term" in text(alice.client.get(f"/gift/{price}/"))
    till.top_up(alice.account, 1000)
    order = alice.client.post(f"/gift/{price}/code/", {"place": "XD"})["Location"].split("/")[2]
    alice.client.post(f"/orders/{order}/balance/")
    assert charlie.client.post(f"/orders/{order}/gift/").status_code == 404

    answer = alice.client.post(f"/orders/{order}/gift/")
    shown = re.search(r'translate="no">([0-9A-Z-]{19})<', text(answer))
    assert shown
    assert "no-store" in answer["Cache-Control"]
    assert shown[1] not in text(alice.client.get(f"/orders/{order}/"))
    charlie.pay(charlie.order(till.shop), shown[1])

    assert Order.objects.get(account=charlie.account).state == "fulfilled"
    assert "Somebody used the code." in text(alice.client.get(f"/orders/{order}/"))
    assert alice.client.post(f"/orders/{order}/gift/").status_code == 409
    assert_sound()


def test_place_of_the_last_order_is_chosen_the_next_time(till: Till, alice: Customer) -> None:
    gift = f"/gift/{till.shop.prices[1].code}/"
    pages = (gift, f"/buy/{till.shop.prices[1].code}/", "/balance/")
    before = [chosen_place(alice, page) for page in pages]

    alice.client.post(f"{gift}code/", {"place": "XD"})

    assert (before, [chosen_place(alice, page) for page in pages]) == ([[]] * 3, [["XD"]] * 3)


def test_gift_page_offers_the_other_plans(till: Till, alice: Customer) -> None:
    other = open_dearer(till)

    page = text(alice.client.get(f"/gift/{till.shop.prices[1].code}/"))
    back = text(alice.client.get(f"/gift/{other.prices[1].code}/"))

    assert f'href="/gift/{other.prices[1].code}/">Ferry · Ten devices · 1 month' in page
    assert f'href="/gift/{till.shop.prices[1].code}/"' in back


def test_gift_to_a_number_says_nothing_of_its_owner(
    till: Till, alice: Customer, charlie: Customer
) -> None:
    charlie.order(till.shop)
    price = till.shop.prices[1].code
    answer = alice.client.post(f"/gift/{price}/number/", {"number": charlie.number.lower()})
    order = answer["Location"].split("/")[2]
    page = text(alice.client.get(answer["Location"]))
    assert "Gift to a number" in page
    assert "if paid now" not in page
    till.top_up(alice.account, 1000)
    alice.client.post(f"/orders/{order}/balance/")

    page = text(alice.client.get(f"/orders/{order}/"))
    assert "The term is theirs." in page
    assert "Until" not in page
    assert "running" in text(charlie.client.get("/account/"))
    assert "running" not in text(alice.client.get("/account/"))
    assert_sound()


def test_numbers_are_not_guessed_by_way_of_gifts(
    till: Till, alice: Customer, new_customer: NewCustomer
) -> None:
    nowhere = new_customer()
    address = f"/gift/{till.shop.prices[1].code}/number/"
    answers = [
        alice.client.post(address, {"number": number})
        for number in ("nonsense", "0" * 16, nowhere.number, "1" * 16, "2" * 16)
    ]
    assert {answer.status_code for answer in answers} == {422}
    said = {re.findall(r'role="alert">.*?</div>', text(answer))[0] for answer in answers}
    assert len(said) == 1
    assert alice.client.post(address, {"number": "3" * 16}).status_code == 429


def test_gift_is_for_those_who_are_logged_in(till: Till) -> None:
    answer = Client().get(f"/gift/{till.shop.prices[1].code}/")
    assert answer["Location"].startswith("/log-in/")
