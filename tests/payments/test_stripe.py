"""Stripe by its own SDK, against the sandbox: the contract, and what is Stripe's alone."""

from __future__ import annotations

import inspect
import json
import logging
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from contract import URLS, NetContract
from stripe.params import WebhookEndpointCreateParams
from stripe_world import StripeWorld, signed

from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.payments import accounts, actions, inbox, matching
from ferriage.payments.models import InboxEvent, Payment, ProviderAccount, Refund
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import NotByThisMeans, ProviderDown, RawEvent, Unverified
from ferriage.payments.providers.stripe.amounts import from_stripe, to_stripe
from ferriage.plans.models import Period
from running_sandbox import Ear, running_sandbox
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.orders.models import Order
    from ferriage.payments.providers.contract import Provider


@pytest.fixture
def stripe_world(till: Till) -> Iterator[StripeWorld]:
    # Stripe's clock is the real one, so the shop's is as well, and may still sell then.
    till.shop.approve_for_years()
    till.now = clock.now()
    with Ear() as ear, running_sandbox(ear.url) as sandbox:
        yield StripeWorld(sandbox, ear)


@pytest.fixture
def account(stripe_world: StripeWorld, till: Till) -> ProviderAccount:
    return add(stripe_world.secrets, till)


@pytest.fixture
def provider(account: ProviderAccount) -> Provider:
    return registry.opened(account)


@pytest.fixture
def payment(account: ProviderAccount, till: Till) -> Payment:
    return begin(account, till)


def add(secrets: dict[str, str], till: Till, mode: str = "test") -> ProviderAccount:
    return accounts.add_provider(
        slug="stripe", label="Card", mode=mode, secrets=secrets, now=till.now, actor=OWNER
    )


def begin(account: ProviderAccount, till: Till, choice: str = "") -> Payment:
    return actions.start(
        order=till.order(),
        slug=account.slug,
        choice=choice,
        urls=URLS,
        now=till.now,
        actor=CUSTOMER,
    )


def tell(callbacks: list[RawEvent], till: Till) -> None:
    for raw in callbacks:
        for event in inbox.receive(slug="stripe", raw=raw, now=till.now):
            matching.handle(event=event, now=till.now)


def owed(payment: Payment, minor: int, till: Till) -> Refund:
    return Refund.objects.create(
        payment=payment,
        kind=Refund.Kind.ENDED,
        amount_minor=minor,
        currency=payment.currency,
        reason="ended early",
        created_at=till.now,
    )


class TestStripe(NetContract):
    @pytest.fixture
    def world(self, stripe_world: StripeWorld) -> StripeWorld:
        return stripe_world


# --- what settles


def _every_kind() -> list[str]:
    """Return the name of every event that Stripe documents, as its SDK lists them."""
    wanted = Path(inspect.getfile(WebhookEndpointCreateParams)).read_text(encoding="utf-8")
    kinds = set(re.findall(r'"([a-z_0-9]+(?:\.[a-z_0-9]+)+)"', wanted))
    assert len(kinds) > 200
    assert "charge.succeeded" in kinds
    return sorted(kinds)


@pytest.mark.parametrize("status", ["succeeded", "pending", "failed"])
def test_only_a_succeeded_charge_is_money(
    stripe_world: StripeWorld, provider: Provider, payment: Payment, till: Till, status: str
) -> None:
    callbacks = stripe_world.pay(payment, till.now)
    bodies = {json.loads(raw.body)["type"]: json.loads(raw.body) for raw in callbacks}
    charge = bodies["charge.succeeded"]["data"]["object"] | {"status": status}
    session = bodies["checkout.session.completed"]["data"]["object"]
    paid = []

    for kind in _every_kind():
        for about in (charge, session):
            try:
                said = provider.verify(stripe_world.event(kind, about))
            except Unverified:
                continue
            paid += [(kind, event.money) for event in said if event.kind == "paid"]

    expected = [("charge.succeeded", Money(1000, "CNY"))] if status == "succeeded" else []
    assert paid == expected


@pytest.mark.parametrize(
    ("change", "outcome", "reason"),
    [
        ({"amount_captured": 999, "amount": 999}, "unallocated", "too-little"),
        ({"amount_captured": 1001, "amount": 1001}, "unallocated", "too-much"),
        ({"currency": "usd"}, "unallocated", "other-currency"),
        (
            {"metadata": {"ferriage_payment": "pay_0000000000000000"}},
            "unallocated",
            "unknown-order",
        ),
    ],
)
def test_altered_money_opens_nothing(
    stripe_world: StripeWorld,
    payment: Payment,
    till: Till,
    change: dict[str, Any],
    outcome: str,
    reason: str,
) -> None:
    callbacks = stripe_world.pay(payment, till.now)
    charge = json.loads(callbacks[1].body)["data"]["object"] | change

    tell([stripe_world.event("charge.succeeded", charge)], till)

    event = InboxEvent.objects.get()
    assert event.payment is not None
    assert (event.outcome, event.payment.reason) == (outcome, reason)
    assert Period.objects.count() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {}},
        {"captured": False},
        {"paid": False},
    ],
)
def test_charge_that_is_not_ours_or_not_taken_is_no_money(
    stripe_world: StripeWorld, payment: Payment, till: Till, change: dict[str, Any]
) -> None:
    callbacks = stripe_world.pay(payment, till.now)
    charge = json.loads(callbacks[1].body)["data"]["object"] | change

    tell([stripe_world.event("charge.succeeded", charge)], till)

    assert InboxEvent.objects.get().outcome == "noted"
    assert books() == {}


def test_event_of_the_other_mode_does_nothing(
    stripe_world: StripeWorld, payment: Payment, till: Till
) -> None:
    callbacks = stripe_world.pay(payment, till.now)
    charge = json.loads(callbacks[1].body)["data"]["object"]

    tell([stripe_world.event("charge.succeeded", charge, livemode=True)], till)

    assert books() == {}


@pytest.mark.parametrize("seconds", [-301, 301])
def test_stale_or_early_signature_is_refused(
    stripe_world: StripeWorld, provider: Provider, payment: Payment, till: Till, seconds: int
) -> None:
    raw = stripe_world.pay(payment, till.now)[1]
    late = RawEvent(raw.body, raw.headers, raw.received_at + timedelta(seconds=seconds))

    with pytest.raises(Unverified):
        provider.verify(late)


@pytest.mark.parametrize("body", ["[]", "null", '{"object": "list"}', "{", '{"object": "event"}'])
def test_signed_body_that_is_no_event_is_refused(
    stripe_world: StripeWorld, provider: Provider, body: str
) -> None:
    secret = stripe_world.secrets["webhook_secret"]

    with pytest.raises(Unverified):
        provider.verify(RawEvent(body.encode(), signed(body, secret), clock.now()))


# --- where payers are


def test_wallets_are_offered_in_yuan_and_presume_china(provider: Provider, till: Till) -> None:
    order = till.order()
    dollars = till.order()
    dollars.currency = "USD"

    assert [(means.choice, means.payer_place) for means in provider.offered(order, till.now)] == [
        ("", ""),
        ("alipay", "CN"),
        ("wechat_pay", "CN"),
    ]
    assert [means.choice for means in provider.offered(dollars, till.now)] == [""]


@pytest.mark.usefixtures("account")
def test_wallets_are_off_where_the_line_may_not_be_sold_to_china(till: Till) -> None:
    means = registry.means_for(till.order(), till.now)

    off = {one.choice for one in means if one.slug == "stripe" and one.contrary is not None}
    assert off == {"alipay", "wechat_pay"}


@pytest.mark.usefixtures("provider")
def test_wallet_that_is_off_cannot_be_started(account: ProviderAccount, till: Till) -> None:
    with pytest.raises(actions.MeansNotOffered):
        begin(account, till, "alipay")

    assert Payment.objects.count() == 0


def test_page_for_cards_shows_no_wallet(stripe_world: StripeWorld, payment: Payment) -> None:
    session = stripe_world.stripe.v1.checkout.sessions.retrieve(payment.provider_ref)

    assert session.payment_method_types == ["card"]
    assert session.amount_total == 1000
    assert session.client_reference_id == payment.code


def test_card_from_a_place_that_may_not_buy_is_refunded(
    stripe_world: StripeWorld, payment: Payment, till: Till
) -> None:
    tell(stripe_world.pay(payment, till.now, place="CN"), till)

    payment.refresh_from_db()
    assert payment.outcome == "refund"
    assert Period.objects.count() == 0
    assert_sound()


@pytest.mark.parametrize("wallet", ["alipay", "wechat_pay"])
def test_wallet_page_takes_the_wallet_alone(
    stripe_world: StripeWorld, provider: Provider, till: Till, wallet: str
) -> None:
    order = till.order()
    row = _row(order, till, choice=wallet)

    started = provider.start(row, order, URLS, till.now)

    session = stripe_world.stripe.v1.checkout.sessions.retrieve(started.provider_ref)
    assert session.payment_method_types == [wallet]
    row.pay_url, row.provider_ref = started.url, started.provider_ref
    stripe_world.choice = wallet
    said = [provider.verify(raw) for raw in stripe_world.pay(row, till.now)]
    assert [event.payer_place for (event,) in said if event.kind == "paid"] == ["CN"]


def _row(order: Order, till: Till, choice: str = "") -> Payment:
    """Return a payment that was begun and is not noted anywhere else yet."""
    return Payment.objects.create(
        order=order,
        provider="stripe",
        account=ProviderAccount.objects.get(),
        choice=choice,
        amount_minor=order.due_minor,
        currency=order.currency,
        created_at=till.now,
    )


# --- crashes, and Stripe away


def test_answer_that_never_came_is_found_by_the_same_key(
    stripe_world: StripeWorld, provider: Provider, account: ProviderAccount, till: Till
) -> None:
    order = till.order()
    stripe_world.sandbox.control("POST", "/stripe/trouble", cut=1)
    with pytest.raises(ProviderDown):
        actions.start(order=order, slug=account.slug, urls=URLS, now=till.now, actor=CUSTOMER)
    (row,) = Payment.objects.all()

    again = actions.start(order=order, slug=account.slug, urls=URLS, now=till.now, actor=CUSTOMER)

    (session,) = stripe_world.stripe.v1.checkout.sessions.list().data
    assert (again, again.provider_ref) == (row, session.id)
    assert provider.ask(again) == []


def test_payment_without_a_note_is_asked_about_by_its_code(
    stripe_world: StripeWorld, provider: Provider, payment: Payment, till: Till
) -> None:
    stripe_world.pay(payment, till.now)
    payment.provider_ref = ""

    (said,) = provider.ask(payment)

    assert (said.kind, said.payment, said.money) == ("paid", payment.code, Money(1000, "CNY"))


def test_shop_that_moved_finds_what_it_began(
    provider: Provider, payment: Payment, till: Till
) -> None:
    moved = type(URLS)(back="https://new.example/b", cancelled="https://new.example/c", events="")
    assert payment.order is not None

    again = provider.start(payment, payment.order, moved, till.now)

    assert (again.provider_ref, again.url) == (payment.provider_ref, payment.pay_url)


def test_slow_stripe_is_given_up_within_five_seconds(
    stripe_world: StripeWorld, account: ProviderAccount, till: Till
) -> None:
    stripe_world.sandbox.control("POST", "/stripe/trouble", slow_seconds=20)
    began = time.monotonic()

    with pytest.raises(ProviderDown):
        begin(account, till)

    assert time.monotonic() - began < 5


def test_refused_key_is_told_without_it(
    stripe_world: StripeWorld,
    till: Till,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk_test_4242secret4242tail"
    account = add(stripe_world.secrets | {"key": key}, till)

    with pytest.raises(ProviderDown) as down:
        begin(account, till)

    said = f"{down.value} {caplog.text} {capsys.readouterr()}"
    assert "AuthenticationError" in said
    assert key[-4:] not in said


def test_secrets_are_in_no_log(
    stripe_world: StripeWorld,
    payment: Payment,
    till: Till,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)

    tell(stripe_world.pay(payment, till.now), till)

    said = f"{caplog.text} {capsys.readouterr()}"
    assert stripe_world.secrets["key"] not in said
    assert stripe_world.secrets["webhook_secret"] not in said


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        ("live", {}),
        ("live", {"key": "rk_test_x"}),
        ("test", {"key": "sk_live_x"}),
        ("test", {"key": "pk_test_x"}),
        ("test", {"webhook_secret": "sk_test_x"}),
        ("live", {"key": "sk_live_x", "address": "http://127.0.0.1:8010/stripe"}),
        ("test", {"address": "http://192.0.2.1/stripe"}),
    ],
)
def test_key_of_the_other_mode_is_not_kept(
    stripe_world: StripeWorld, till: Till, mode: str, change: dict[str, str]
) -> None:
    with pytest.raises(accounts.ProviderWrong, match="begins with"):
        add(stripe_world.secrets | change, till, mode)

    assert ProviderAccount.objects.count() == 0


def test_live_account_calls_stripe_itself(stripe_world: StripeWorld, till: Till) -> None:
    secrets = {"key": "rk_live_x", "webhook_secret": "whsec_x"}

    account = add(secrets, till, "live")

    opened = registry.opened(account)
    assert opened._client()._requestor._options.base_addresses["api"] == "https://api.stripe.com"  # type: ignore[attr-defined]
    assert stripe_world.sandbox.sent() == []


# --- a debit, refunds, disputes, payouts


def test_debit_waits_and_settles_when_it_clears(
    stripe_world: StripeWorld, provider: Provider, till: Till
) -> None:
    order = till.order()
    order.currency = "EUR"
    row = _row(order, till)
    started = provider.start(row, order, URLS, till.now)
    row.pay_url, row.provider_ref = started.url, started.provider_ref
    waiting = [provider.verify(raw) for raw in stripe_world.pay(row, till.now, means="sepa_debit")]
    asked_early = provider.ask(row)

    stripe_world.sandbox.control("POST", "/stripe/clear", session=row.provider_ref)

    cleared = [provider.verify(raw) for raw in stripe_world.callbacks()]
    assert [event.kind for (event,) in waiting] == ["other", "other", "other", "look"]
    assert asked_early == []
    assert [event.kind for (event,) in cleared] == ["paid", "other", "other", "look"]
    assert [event.kind for event in provider.ask(row)] == ["paid"]


def test_debit_that_fails_fails_the_payment(
    stripe_world: StripeWorld, provider: Provider, till: Till
) -> None:
    order = till.order()
    order.currency = "EUR"
    row = _row(order, till)
    started = provider.start(row, order, URLS, till.now)
    row.pay_url, row.provider_ref = started.url, started.provider_ref
    stripe_world.pay(row, till.now, means="sepa_debit")

    stripe_world.sandbox.control("POST", "/stripe/clear", session=row.provider_ref, fails=True)

    failed = [provider.verify(raw) for raw in stripe_world.callbacks()]
    assert [event.kind for (event,) in failed] == ["other", "declined", "failed"]
    assert [event.kind for event in provider.ask(row)] == ["failed"]


def test_declined_card_is_told_and_another_one_pays(
    stripe_world: StripeWorld, provider: Provider, till: Till
) -> None:
    order = till.order()
    row = _row(order, till)
    started = provider.start(row, order, URLS, till.now)
    row.pay_url, row.provider_ref = started.url, started.provider_ref

    stripe_world.sandbox.act(row.pay_url, "decline", means="card", place="SE")

    told = [event for raw in stripe_world.callbacks() for event in provider.verify(raw)]
    declined = [event for event in told if event.kind == "declined"]
    assert [(event.payment, event.reason) for event in declined] == [(row.code, "card_declined")]
    assert {event.kind for event in told} == {"other", "declined"}
    assert [event.kind for event in provider.ask(row)] == ["declined"]
    stripe_world.pay(row, till.now)
    assert [event.kind for event in provider.ask(row)] == ["paid"]


def test_refund_is_made_once_and_followed(
    stripe_world: StripeWorld, provider: Provider, payment: Payment, till: Till
) -> None:
    tell(stripe_world.pay(payment, till.now), till)
    payment.refresh_from_db()
    refund = owed(payment, 400, till)
    stripe_world.sandbox.control("POST", "/stripe/trouble", pending_refunds=True, cut=0)

    first, again = provider.refund(refund), provider.refund(refund)
    stripe_world.sandbox.control("POST", "/stripe/refund", refund=first.reference)
    done = provider.refund(refund)

    assert (first.state, again, done.state) == ("pending", first, "paid")
    (made,) = stripe_world.stripe.v1.refunds.list().data
    assert (made.id, made.amount) == (done.reference, 400)
    told = [provider.verify(raw)[0] for raw in stripe_world.callbacks()]
    assert [(event.kind, event.refund) for event in told] == [
        ("other", refund.code),
        ("other", ""),
        ("refunded", refund.code),
    ]


def test_refund_that_stripe_refuses_is_told_why(
    stripe_world: StripeWorld, provider: Provider, payment: Payment, till: Till
) -> None:
    tell(stripe_world.pay(payment, till.now), till)
    payment.refresh_from_db()
    stripe_world.stripe.v1.refunds.create({"payment_intent": payment.transaction_id or ""})

    result = provider.refund(owed(payment, 400, till))

    assert (result.state, result.reason) == ("failed", "charge_already_refunded")


@pytest.mark.parametrize(("won", "kind"), [(True, "dispute-won"), (False, "dispute-lost")])
def test_dispute_is_told_by_its_name(
    stripe_world: StripeWorld,
    provider: Provider,
    payment: Payment,
    till: Till,
    won: bool,  # noqa: FBT001 -- a case of the table
    kind: str,
) -> None:
    tell(stripe_world.pay(payment, till.now), till)
    payment.refresh_from_db()
    intent = payment.transaction_id
    opened = stripe_world.sandbox.control("POST", "/stripe/dispute", payment_intent=intent)
    asked = [event.kind for event in provider.ask(payment)]

    stripe_world.sandbox.control("POST", "/stripe/decide", dispute=opened["dispute"], won=won)

    told = [provider.verify(raw)[0] for raw in stripe_world.callbacks()]
    kinds = [event.kind for event in told if event.kind != "other"]
    assert kinds == ["dispute-opened", "dispute-opened", kind]
    assert {
        (event.dispute, event.transaction_id, event.money) for event in told if event.dispute
    } == {(opened["dispute"], intent, Money(1000, "CNY"))}
    assert asked == ["paid", "dispute-opened"]


def test_question_of_a_bank_is_no_dispute(
    stripe_world: StripeWorld, provider: Provider, payment: Payment, till: Till
) -> None:
    intent = json.loads(stripe_world.pay(payment, till.now)[0].body)["data"]["object"]["id"]
    stripe_world.sandbox.control("POST", "/stripe/dispute", payment_intent=intent)
    dispute = json.loads(stripe_world.callbacks()[0].body)["data"]["object"]
    asked = dispute | {"status": "warning_needs_response"}

    (said,) = provider.verify(stripe_world.event("charge.dispute.created", asked))

    assert said.kind == "other"


def test_settlement_names_charge_refund_dispute_and_payout(
    stripe_world: StripeWorld, provider: Provider, account: ProviderAccount, till: Till
) -> None:
    paid = []
    for _number in range(3):
        begun = begin(account, till)
        tell(stripe_world.pay(begun, till.now), till)
        begun.refresh_from_db()
        paid.append(begun)
    refunded = provider.refund(owed(paid[0], 400, till))
    lost = stripe_world.sandbox.control(
        "POST", "/stripe/dispute", payment_intent=paid[1].transaction_id, amount=100
    )

    (payout,) = stripe_world.sandbox.control("POST", "/stripe/payout")["payouts"]

    rows = provider.settlements(till.now - timedelta(minutes=5))
    assert [
        (row.kind, row.reference, row.gross_minor, row.fee_minor, row.net_minor) for row in rows
    ] == [
        ("charge", paid[0].transaction_id, 1000, 59, 941),
        ("charge", paid[1].transaction_id, 1000, 59, 941),
        ("charge", paid[2].transaction_id, 1000, 59, 941),
        ("refund", refunded.reference, -400, 0, -400),
        ("dispute", lost["dispute"], -100, 1500, -1600),
        ("payout", payout, -823, 0, -823),
    ]
    assert {(row.payout, row.currency) for row in rows} == {(payout, "CNY")}
    assert sum(row.net_minor for row in rows) == 0
    assert provider.settlements(till.now + timedelta(minutes=5)) == []


# --- amounts


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        (Money(1000, "CNY"), 1000),
        (Money(500, "JPY"), 500),
        (Money(500, "ISK"), 50000),
        (Money(500, "UGX"), 50000),
        (Money(500, "MGA"), 5),
        (Money(5120, "KWD"), 5120),
    ],
)
def test_amount_is_counted_as_stripe_does_and_back(money: Money, amount: int) -> None:
    assert to_stripe(money) == amount
    assert from_stripe(amount, money.currency.lower()) == money


@pytest.mark.parametrize(
    "money", [Money(5125, "KWD"), Money(550, "MGA"), Money(0, "CNY"), Money(-5, "CNY")]
)
def test_amount_that_stripe_cannot_take_is_not_offered(
    provider: Provider, till: Till, money: Money
) -> None:
    order = till.order()
    order.amount_minor, order.currency, order.credit_minor = money.amount_minor, money.currency, 0

    with pytest.raises(NotByThisMeans):
        to_stripe(money)
    assert provider.offered(order, till.now) == []


def test_sdk_is_the_real_one() -> None:
    assert stripe.VERSION.split(".")[0] == "16"
