"""What invoices bring, asked after every step of random stories: each coin is booked once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.core.money import Money
from ferriage.payments.providers.btcpay.money import NotUnderstood, events
from ferriage.sandbox.btcpay.books import RATE
from ferriage.sandbox.btcpay.half import BtcpayHalf
from ferriage.sandbox.frame import Refused, Site
from ferriage.sandbox.keys import Keys

if TYPE_CHECKING:
    from ferriage.sandbox.btcpay.books import Invoice
    from ferriage.sandbox.frame import Callback


class Deaf:
    """A courier that carries nothing."""

    def send(self, callback: Callback) -> None:
        del callback


def half() -> BtcpayHalf:
    return BtcpayHalf(Site("http://127.0.0.1", "http://127.0.0.1"), Deaf(), Keys())  # type: ignore[arg-type] -- it only sends


def invoice_of(played: BtcpayHalf, amount: str) -> Invoice:
    """Make an invoice as the API does, without a request."""
    from ferriage.sandbox.btcpay.books import Invoice

    made = Invoice(
        *("inv", "store", Decimal(amount), "CNY", {"orderId": "pay_X"}, {}, "http://x"),
        created=1_000,
        expires=9_999_999_999,
    )
    played._invoices["inv"] = made
    return made


def book(invoice: Invoice, booked: dict[str, int]) -> None:
    """Ask, and book each money under its name, the first time that it is heard of."""
    for event in events(invoice.shown(), invoice.methods(), payment="pay_X"):
        if event.kind == "paid":
            assert event.money is not None
            booked.setdefault(event.transaction_id, event.money.amount_minor)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.sampled_from(["0.2", "0.5", "1", "1.3"]), st.booleans()),
        st.tuples(st.sampled_from(["confirm", "expire"]), st.just("1"), st.booleans()),
    ),
    max_size=8,
)


@given(STEPS, st.sampled_from(["10.00", "9.99", "0.03", "120.00"]))
def test_every_coin_is_booked_once_whenever_it_is_asked_for(
    steps: list[tuple[str, str, bool]], amount: str
) -> None:
    played = half()
    invoice = invoice_of(played, amount)
    booked: dict[str, int] = {}
    for verb, part, confirmed in [*steps, ("confirm", "1", True), ("expire", "1", True)]:
        given = {"code": "inv", "part": part, "confirmed": confirmed}
        try:
            asyncio.run(played.command(verb, given))
        except Refused:
            continue
        book(invoice, booked)

    book(invoice, booked)
    worth = sum((coin.value for coin in invoice.coins if coin.status == "Settled"), Decimal(0))
    lost = worth * RATE * 100 - sum(booked.values())
    slack = (1 + RATE * Decimal("1e-6")) * (len(invoice.coins) + 1)
    assert invoice.status in {"Settled", "Expired"}
    assert abs(lost) <= slack, booked
    # Only one of the names can be that of the order's own money.
    whole = [minor for name, minor in booked.items() if name == "inv"]
    assert whole in ([], [int(Decimal(amount) * 100)])


def shown(**changes: Any) -> dict[str, Any]:
    invoice = {
        "id": "inv",
        "amount": "10.00",
        "currency": "CNY",
        "status": "Settled",
        "additionalStatus": "None",
        "expirationTime": 2000,
    }
    return invoice | changes


def method(*coins: dict[str, Any], rate: str = "500000") -> dict[str, Any]:
    return {"rate": rate, "payments": list(coins)}


def coin(value: str = "0.00002", **changes: Any) -> dict[str, Any]:
    made = {"id": "c1", "receivedDate": 1500, "value": value, "fee": "0", "status": "Settled"}
    return made | changes


def moneys(invoice: dict[str, Any], *methods: dict[str, Any]) -> list[tuple[str, int]]:
    return [
        (event.transaction_id, event.money.amount_minor if event.money else 0)
        for event in events(invoice, list(methods), payment="pay_X")
    ]


@pytest.mark.parametrize("status", ["New", "Processing"])
def test_nothing_is_said_while_it_may_still_be_paid(status: str) -> None:
    assert moneys(shown(status=status), method(coin("0.00001"))) == []


@pytest.mark.parametrize("status", ["Expired", "Invalid"])
def test_invoice_without_coins_failed(status: str) -> None:
    (event,) = events(shown(status=status), [method()], payment="pay_X")

    assert (event.kind, event.event_id, event.payment) == ("failed", "inv/failed", "pay_X")


@pytest.mark.parametrize(
    ("coins", "said"),
    [
        ([coin()], [("inv", 1000)]),
        ([coin("0.00002001")], [("inv", 1000)]),
        ([coin(status="Processing")], []),
        ([coin(status="Invalid")], []),
        ([coin("0.000021", fee="0.000001")], [("inv", 1000)]),
        ([coin("0.00001"), coin("0.00001", id="c2")], [("inv", 1000)]),
        ([coin(), coin("0.00001", id="c2")], [("inv", 1000), ("c2", 500)]),
        ([coin("0.00005")], [("inv", 1000), ("c1", 1500)]),
        ([coin(receivedDate=2001)], [("c1", 1000)]),
        ([coin(), coin(receivedDate=2001, id="c2")], [("inv", 1000), ("c2", 1000)]),
        (
            [coin("0.00001"), coin("0.00001", receivedDate=2001, id="c2")],
            [("c1", 500), ("c2", 500)],
        ),
    ],
)
def test_settled_invoice_is_one_money_and_what_is_beside_it(
    coins: list[dict[str, Any]], said: list[tuple[str, int]]
) -> None:
    assert moneys(shown(), method(*coins)) == said


def test_coins_of_several_means_count_together_each_at_its_rate() -> None:
    ether = method(coin("0.25", id="e1"), rate="20")

    assert moneys(shown(), method(coin("0.00001")), ether) == [("inv", 1000)]


def test_surplus_waits_while_a_coin_before_it_may_still_be_confirmed() -> None:
    first = coin("0.00001", id="a", receivedDate=1400, status="Processing")

    assert moneys(shown(), method(first, coin("0.00003"))) == [("inv", 1000)]


def test_marked_invoice_is_worth_its_coins_and_no_more() -> None:
    marked = shown(additionalStatus="Marked")

    assert moneys(marked, method()) == []
    assert moneys(marked, method(coin("0.00001"))) == [("c1", 500)]
    assert moneys(marked, method(coin("0.00002001"))) == [("c1", 1000)]


def test_currency_without_decimals_has_none_here() -> None:
    yen = shown(amount="200", currency="JPY")

    (event,) = events(yen, [method(coin("0.00002"), rate="10000000")], payment="pay_X")

    assert event.money == Money(200, "JPY")


@pytest.mark.parametrize(
    "invoice",
    [
        shown(amount="NaN"),
        shown(amount="Infinity"),
        shown(amount="0"),
        shown(amount="-1"),
        shown(amount="10.001"),
        shown(amount="ten"),
        shown(currency="yuan"),
        shown(expirationTime="soon"),
        {"id": "inv"},
    ],
)
def test_invoice_that_is_not_as_documented_is_refused(invoice: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        events(invoice, [method(coin())], payment="pay_X")


@pytest.mark.parametrize(
    "strange", [coin("NaN"), coin("much"), {"id": "c"}, coin(receivedDate=None)]
)
def test_coin_that_is_not_as_documented_is_refused(strange: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        events(shown(), [method(strange)], payment="pay_X")
