"""What a paid order's page says of how and when it was paid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from counter import Counter, open_counter
from ferriage.approvals.actions import EvidenceFile
from ferriage.core import clock
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders.models import Order
from ferriage.payments.models import Payment, ProviderAccount
from ferriage.payments.providers.bank import receipts
from ferriage.web.portal import purse
from till import Till
from yard import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Customer, NewVoucher
    from shop import Shop

pytestmark = pytest.mark.django_db


def paid(customer: Customer, code: str) -> list[str]:
    """Return the instant and the means that an order's page gives."""
    page = customer.client.get(f"/orders/{code}/").content.decode()
    row = re.search(r"<dt>Paid</dt><dd[^>]*>(.*?)</dd>", page, re.DOTALL)
    return [] if row is None else re.sub(r"<[^>]+>", "|", row[1]).strip("| \n").split("|")


def test_open_order_says_nothing(shop: Shop, alice: Customer) -> None:
    assert paid(alice, alice.order(shop)) == []


def test_voucher(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> None:
    code = alice.order(shop)
    alice.pay(code, new_voucher())

    found = paid(alice, code)

    assert found[0] == f"{Order.objects.get(code=code).paid_at:%Y-%m-%d %H:%M} UTC"
    assert found[-1] == "With a voucher"


def test_transfer(till: Till, alice: Customer) -> None:
    assert paid(alice, till.sell(1, account=alice.account).code)[-1] == "By bank transfer"


def test_cash(till: Till, alice: Customer) -> None:
    order = till.order(account=alice.account)
    pay_in_cash(till, order)

    assert paid(alice, order.code)[-1] == "In cash"


def pay_in_cash(till: Till, order: Order) -> None:
    receipts.enter(
        kind="cash",
        reference=till.transfer(order).reference or "",
        transaction_id="till 1",
        money=Money(1000, "CNY"),
        limit=100,
        file=EvidenceFile(data=b"photo", title="receipt.jpg", media_type="image/jpeg"),
        store_dir=till.shop.yard.store,
        now=till.now,
        actor=OWNER,
    )


@pytest.fixture
def counter(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    shop.approve_for_years()
    return open_counter(Till(shop, clock.now()), tmp_path / "standin.db", monkeypatch)


@pytest.fixture
def begun(shop: Shop, alice: Customer, counter: Counter) -> Order:
    """A term whose payment over the net was begun."""
    assert counter.account.enabled
    code = alice.order(shop)
    alice.client.post(f"/orders/{code}/pay/standin/", {"choice": ""})
    return Order.objects.get(code=code)


@pytest.fixture
def by_net(begun: Order, counter: Counter) -> Order:
    """A term that was paid over the net."""
    counter.tell(counter.world.pay(Payment.objects.get(), clock.now()))
    begun.refresh_from_db()
    return begun


def test_begun_payment_says_that_it_was_declined_where_the_provider_says_so(
    alice: Customer, begun: Order, counter: Counter
) -> None:
    def notices() -> list[bool]:
        page = alice.client.get(f"/orders/{begun.code}/").content.decode()
        return ["A payment was begun." in page, "your payment was declined" in page]

    before = notices()
    counter.say("declined", Payment.objects.get(), "evt_declined")

    assert (before, notices()) == ([True, False], [False, True])


def test_provider_over_the_net(alice: Customer, by_net: Order) -> None:
    assert paid(alice, by_net.code)[-1] == "Stand-in"


def owed(customer: Customer, order: Order) -> str:
    """End what an order bought, and return where the account's page says that money goes."""
    assert order.subscription is not None
    now = clock.now()
    orders.end_subscription(
        subscription=order.subscription, at=now, reason="we stop", now=now, actor=OWNER
    )
    page = customer.client.get("/account/").content.decode()
    found = re.search(r"We owe you .*?</p>\s*<p[^>]*>(.*?)</p>", page, re.DOTALL)
    return re.sub(r"<[^>]+>", "", found[1]).replace(order.code, "").strip() if found else ""


def test_owed_money_of_a_provider_goes_the_way_it_came(alice: Customer, by_net: Order) -> None:
    said = "It goes back the way you paid: Stand-in. You need to do nothing."
    assert owed(alice, by_net) == said


IN_CASH = "You paid in cash. Tell the shop how you want it back, with the code of your order."
TO_BANK = "It goes back to the bank account that it came from. You need to do nothing."
VOUCHER = (
    "You paid with a voucher, so we do not know where to send it. Tell the shop, with the code of"
    " your order."
)


def test_owed_money_of_a_transfer_goes_to_the_bank(till: Till, alice: Customer) -> None:
    assert owed(alice, till.sell(1, account=alice.account)) == TO_BANK


def test_owed_money_that_was_paid_in_cash(till: Till, alice: Customer) -> None:
    order = till.order(account=alice.account)
    pay_in_cash(till, order)
    order.refresh_from_db()

    assert owed(alice, order) == IN_CASH


def test_owed_money_of_a_voucher(till: Till, alice: Customer) -> None:
    order = till.order(account=alice.account)
    till.redeem(order, till.voucher(paid=1000))
    order.refresh_from_db()

    assert owed(alice, order) == VOUCHER


def test_bitcoin_is_claimed_on_the_page_of_the_order() -> None:
    account = ProviderAccount(slug="btcpay", label="Bitcoin")

    said = purse.way_back(Payment(provider="btcpay", account=account), in_cash=False)

    assert said == (
        "You paid with bitcoin. As soon as it can be claimed, the page of the order asks you for"
        " the address to send it to."
    )
