"""Payments that their payer takes back: held while it is open, reversed when it is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.ledger import queries as ledger
from ferriage.orders import actions as orders
from ferriage.orders import balance
from ferriage.orders.models import Document, Order
from ferriage.payments import accounts, actions, inbox, matching, queries, refunding
from ferriage.payments.models import Dispute, Payment
from ferriage.payments.providers.contract import Event
from ferriage.plans.queries import holds_of, subscription_end
from stand_in import StandIn
from taxed import charge
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from ferriage.plans.models import Subscription

ASSET = f"assets:{StandIn.slug}"
DAY = timedelta(days=1)


@pytest.fixture
def paid(counter: Counter) -> Payment:
    """A month that was sold, with a device on it."""
    payment = counter.sell()
    counter.till.shop.device(subscription(payment))
    return payment


def subscription(payment: Payment) -> Subscription:
    assert payment.order is not None
    payment.order.refresh_from_db()
    assert payment.order.subscription is not None
    return payment.order.subscription


def say(counter: Counter, payment: Payment, word: str, minor: int = 1000) -> None:
    counter.say(
        f"dispute-{word}",
        payment,
        f"evt_{word}",
        dispute="dp_1",
        money=Money(minor, "CNY"),
        reason="fraudulent",
    )


def held() -> tuple[bool, str]:
    device = Device.objects.get()
    return device.hold_at is not None, device.hold_reason


def test_open_dispute_holds_the_service_at_once_and_says_why(
    counter: Counter, paid: Payment
) -> None:
    say(counter, paid, "opened")

    device = Device.objects.get()
    assert (device.hold_at, device.hold_reason) == (counter.now, "staff")
    assert [hold.reason for hold in holds_of(subscription(paid))] == ["payment-disputed"]
    assert [one.reference for one in queries.worklist(counter.now).disputes] == ["dp_1"]
    assert books() == {ASSET: 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_dispute_that_is_won_lets_the_service_go_on(counter: Counter, paid: Payment) -> None:
    end = subscription_end(subscription(paid)).at
    say(counter, paid, "opened")
    counter.till.now += DAY

    say(counter, paid, "won")

    assert Device.objects.get().hold_at == end
    assert Dispute.objects.get().state == "won"
    assert books() == {ASSET: 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_dispute_that_is_lost_ends_the_term_and_reverses_what_was_earned(
    counter: Counter, paid: Payment
) -> None:
    say(counter, paid, "opened")
    counter.till.now += 10 * DAY
    orders.recognise(now=counter.now)
    assert books()["income:ferry"] == 1000 * 10 // 31

    say(counter, paid, "lost")
    orders.recognise(now=counter.now + 60 * DAY)

    assert books() == {}
    assert subscription_end(subscription(paid)).is_over(counter.now)
    assert Device.objects.get().hold_at <= counter.now
    assert queries.worklist(counter.now).disputes == []
    assert_sound()


def test_what_was_ordered_beside_is_cancelled_with_a_term_that_was_taken_back(
    counter: Counter, paid: Payment
) -> None:
    assert paid.order is not None
    renewal = counter.till.order(account=paid.order.account)

    say(counter, paid, "opened")
    renewal.refresh_from_db()
    waited = renewal.state
    say(counter, paid, "lost")

    renewal.refresh_from_db()
    assert (waited, renewal.state) == ("open", "cancelled")


@pytest.mark.parametrize(("spent", "lost"), [(0, 0), (400, 400), (1000, 1000)])
def test_top_up_that_is_lost_gives_up_what_is_left_of_it(
    counter: Counter, spent: int, lost: int
) -> None:
    payment = counter.late()
    order = Order.objects.create(
        account=counter.till.shop.account(),
        kind="topup",
        term_months=0,
        list_minor=1000,
        amount_minor=1000,
        currency="CNY",
        place="XD",
        state="fulfilled",
        created_at=counter.now,
        expires_at=counter.now,
        fulfilled_at=counter.now,
    )
    assert order.account is not None
    account, now = order.account, counter.now
    actions.credit_unallocated(payment=payment, account=account, now=now, actor=OWNER)
    Payment.objects.filter(pk=payment.pk).update(order=order, outcome="settled")
    if spent:
        money = Money(spent, "CNY")
        balance.spend(
            account=account,
            money=money,
            source_code="x",
            kind="x",
            against="liabilities:refunds",
            now=now,
        )

    say(counter, payment, "lost")

    assert balance.balance(account, "CNY") == 0
    assert books() == {
        name: minor
        for name, minor in {"expenses:disputes": lost, "liabilities:refunds": spent}.items()
        if minor
    }


@pytest.mark.parametrize("words", [["lost"], ["lost", "opened"], ["opened", "lost", "won"]])
def test_words_out_of_order_come_to_the_first_end(
    counter: Counter, paid: Payment, words: list[str]
) -> None:
    for word in words:
        say(counter, paid, word)

    assert Dispute.objects.get().state == "lost"
    assert holds_of(subscription(paid)) == []
    assert books() == {}
    assert_sound()


@pytest.mark.parametrize(("mode", "heard"), [("test", False), ("live", True)])
def test_account_that_is_tried_out_says_nothing_of_real_money(
    counter: Counter, paid: Payment, mode: str, *, heard: bool
) -> None:
    other = accounts.add_provider(
        slug=StandIn.slug,
        label="Another",
        mode=mode,
        secrets=counter.world.secrets,
        now=counter.now,
        actor=OWNER,
    )
    said = Event(
        event_id="evt_other",
        kind="dispute-lost",
        transaction_id=paid.transaction_id or "",
        money=Money(paid.amount_minor, paid.currency),
        dispute="dp_other",
    )

    for event in inbox.keep_said(other, [said], counter.now):
        matching.handle(event=event, now=counter.now)

    assert Dispute.objects.filter(payment=paid, state="lost").exists() is heard


def test_renewal_of_a_term_that_is_taken_back_stays(counter: Counter, paid: Payment) -> None:
    order = paid.order
    assert order is not None
    assert order.account is not None
    renewal = counter.begin(counter.till.order(account=order.account))
    counter.tell(counter.world.pay(renewal, counter.now))
    end = subscription_end(subscription(paid)).at

    say(counter, paid, "lost")

    assert subscription_end(subscription(paid)).at == end
    assert books() == {ASSET: 1000, "liabilities:unearned": 1000}
    assert_sound()


def test_part_of_a_price_that_is_taken_back_is_a_loss_and_the_term_goes_on(
    counter: Counter, paid: Payment
) -> None:
    end = subscription_end(subscription(paid)).at

    say(counter, paid, "lost", minor=300)

    assert books() == {ASSET: 700, "expenses:disputes": 300, "liabilities:unearned": 1000}
    assert Device.objects.get().hold_at == end
    assert_sound()


@pytest.mark.parametrize("word", ["opened", "lost"])
def test_dispute_in_another_currency_is_of_the_whole_payment(
    counter: Counter, paid: Payment, word: str
) -> None:
    """Which part of ours that is nobody knows; what was told stands on staff's page."""
    counter.say(
        f"dispute-{word}",
        paid,
        "evt_usd",
        dispute="dp_1",
        money=Money(700, "USD"),
        reason="fraudulent",
    )

    dispute = Dispute.objects.get()
    assert (dispute.amount_minor, dispute.currency) == (1000, "CNY")
    assert dispute.reason == "7.00 USD fraudulent"
    assert [(row.name, row.currency) for row in ledger.trial_balance() if row.balance_minor] == (
        [(ASSET, "CNY"), ("liabilities:unearned", "CNY")] if word == "opened" else []
    )
    assert_sound()


def test_top_up_that_is_disputed_in_another_currency_is_held(counter: Counter) -> None:
    account = counter.till.shop.account()
    payment = counter.begin(counter.till.order_topup(account, 5000))
    counter.tell(counter.world.pay(payment, counter.now))

    money = Money(700, "USD")
    counter.say("dispute-opened", payment, "evt_usd_1", dispute="dp_1", money=money)
    free = balance.available(account, "CNY")
    counter.say("dispute-lost", payment, "evt_usd_2", dispute="dp_1", money=money)

    assert (free, balance.balance(account, "CNY")) == (0, 0)
    assert_sound()


def test_what_is_owed_back_goes_by_the_dispute(counter: Counter, paid: Payment) -> None:
    assert paid.order is not None
    counter.till.end(paid.order, counter.now)

    say(counter, paid, "lost")

    assert books() == {}
    assert_sound()


def test_what_was_refunded_before_is_a_loss_when_it_is_taken_back_too(
    counter: Counter, paid: Payment
) -> None:
    assert paid.order is not None
    counter.till.end(paid.order, counter.now)
    actions.queue_ended(order=paid.order, now=counter.now, actor=OWNER)
    refunding.send_due(now=counter.now, actor=OWNER)

    say(counter, paid, "lost")

    # The provider takes it from what it is to pay out next: it may hold less than nothing.
    assert books() == {"expenses:disputes": 1000, ASSET: -1000}
    assert_sound()


def test_money_that_waited_is_nobodys_after_it_is_taken_back(counter: Counter) -> None:
    payment = counter.late()

    say(counter, payment, "lost")

    payment.refresh_from_db()
    assert payment.outcome == "charged-back"
    assert books() == {}
    assert queries.worklist(counter.now).unallocated == []
    assert_sound()


def test_money_that_was_credited_is_taken_from_the_balance(counter: Counter) -> None:
    payment = counter.late()
    assert payment.order is not None
    account = payment.order.account
    assert account is not None
    actions.credit_unallocated(payment=payment, account=account, now=counter.now, actor=OWNER)

    say(counter, payment, "lost")

    assert balance.balance(account, "CNY") == 0
    assert books() == {}
    assert_sound()


def test_money_that_is_disputed_is_given_to_nobody_until_that_is_over(counter: Counter) -> None:
    payment = counter.late()
    order = counter.till.order()
    assert order.account is not None
    how: dict[str, Any] = {"payment": payment, "now": counter.now, "actor": OWNER}
    say(counter, payment, "opened")

    with pytest.raises(actions.NotAssignable):
        actions.credit_unallocated(account=order.account, **how)
    with pytest.raises(actions.NotAssignable):
        actions.assign_unallocated(order=order, **how)
    say(counter, payment, "won")
    actions.assign_unallocated(order=order, **how)

    order.refresh_from_db()
    assert order.state == "fulfilled"
    assert_sound()


def test_lost_dispute_writes_the_credit_note_of_the_invoice(counter: Counter) -> None:
    charge(counter.now)
    payment = counter.sell()
    counter.till.now += DAY

    say(counter, payment, "lost")

    papers = Document.objects.order_by("pk").values_list("kind", "gross_minor", "tax_minor")
    assert list(papers) == [("invoice", 1000, 160), ("credit", 1000, 160)]
    assert books() == {}
    assert_sound()


def test_lost_dispute_takes_nothing_that_went_to_the_balance_before(counter: Counter) -> None:
    account = counter.till.shop.account()
    counter.till.top_up(account, 500)
    order = counter.till.order(account=account)
    orders.pay_from_balance(order=order, minor=500, now=counter.now, actor=CUSTOMER)
    payment = counter.begin(Order.objects.get(pk=order.pk))
    counter.tell(counter.world.pay(payment, counter.now))
    counter.till.end(order, counter.now)

    say(counter, payment, "lost", minor=500)

    # What was owed back to the payment went back by the dispute; the balance keeps its own.
    assert books() == {"assets:bank": 500, "liabilities:credits": 500}
    assert_sound()


def test_lost_dispute_of_a_gift_is_a_loss_and_its_code_stays_good(counter: Counter) -> None:
    order = orders.place(
        account=counter.till.shop.account(),
        price=counter.till.shop.prices[1],
        place="XD",
        kind="gift",
        now=counter.now,
        expires_at=counter.now + DAY,
        actor=CUSTOMER,
    )
    payment = counter.begin(order)
    counter.tell(counter.world.pay(payment, counter.now))

    say(counter, payment, "lost")

    assert books() == {"expenses:disputes": 1000, "liabilities:vouchers": 1000}
    assert_sound()
