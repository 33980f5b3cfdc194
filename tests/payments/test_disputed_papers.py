"""Invoices and credit notes of what is disputed, recalled or refunded: they say what the books do.

Each story is told in a shop that charges tax. Then, order by order, the tax of its documents is
what its transfers moved, and no series has a gap.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from dearer import GB, held_by, open_dearer, order_pack, sell_packs, use
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.ledger.models import Transfer
from ferriage.orders import actions as orders
from ferriage.orders.models import Document, Order
from ferriage.payments import actions, disputes, recalls, refunding
from ferriage.payments.models import Dispute, Payment
from taxed import charge
from till import assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from counter import Counter as Shop

    Story = Callable[[Shop], list[int]]

DAY = timedelta(days=1)
TAX = "liabilities:tax:XD"


def say(shop: Shop, payment: Payment, word: str, minor: int = 1000) -> None:
    shop.say(f"dispute-{word}", payment, f"evt_{word}", dispute="dp_1", money=Money(minor, "CNY"))


def paid(shop: Shop, order: Order) -> Payment:
    payment = shop.begin(order)
    shop.tell(shop.world.pay(payment, shop.now))
    payment.refresh_from_db()
    assert payment.outcome == "settled"
    return payment


def recalled(shop: Shop, order: Order, minor: int = 1000) -> Dispute:
    return recalls.take_back(
        payment=Payment.objects.get(order=order),
        money=Money(minor, "CNY"),
        reference=f"REC-{order.pk}",
        from_account="assets:bank",
        now=shop.now,
        actor=OWNER,
    )


def lose(shop: Shop, dispute: Dispute) -> None:
    disputes.lose(dispute=dispute, now=shop.now, actor=OWNER)


# --- stories: each returns what its credit notes come to, in their order ------------------------


def recall_lost_after_a_week(shop: Shop) -> list[int]:
    dispute = recalled(shop, shop.till.sell())
    shop.till.now += 7 * DAY
    orders.recognise(now=shop.now)
    lose(shop, dispute)
    return [1000]


def recall_that_came_again(shop: Shop) -> list[int]:
    order = shop.till.sell()
    recalled(shop, order)
    shop.till.receive(Payment.objects.get(order=order).reference, 1000)
    return []


def recall_of_another_payment(shop: Shop) -> list[int]:
    wrong, right = shop.till.sell(), shop.till.sell()
    moved = recalls.move(
        dispute=recalled(shop, wrong),
        payment=Payment.objects.get(order=right),
        now=shop.now,
        actor=OWNER,
    )
    lose(shop, moved)
    return [1000]


def recall_of_a_part(shop: Shop) -> list[int]:
    lose(shop, recalled(shop, shop.till.sell(), 300))
    return []


def refund_that_waits_goes_by_the_dispute(shop: Shop) -> list[int]:
    payment = shop.sell()
    assert payment.order is not None
    shop.till.now += 10 * DAY
    shop.till.end(payment.order, shop.now)
    say(shop, payment, "lost")
    return [1000 - 1000 * 10 // 31, 1000 * 10 // 31]


def refunded_and_taken_back_too(shop: Shop) -> list[int]:
    payment = shop.sell()
    assert payment.order is not None
    shop.till.end(payment.order, shop.now)
    actions.queue_ended(order=payment.order, now=shop.now, actor=OWNER)
    refunding.send_due(now=shop.now, actor=OWNER)
    say(shop, payment, "lost")
    return [1000]


def top_up_that_came_back_from_an_order(shop: Shop) -> list[int]:
    account = shop.till.shop.account()
    payment = paid(shop, shop.till.order_topup(account, 1500))
    order = orders.pay_from_balance(
        order=shop.till.order(account=account), now=shop.now, actor=CUSTOMER
    )
    say(shop, payment, "opened", 1500)
    shop.till.end(order, shop.now)
    say(shop, payment, "lost", 1500)
    return [1000]


def top_up_that_is_spent(shop: Shop) -> list[int]:
    """What the money bought ends with it (0076)."""
    account = shop.till.shop.account()
    payment = paid(shop, shop.till.order_topup(account, 1500))
    orders.pay_from_balance(order=shop.till.order(account=account), now=shop.now, actor=CUSTOMER)
    say(shop, payment, "lost", 1500)
    return [1000]


def term_that_a_change_used(shop: Shop) -> list[int]:
    dearer = open_dearer(shop.till)
    payment = shop.sell()
    assert payment.order is not None
    shop.till.now += 10 * DAY
    dearer.pay(dearer.change(held_by(payment.order), 12))
    say(shop, payment, "lost")
    used = 1000 * 10 // 31
    return [1000 - used, used]


def pack_and_term_after_a_change(shop: Shop) -> list[int]:
    """What is left of the pack went to the balance (0061), and is taken from there.

    The term's data is used, so that nothing of it goes on (0063).
    """
    packs = sell_packs(shop.till)
    dearer = open_dearer(shop.till)
    term = shop.till.sell()
    payment = paid(shop, order_pack(shop.till, term, packs))
    use(held_by(term), 105 * GB, shop.now)
    orders.count_use(now=shop.now)
    dearer.pay(dearer.change(held_by(term), 12))
    say(shop, payment, "lost", 400)
    return [300, 100]


def place_that_is_lost(shop: Shop) -> list[int]:
    dearer = open_dearer(shop.till)
    payment = paid(shop, dearer.slot(shop.till.sell()))
    say(shop, payment, "lost", payment.amount_minor)
    return [payment.amount_minor]


STORIES: Final[list[Story]] = [
    recall_lost_after_a_week,
    recall_that_came_again,
    recall_of_another_payment,
    recall_of_a_part,
    refund_that_waits_goes_by_the_dispute,
    refunded_and_taken_back_too,
    top_up_that_came_back_from_an_order,
    top_up_that_is_spent,
    term_that_a_change_used,
    pack_and_term_after_a_change,
    place_that_is_lost,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_documents_are_what_the_books_moved(counter: Shop, story: Story) -> None:
    charge(counter.now)

    expected = story(counter)

    credits_ = Document.objects.filter(kind="credit").order_by("pk")
    assert list(credits_.values_list("gross_minor", flat=True)) == expected
    assert tax_written() == tax_posted()
    assert_no_gap()
    assert_sound()


def tax_written() -> Counter[tuple[str, str]]:
    """Return the tax of documents by their order: owed, and owed no more."""
    written: Counter[tuple[str, str]] = Counter()
    for paper in Document.objects.select_related("order"):
        written[paper.order.code, paper.kind] += paper.tax_minor
    return +written


def tax_posted() -> Counter[tuple[str, str]]:
    posted: Counter[tuple[str, str]] = Counter()
    for transfer in Transfer.objects.select_related("transaction", "debit", "credit"):
        if TAX in {transfer.debit.name, transfer.credit.name}:
            kind = "invoice" if transfer.credit.name == TAX else "credit"
            posted[transfer.transaction.source_code, kind] += transfer.amount_minor
    return posted


def assert_no_gap() -> None:
    for kind in ("invoice", "credit"):
        numbers = Document.objects.filter(kind=kind).order_by("pk").values_list("number", flat=True)
        assert list(numbers) == list(range(1, len(numbers) + 1))
