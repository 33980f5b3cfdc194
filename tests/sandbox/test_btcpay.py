"""BTCPay's half: its answers and callbacks as published, and what money does to an invoice."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from published_btcpay import answer_differs, event_differs, request_differs

from running_sandbox import Ear, RunningSandbox, running_sandbox
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running_sandbox import Answer

STORE = "/api/v1/stores/{storeId}"
INVOICE = "/api/v1/invoices/{invoiceId}"
PULL = "/api/v1/pull-payments/{pullPaymentId}"
ORDER = {
    "amount": "10.00",
    "currency": "CNY",
    "metadata": {"orderId": "pay_ONE"},
    "checkout": {"redirectURL": "http://localhost:8000/back", "paymentTolerance": 0},
}


class Store:
    """A shop's client of the played server; each answer is held against what is published."""

    def __init__(self, sandbox: RunningSandbox, ear: Ear) -> None:
        self.sandbox = sandbox
        self.ear = ear
        self.id = sandbox.settings["BTCPay store"]
        self.key = sandbox.settings["BTCPay API key"]

    def ask(
        self, method: str, path: str, body: Any = None, *, query: str = "", **names: str
    ) -> Answer:
        names = {"storeId": self.id} | names
        if body is not None:
            assert request_differs(method, path, body) == []
        answer = self.sandbox.ask(
            method.upper(),
            "/btcpay" + path.format(**names) + query,
            b"" if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {self.key}", "Content-Type": "application/json"},
        )
        if answer.status in {200, 400}:
            assert answer_differs(method, path, answer.status, answer.json()) == []
        return answer

    def invoice(self) -> dict[str, Any]:
        made: dict[str, Any] = self.ask("post", f"{STORE}/invoices", ORDER).json()
        return made

    def now(self, invoice: dict[str, Any]) -> tuple[str, str]:
        shown = self.ask("get", INVOICE, invoiceId=invoice["id"]).json()
        return shown["status"], shown["additionalStatus"]

    def do(self, verb: str, code: str, **given: object) -> dict[str, Any]:
        done: dict[str, Any] = self.sandbox.control("POST", f"/btcpay/{verb}", code=code, **given)
        return done

    def heard(self, number: int) -> list[str]:
        """Wait for so many callbacks and return their types; each is as published and signed."""
        eventually(lambda: len(self.ear.heard) >= number, within=10)
        assert {one.path for one in self.ear.heard} == {"/pay/btcpay/events"}
        for one in self.ear.heard:
            assert event_differs(one.json()) == []
            secret = self.sandbox.settings["BTCPay webhook secret"].encode()
            signed = hmac.new(secret, one.body, hashlib.sha256).hexdigest()
            assert one.headers["BTCPay-Sig"] == f"sha256={signed}"
        return [one.json()["type"] for one in self.ear.heard]


@pytest.fixture(scope="module")
def _running() -> Iterator[tuple[RunningSandbox, Ear]]:
    with Ear() as ear, running_sandbox(ear.url) as sandbox:
        yield sandbox, ear


@pytest.fixture
def store(_running: tuple[RunningSandbox, Ear]) -> Store:
    sandbox, ear = _running
    eventually(lambda: sandbox.control("GET", "")["waiting"] == 0, within=10)
    ear.heard.clear()
    return Store(sandbox, ear)


def test_invoice_is_made_listed_and_shown(store: Store) -> None:
    made = store.invoice()

    listed = store.ask("get", f"{STORE}/invoices", query="?orderId=pay_ONE").json()
    other = store.ask("get", f"{STORE}/invoices", query="?orderId=pay_TWO").json()
    shown = store.ask("get", INVOICE, invoiceId=made["id"]).json()
    (chain, lightning) = store.ask("get", f"{INVOICE}/payment-methods", invoiceId=made["id"]).json()

    assert listed[0] == shown == made
    assert other == []
    assert (made["status"], made["amount"], made["metadata"]) == ("New", "10.00", ORDER["metadata"])
    assert (chain["due"], lightning["due"]) == ("0.00002000", "0.00002000")
    assert store.heard(1) == ["InvoiceCreated"]


def test_store_names_its_means(store: Store) -> None:
    listed = store.ask("get", f"{STORE}/payment-methods").json()

    assert [one["paymentMethodId"] for one in listed] == ["BTC-LN", "BTC-CHAIN"]


@pytest.mark.parametrize(
    ("change", "status"),
    [({"amount": "0"}, 400), ({"amount": "NaN"}, 400), ({"currency": "X"}, 400)],
)
def test_invoice_that_cannot_be_is_refused(
    store: Store, change: dict[str, str], status: int
) -> None:
    assert store.ask("post", f"{STORE}/invoices", ORDER | change).status == status


def test_strangers_and_other_stores_are_refused(store: Store) -> None:
    store.key, key = "another", store.key
    assert store.ask("get", f"{STORE}/invoices").status == 401
    store.key = key
    assert store.ask("get", f"{STORE}/invoices", storeId="another").status == 403
    assert store.ask("get", INVOICE, invoiceId="none").status == 404


def test_paying_on_the_page_settles_and_leads_back(store: Store) -> None:
    made = store.invoice()

    answer = store.sandbox.act(made["checkoutLink"], "pay", means="BTC-LN")

    assert (answer.status, answer.headers["Location"]) == (303, "http://localhost:8000/back")
    assert store.now(made) == ("Settled", "None")
    assert store.heard(5) == [
        "InvoiceCreated",
        "InvoiceReceivedPayment",
        "InvoiceProcessing",
        "InvoicePaymentSettled",
        "InvoiceSettled",
    ]
    assert store.sandbox.act(made["checkoutLink"], "pay").status == 409


def test_coins_wait_for_the_chain_until_confirmed(store: Store) -> None:
    made = store.invoice()

    store.sandbox.act(made["checkoutLink"], "late", means="BTC-CHAIN")

    assert store.now(made) == ("Processing", "None")
    store.do("confirm", made["id"])
    assert store.now(made) == ("Settled", "None")


@pytest.mark.parametrize(
    ("act", "status", "paid"),
    [("short", ("New", "PaidPartial"), "5.00"), ("over", ("Settled", "PaidOver"), "15.00")],
)
def test_other_amounts_come_as_they_are(
    store: Store, act: str, status: tuple[str, str], paid: str
) -> None:
    made = store.invoice()

    store.sandbox.act(made["checkoutLink"], act)

    assert store.now(made) == status
    assert store.ask("get", INVOICE, invoiceId=made["id"]).json()["paidAmount"] == paid


def test_invoice_runs_out_and_late_coins_still_come(store: Store) -> None:
    made = store.invoice()

    store.do("expire", made["id"])
    ran_out = store.now(made)
    store.do("pay", made["id"])

    assert ran_out == ("Expired", "None")
    assert store.now(made) == ("Settled", "PaidLate")
    kinds = store.heard(6)
    assert kinds[1:3] == ["InvoiceExpired", "InvoiceReceivedPayment"]
    assert store.ear.heard[1].json()["partiallyPaid"] is False
    assert store.ear.heard[2].json()["afterExpiration"] is True


@pytest.mark.parametrize("status", ["Settled", "Invalid"])
def test_invoice_is_marked_by_hand(store: Store, status: str) -> None:
    made = store.invoice()

    store.ask("post", f"{INVOICE}/status", {"status": status}, invoiceId=made["id"])

    assert store.now(made) == (status, "Marked")
    assert store.heard(2)[1] == f"Invoice{status}"
    assert store.ear.heard[1].json()["manuallyMarked"] is True


def test_pull_payment_is_claimed_and_paid_out(store: Store) -> None:
    given = {"name": "ref_ONE", "amount": "4.00", "currency": "CNY", "autoApproveClaims": False}
    made = store.ask("post", f"{STORE}/pull-payments", given).json()

    claimed = store.sandbox.act(made["viewLink"], "claim")
    (waiting,) = store.ask("get", f"{PULL}/payouts", pullPaymentId=made["id"]).json()
    store.do("complete", made["id"])
    (done,) = store.ask("get", f"{PULL}/payouts", pullPaymentId=made["id"]).json()

    assert claimed.status == 303
    assert store.ask("get", PULL, pullPaymentId=made["id"]).json() == made
    assert made in store.ask("get", f"{STORE}/pull-payments").json()
    assert (waiting["state"], waiting["originalAmount"]) == ("AwaitingApproval", "4.00")
    assert (done["state"], done["payoutAmount"]) == ("Completed", "0.00000800")
    assert store.sandbox.act(made["viewLink"], "claim").status == 409


def test_archived_pull_payment_is_claimed_by_nobody(store: Store) -> None:
    given = {"name": "ref_TWO", "amount": "4.00", "currency": "CNY"}
    made = store.ask("post", f"{STORE}/pull-payments", given).json()

    store.do("archive", made["id"])
    claim = {"destination": "bcrt1qnobody", "amount": "4.00"}
    answer = store.ask("post", f"{PULL}/payouts", claim, pullPaymentId=made["id"])

    assert (answer.status, answer.json()["code"]) == (400, "archived")
    listed = store.ask("get", f"{STORE}/pull-payments").json()
    assert made["id"] not in {one["id"] for one in listed}


def test_refund_of_an_invoice_is_a_pull_payment(store: Store) -> None:
    made = store.invoice()
    given = {"refundVariant": "Custom", "customAmount": "4.00", "customCurrency": "CNY"}

    pull = store.ask("post", f"{INVOICE}/refund", given, invoiceId=made["id"]).json()

    assert (pull["amount"], pull["currency"]) == ("4.00", "CNY")


def test_description_is_asked_in_earnest() -> None:
    event = {"type": "InvoiceSettled", "deliveryId": "a", "overPaid": "no", "extra": 1}

    assert event_differs(event) == [
        "overPaid: 'no' is not of type 'boolean'",
        ": Additional properties are not allowed ('extra' was unexpected)",
    ]
    assert event_differs({"type": "InvoicePaid"}) == ["there is no event InvoicePaid"]
    assert answer_differs("get", INVOICE, 200, {"status": "Paid"}) != []
