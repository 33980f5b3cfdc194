"""BTCPay Server: the contract, and every way in which bitcoin comes otherwise than asked for."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from btcpay_world import BtcpayWorld
from contract import URLS, NetContract

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.payments import accounts, actions, inbox, matching
from ferriage.payments.models import Payment, Refund
from ferriage.payments.providers import registry
from ferriage.payments.providers.btcpay.client import Client, is_safe
from ferriage.payments.providers.btcpay.provider import BtcpayProvider
from ferriage.payments.providers.contract import (
    AccountSetup,
    NotByThisMeans,
    ProviderDown,
    RawEvent,
    RefundResult,
)
from ferriage.plans.models import Period
from running_sandbox import Ear, RunningSandbox, running_sandbox
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ferriage.orders.models import Order
    from ferriage.payments.models import ProviderAccount


@pytest.fixture(scope="module")
def _running() -> Iterator[tuple[RunningSandbox, Ear]]:
    with Ear() as ear, running_sandbox(ear.url) as sandbox:
        yield sandbox, ear


@pytest.fixture
def world(_running: tuple[RunningSandbox, Ear]) -> BtcpayWorld:
    return BtcpayWorld(*_running)


class TestBtcpay(NetContract):
    @pytest.fixture
    def world(self, _running: tuple[RunningSandbox, Ear]) -> BtcpayWorld:
        return BtcpayWorld(*_running)


# --- money that is late, short, over ----------------------------------------------------------


@pytest.fixture
def account(world: BtcpayWorld, till: Till) -> ProviderAccount:
    return accounts.add_provider(
        slug="btcpay",
        label="Bitcoin",
        mode="test",
        secrets=world.secrets,
        now=till.now,
        actor=OWNER,
    )


@pytest.fixture
def order(till: Till) -> Order:
    return till.order()


@pytest.fixture
def payment(account: ProviderAccount, order: Order, till: Till) -> Payment:
    return actions.start(order=order, slug=account.slug, urls=URLS, now=till.now, actor=CUSTOMER)


def told(callbacks: Sequence[RawEvent], till: Till) -> None:
    for raw in callbacks:
        for event in inbox.receive(slug="btcpay", raw=raw, now=till.now):
            matching.handle(event=event, now=till.now)


def came() -> list[tuple[int | None, str, str]]:
    """Return what was captured: amount, outcome and reason."""
    captured = Payment.objects.filter(state="captured").order_by("received_minor")
    return [(one.received_minor, one.outcome, one.reason) for one in captured]


def test_coins_on_the_chain_settle_when_they_are_confirmed(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.act(payment, "late", till.now), till)
    order.refresh_from_db()
    before = order.state

    told(world.do(payment, "confirm", till.now), till)

    order.refresh_from_db()
    assert (before, order.state) == ("open", "fulfilled")
    assert_sound()


def test_too_little_waits_for_staff_once_the_invoice_ran_out(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.act(payment, "short", till.now), till)
    early = came()

    told(world.do(payment, "expire", till.now), till)

    order.refresh_from_db()
    assert early == []
    assert came() == [(500, "unallocated", "too-little")]
    assert order.state == "open"
    assert books() == {"assets:btcpay:test": 500, "liabilities:unallocated": 500}
    assert_sound()


def test_two_parts_in_time_make_the_price(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.act(payment, "short", till.now), till)

    told(world.do(payment, "pay", till.now, part=0.5), till)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert came() == [(1000, "settled", "")]
    assert_sound()


def test_part_that_comes_late_waits_beside_the_first(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.act(payment, "short", till.now), till)
    told(world.do(payment, "expire", till.now), till)

    told(world.do(payment, "pay", till.now, part=0.5), till)

    order.refresh_from_db()
    assert came() == [(500, "unallocated", "too-little")] * 2
    assert order.state == "open"
    assert_sound()


def test_too_much_settles_and_the_rest_waits(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.act(payment, "over", till.now), till)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert came() == [(500, "unallocated", "order-fulfilled"), (1000, "settled", "")]
    assert_sound()


def test_second_payment_of_a_paid_invoice_waits(
    world: BtcpayWorld, payment: Payment, till: Till
) -> None:
    told(world.pay(payment, till.now), till)

    told(world.do(payment, "pay", till.now), till)

    assert [minor for minor, _outcome, _reason in came()] == [1000, 1000]
    assert Period.objects.count() == 1
    assert books()["assets:btcpay:test"] == 2000
    assert_sound()


def test_late_money_settles_an_order_that_is_still_open(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.fail(payment, till.now), till)

    told(world.do(payment, "pay", till.now), till)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert_sound()


def test_late_money_for_a_cancelled_order_is_kept_and_opens_nothing(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)
    told(world.fail(payment, till.now), till)

    told(world.do(payment, "pay", till.now), till)

    assert came() == [(1000, "unallocated", "order-cancelled")]
    assert Period.objects.count() == 0
    assert_sound()


def test_invoice_that_is_marked_as_paid_brings_no_money(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    told(world.do(payment, "settle", till.now), till)

    order.refresh_from_db()
    assert (order.state, came(), books()) == ("open", [], {})


def test_invoice_of_another_amount_does_not_settle(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till
) -> None:
    """Whoever holds the API key makes a cheap invoice under our payment's code."""
    client = Client(world.secrets["server"], world.secrets["api_key"])
    cheap = client.post(
        *("stores", world.secrets["store"], "invoices"),
        body={"amount": "0.01", "currency": "CNY", "metadata": {"orderId": payment.code}},
    )
    world.sandbox.control("POST", "/btcpay/pay", code=cheap["id"])

    told([world.say("InvoiceSettled", payment, till.now, invoiceId=cheap["id"])], till)

    order.refresh_from_db()
    assert order.state == "open"
    assert came() == [(1, "unallocated", "too-little")]


@pytest.mark.parametrize("act", ["late", "short"])
def test_event_says_nothing_that_the_server_does_not(
    world: BtcpayWorld, payment: Payment, order: Order, till: Till, act: str
) -> None:
    told(world.act(payment, act, till.now), till)

    told([world.say("InvoiceSettled", payment, till.now, overPaid=True)], till)

    order.refresh_from_db()
    assert (order.state, came()) == ("open", [])


def test_start_that_was_cut_off_twice_still_hears_of_both_invoices(
    world: BtcpayWorld, payment: Payment, account: ProviderAccount
) -> None:
    provider = registry.opened(account)
    assert isinstance(provider, BtcpayProvider)
    second = provider._make(payment, URLS)
    world.sandbox.control("POST", "/btcpay/pay", code=second["id"])

    said = provider.ask(payment)

    assert [(one.transaction_id, one.money) for one in said] == [(second["id"], Money(1000, "CNY"))]


def test_callback_that_was_lost_is_found_by_asking(
    world: BtcpayWorld, payment: Payment, account: ProviderAccount, order: Order, till: Till
) -> None:
    world.sandbox.set_faults(lose=100)
    world.pay(payment, till.now)
    world.sandbox.set_faults()

    matching.look(account, payment, till.now)

    order.refresh_from_db()
    assert order.state == "fulfilled"


# --- money that goes back ---------------------------------------------------------------------


@pytest.fixture
def refund(world: BtcpayWorld, payment: Payment, till: Till) -> Refund:
    told(world.pay(payment, till.now), till)
    payment.refresh_from_db()
    return Refund.objects.create(
        payment=payment,
        kind=Refund.Kind.ENDED,
        amount_minor=400,
        currency="CNY",
        reason="ended early",
        created_at=till.now,
    )


def test_refund_waits_for_its_claim_and_is_followed_until_it_is_paid(
    world: BtcpayWorld, account: ProviderAccount, refund: Refund
) -> None:
    provider = registry.opened(account)

    offered = provider.refund(refund)
    world.sandbox.act(offered.claim_url, "claim")
    claimed = provider.refund(refund)
    world.sandbox.control("POST", "/btcpay/complete", code=offered.reference)
    paid = provider.refund(refund)

    assert (offered.state, claimed) == ("pending", offered)
    assert offered.claim_url == f"{world.sandbox.url}/page/btcpay/{offered.reference}"
    assert paid == RefundResult("paid", offered.reference)


def test_refund_that_was_archived_is_left_to_staff(
    world: BtcpayWorld, account: ProviderAccount, refund: Refund
) -> None:
    provider = registry.opened(account)
    offered = provider.refund(refund)

    world.sandbox.control("POST", "/btcpay/archive", code=offered.reference)

    assert provider.refund(refund).state == "by-hand"


# --- the server itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://pay.example", True),
        ("https://pay.example:8443/btcpay", True),
        ("http://127.0.0.1:8010/btcpay", True),
        ("http://localhost:8010", True),
        ("http://pay.example", False),
        ("http://192.0.2.7", False),
        ("http://localhost.pay.example", False),
        ("javascript:alert(1)", False),
        ("ftp://pay.example", False),
        ("pay.example", False),
        ("https://", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_only_https_and_this_machine_are_called(address: str, safe: bool, till: Till) -> None:  # noqa: FBT001 -- a table
    secrets = {"server": address, "store": "s", "api_key": "k", "webhook_secret": "w"}
    provider = BtcpayProvider(AccountSetup("btcpay", "Bitcoin", is_test_mode=True, secrets=secrets))

    assert is_safe(address) is safe
    assert bool(provider.offered(till.order(), till.now)) is safe
    if not safe:
        with pytest.raises(ProviderDown, match="not https"):
            Client(address, "k").get("invoices")


@contextmanager
def _server(status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (302, {"Location": "https://elsewhere.example/"}, b"", "it answers 302"),
        (401, {}, b"{}", "it answers 401"),
        (500, {}, b"{}", "it answers 500"),
        (200, {}, b"<html>", "not answer with JSON"),
        (200, {}, b"\xff", "not answer with JSON"),
        (200, {}, b"[" + b" " * (2 << 20) + b"]", "TooLarge"),
    ],
)
def test_answer_that_is_none_means_that_the_server_is_down(
    status: int, headers: dict[str, str], body: bytes, said: str
) -> None:
    with _server(status, headers, body) as (url, asked), pytest.raises(ProviderDown) as down:
        Client(url, "key").get("invoices", "a/b", orderId="x&y")

    assert said in str(down.value)
    assert asked == ["/api/v1/invoices/a%2Fb?orderId=x%26y"]


def test_server_that_refuses_for_good_is_not_asked_again() -> None:
    with _server(422, {}, b"[]") as (url, _asked), pytest.raises(NotByThisMeans):
        Client(url, "key").post("stores", body={})


def test_nobody_there_means_that_the_server_is_down() -> None:
    with pytest.raises(ProviderDown, match="ConnectionError"):
        Client("http://127.0.0.1:1", "key").get("invoices")


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'[{"metadata": null}]', b"null", b'"text"'])
def test_answer_of_another_form_is_said_so(body: bytes, payment: Payment) -> None:
    with _server(200, {}, body) as (url, _asked):
        secrets = {"server": url, "store": "s", "api_key": "k", "webhook_secret": "w"}
        provider = BtcpayProvider(AccountSetup("btcpay", "B", is_test_mode=True, secrets=secrets))
        with pytest.raises(ProviderDown, match="does not understand"):
            provider.start(payment, payment.order, URLS, payment.created_at)
