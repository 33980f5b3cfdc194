"""What a paid order's page says of how and when it was paid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from counter import open_counter
from ferriage.approvals.actions import EvidenceFile
from ferriage.core import clock
from ferriage.core.money import Money
from ferriage.orders.models import Order
from ferriage.payments.models import Payment
from ferriage.payments.providers.bank import receipts
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

    assert paid(alice, order.code)[-1] == "In cash"


def test_provider_over_the_net(
    shop: Shop, alice: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.approve_for_years()
    counter = open_counter(Till(shop, clock.now()), tmp_path / "standin.db", monkeypatch)
    code = alice.order(shop)
    alice.client.post(f"/orders/{code}/pay/standin/", {"choice": ""})
    counter.tell(counter.world.pay(Payment.objects.get(), clock.now()))

    assert paid(alice, code)[-1] == "Stand-in"
