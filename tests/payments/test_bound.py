"""No more of a payment goes back than came: refunds and what its payer took back, together."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, transaction
from test_gifts import order_code, reveal

from dearer import held_by, open_dearer
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions as orders
from ferriage.orders import balance, refunds
from ferriage.orders.actions.refunds import refund_on_request, withdraw
from ferriage.orders.models import Document, Order
from ferriage.orders.refunds import Rules
from ferriage.payments import actions, bounced, bounds, queries, refunding, topups
from ferriage.payments.models import Dispute, Payment, Refund
from ferriage.payments.providers.contract import RefundResult
from ferriage.plans.queries import subscription_end
from stand_in import StandIn
from taxed import charge
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from counter import Counter
    from till import Till

ASSET = f"assets:{StandIn.slug}"
DAY = timedelta(days=1)
RULES = Rules()


def lose(counter: Counter, payment: Payment, minor: int, name: str = "dp_1") -> None:
    counter.say(
        "dispute-lost", payment, f"evt_{name}", dispute=name, money=Money(minor, payment.currency)
    )


def sold(payment: Payment) -> Order:
    assert payment.order is not None
    payment.order.refresh_from_db()
    return payment.order


def pay_back(counter: Counter, order: Order) -> None:
    """Let what is owed for an order that ended go back, as the worker does it."""
    actions.queue_ended(order=order, now=counter.now, actor=OWNER)
    refunding.send_due(now=counter.now, actor=OWNER)


def sent_and_lost(counter: Counter, minor: int) -> tuple[Order, Refund]:
    """Let a whole refund be on its way while its payer takes money back."""
    payment = counter.sell()
    order = counter.till.end(sold(payment), counter.now)
    refund = actions.queue_ended(order=order, now=counter.now, actor=OWNER)
    assert refund is not None
    Refund.objects.filter(pk=refund.pk).update(state="sent", asked=1)
    lose(counter, payment, minor)
    refund.refresh_from_db()
    return order, refund


def fail(counter: Counter, refund: Refund) -> None:
    result = RefundResult("failed", "", "charge_disputed")
    refunding.note(refund=refund, result=result, now=counter.now, actor=OWNER)


def test_withdrawal_owes_what_the_payer_did_not_take_back(counter: Counter) -> None:
    payment = counter.sell()
    lose(counter, payment, 999)
    order = sold(payment)
    assert order.subscription is not None

    withdrawal = withdraw(
        subscription=order.subscription, rules=RULES, now=counter.now, actor=CUSTOMER
    )
    pay_back(counter, order)

    assert [line["owed_minor"] for line in withdrawal.lines] == [1]
    assert [(one.amount_minor, one.state) for one in Refund.objects.all()] == [(1, "paid")]
    assert books() == {}
    assert_sound()


def test_quote_is_what_the_payer_did_not_take_back(counter: Counter) -> None:
    payment = counter.sell()
    lose(counter, payment, 600)
    held = held_by(sold(payment))
    decide = refunds.by_rules(held, RULES, now=counter.now)

    quoted = refunds.quote(held, at=counter.now, decide=decide).owed
    refund_on_request(
        subscription=held,
        at=counter.now,
        quoted=quoted,
        rules=RULES,
        now=counter.now,
        actor=CUSTOMER,
    )

    assert quoted == (Money(400, "CNY"),)
    assert books() == {ASSET: 400, "liabilities:refunds": 400}
    assert_sound()


@pytest.mark.parametrize(
    ("day", "owed", "loss"), [(0, 400, 0), (10, 78, 0), (20, 0, 245), (31, 0, 600)]
)
def test_lost_part_is_a_loss_as_far_as_it_was_used(
    counter: Counter, day: int, owed: int, loss: int
) -> None:
    """Of 1000 the payer took 600: whoever used 400 of it is owed nothing more."""
    payment = counter.sell()
    lose(counter, payment, 600)
    counter.till.now += day * DAY
    orders.recognise(now=counter.now)
    if day < 31:
        counter.till.end(sold(payment), counter.now)

    earned = 1000 * day // 31
    assert sold(payment).refund_due_minor == owed
    assert books() == {
        name: minor
        for name, minor in {
            ASSET: 400,
            "expenses:disputes": loss,
            "liabilities:refunds": owed,
            "income:ferry": earned,
        }.items()
        if minor
    }
    assert_sound()


def test_end_that_is_moved_to_an_earlier_day_owes_only_the_rest(counter: Counter) -> None:
    payment = counter.sell()
    lose(counter, payment, 600)
    counter.till.end(sold(payment), counter.now + 20 * DAY)
    later = books()
    counter.till.end(sold(payment), counter.now)

    assert later == {ASSET: 400, "expenses:disputes": 245, "liabilities:unearned": 645}
    assert books() == {ASSET: 400, "liabilities:refunds": 400}
    assert_sound()


def test_change_of_plan_counts_on_what_the_payer_did_not_take_back(counter: Counter) -> None:
    dearer = open_dearer(counter.till)
    payment = counter.sell(12)
    whole = sold(payment).amount_minor
    lose(counter, payment, whole - 1)

    change = dearer.change(held_by(sold(payment)), price=dearer.prices[1])

    assert (change.state, change.value_minor) == ("open", 1)
    account = sold(payment).account
    assert account is not None
    assert balance.available(account, "CNY") == 0
    assert_sound()


def test_halves_that_are_both_lost_end_the_term(counter: Counter) -> None:
    payment = counter.sell()
    counter.till.now += 10 * DAY
    orders.recognise(now=counter.now)

    lose(counter, payment, 500)
    first = (sold(payment).lost_minor, sold(payment).cut_at, books())
    lose(counter, payment, 500, "dp_2")
    orders.recognise(now=counter.now + 60 * DAY)

    assert first == (
        500,
        None,
        {
            ASSET: 500,
            "expenses:disputes": 500,
            "income:ferry": 322,
            "liabilities:unearned": 678,
        },
    )
    assert (sold(payment).lost_minor, sold(payment).charged_back_minor) == (0, 1000)
    assert subscription_end(held_by(sold(payment))).is_over(counter.now)
    assert books() == {}
    assert_sound()


def test_halves_leave_what_the_balance_paid(counter: Counter) -> None:
    account = counter.till.shop.account()
    counter.till.top_up(account, 400)
    order = counter.till.order(account=account)
    orders.pay_from_balance(order=order, minor=400, now=counter.now, actor=CUSTOMER)
    payment = counter.begin(Order.objects.get(pk=order.pk))
    counter.tell(counter.world.pay(payment, counter.now))

    lose(counter, payment, 300)
    lose(counter, payment, 300, "dp_2")

    assert books() == {"assets:bank": 400, "income:ferry": 400}
    assert_sound()


def test_part_that_the_balance_paid_goes_back_to_it(counter: Counter) -> None:
    account = counter.till.shop.account()
    counter.till.top_up(account, 400)
    order = counter.till.order(account=account)
    orders.pay_from_balance(order=order, minor=400, now=counter.now, actor=CUSTOMER)
    payment = counter.begin(Order.objects.get(pk=order.pk))
    counter.tell(counter.world.pay(payment, counter.now))

    lose(counter, payment, 500)
    counter.till.end(order, counter.now)

    order.refresh_from_db()
    assert (order.refund_due_minor, balance.balance(account, "CNY")) == (100, 400)
    assert_sound()


def test_documents_of_a_term_that_halves_ended_come_to_its_invoice(counter: Counter) -> None:
    charge(counter.now)
    payment = counter.sell()

    lose(counter, payment, 500)
    written = Document.objects.count()
    lose(counter, payment, 500, "dp_2")

    papers = Document.objects.order_by("pk").values_list("kind", "gross_minor", "tax_minor")
    assert written == 1
    assert list(papers) == [("invoice", 1000, 160), ("credit", 1000, 160)]
    assert books() == {}
    assert_sound()


@pytest.mark.parametrize(
    ("minor", "left"),
    [(1000, [(1000, "paid")]), (600, [(600, "paid"), (400, "by_hand")])],
)
def test_refund_that_fails_after_the_loss_is_what_is_left(
    counter: Counter, minor: int, left: list[tuple[int, str]]
) -> None:
    _order, refund = sent_and_lost(counter, minor)
    before = books()

    fail(counter, refund)

    rest = 1000 - minor
    assert before["expenses:disputes"] == minor
    assert list(Refund.objects.order_by("pk").values_list("amount_minor", "state")) == left
    assert books() == ({ASSET: rest, "liabilities:refunds": rest} if rest else {})
    assert_sound()


def test_refund_that_arrived_in_spite_of_the_loss_is_what_it_was(counter: Counter) -> None:
    order, refund = sent_and_lost(counter, 1000)

    result = RefundResult("paid", "re_1", "")
    refunding.note(refund=refund, result=result, now=counter.now, actor=OWNER)

    assert books() == {ASSET: -1000, "expenses:disputes": 1000}
    assert actions.queue_ended(order=order, now=counter.now, actor=OWNER) is None
    assert_sound()


def test_refund_that_came_back_after_the_loss_is_not_sent_again(counter: Counter) -> None:
    payment = counter.sell()
    order = counter.till.end(sold(payment), counter.now)
    pay_back(counter, order)
    lose(counter, payment, 1000)
    refund = Refund.objects.get()

    bounced.bounce_refund(refund=refund, into=ASSET, now=counter.now, actor=OWNER)
    refunding.send_due(now=counter.now, actor=OWNER)

    refund.refresh_from_db()
    assert (refund.state, refund.dispute) == ("paid", Dispute.objects.get())
    assert books() == {}
    assert_sound()


def test_top_up_sends_back_what_the_payer_did_not_take(counter: Counter) -> None:
    """What an open order was to be paid with is lost, too, so of 1000 only 200 are anybody's."""
    account = counter.till.shop.account()
    payment = counter.begin(counter.till.order_topup(account, 1000))
    counter.tell(counter.world.pay(payment, counter.now))
    order = counter.till.order(account=account)
    orders.pay_from_balance(order=order, minor=500, now=counter.now, actor=CUSTOMER)
    lose(counter, payment, 800)
    orders.cancel(order=order, now=counter.now, actor=CUSTOMER)

    refund = topups.return_topup(order=sold(payment), now=counter.now, actor=CUSTOMER)
    with pytest.raises(topups.NothingToReturn):
        topups.return_topup(order=sold(payment), now=counter.now, actor=CUSTOMER)

    assert refund.amount_minor == 200
    assert balance.balance(account, "CNY") == 0
    assert books() == {ASSET: 200, "liabilities:refunds": 200}
    assert_sound()


@pytest.mark.parametrize("paid_by", ["card", "balance"])
def test_term_of_a_gift_whose_payer_took_the_money_back_goes_on_and_owes_nothing(
    counter: Counter, paid_by: str
) -> None:
    giver = counter.till.shop.account()
    gift = order_code(counter.till, giver)
    bought = counter.till.order_topup(giver, 1000) if paid_by == "balance" else gift
    payment = counter.begin(bought)
    counter.tell(counter.world.pay(payment, counter.now))
    if paid_by == "balance":
        gift = orders.pay_from_balance(order=gift, now=counter.now, actor=CUSTOMER)
    order = counter.till.order()
    counter.till.redeem(order, reveal(counter.till, gift))
    payment.refresh_from_db()

    counter.say("dispute-opened", payment, "evt_dp_1_o", dispute="dp_1", money=Money(1000, "CNY"))
    lose(counter, payment, 1000)
    order.refresh_from_db()
    noted = (order.lost_minor, order.cut_at, books()["expenses:disputes"])
    counter.till.end(order, counter.now)

    order.refresh_from_db()
    assert noted == (1000, None, 1000)
    assert order.refund_due_minor == 0
    assert actions.queue_ended(order=order, now=counter.now, actor=OWNER) is None
    assert books() == {}
    assert_sound()


# --- the last line ----------------------------------------------------------------------------


def owed(till: Till, payment: Payment, minor: int) -> Refund:
    return Refund.objects.create(
        kind="ended",
        payment=payment,
        amount_minor=minor,
        currency="CNY",
        reason="x",
        created_at=till.now,
    )


def test_database_queues_no_more_than_is_left(till: Till) -> None:
    payment = Payment.objects.get(order=till.sell())
    owed(till, payment, 600)

    with pytest.raises(IntegrityError, match="no more goes back"), transaction.atomic():
        owed(till, payment, 401)

    owed(till, payment, 400)
    assert bounds.left_of(payment) == 0


@pytest.mark.parametrize("state", ["sent", "paid"])
def test_database_lets_no_more_go_than_is_left(till: Till, state: str) -> None:
    payment = Payment.objects.get(order=till.sell())
    refund = owed(till, payment, 600)
    dispute = Dispute.objects.create(
        payment=payment,
        reference="L1",
        amount_minor=401,
        currency="CNY",
        opened_at=till.now,
        closed_at=till.now,
        state="lost",
    )

    with pytest.raises(IntegrityError, match="no more goes back"), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).update(state=state)
    with pytest.raises(bounds.MoreThanCame):
        actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=OWNER)
    wrong = [one.account for one in queries.check() if one.account == payment.code]
    Refund.objects.filter(pk=refund.pk).update(state=state, dispute=dispute)

    assert wrong == [payment.code]
