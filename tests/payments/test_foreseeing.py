"""The preview of a statement says what posting it then does, line by line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions as orders
from ferriage.payments import actions
from ferriage.payments.models import BankAccount, Refund, StatementLine
from ferriage.payments.providers.bank import booking, files, queries
from ferriage.payments.providers.voucher import resellers
from ferriage.plans import actions as plans
from shop import PRICES
from statement_files import FEE, IBAN, RENT, Entry, camt
from till import assert_sound
from yard import ISSUED, OWNER

if TYPE_CHECKING:
    from ferriage.accounts.models import Account
    from ferriage.orders.models import Order
    from ferriage.plans.models import Price
    from till import Till

PRICE = 1000
HERE = ""
ABROAD = "SE4550000000058398257466"
SAME = {
    "settles": "settled",
    "refused": "refund",
    "other-amount": "unallocated",
    "not-open": "unallocated",
    "sent-back": "refund-paid",
    "recall": "recalled",
    "waits": "",
}
"""What a line comes to where that has another name than what was foreseen."""


def shorten(till: Till, last_day: date) -> None:
    """Let another approval take the place of those that the shop has."""
    for approval in Approval.objects.all():
        fleet.revoke_approval(approval=approval, now=till.now, actor=OWNER)
    till.shop.yard.approve(till.shop.line, replace(ISSUED, valid_to=last_day))
    fleet.refresh_permits(now=till.now, actor=OWNER)


def dearer_plan(till: Till) -> Price:
    """Return the price of another plan of the service."""
    return plans.set_price(
        plan=till.shop.add_plan("Ten devices", till.shop.line),
        term_months=1,
        money=Money(2 * PRICE, "CNY"),
        now=till.now,
        actor=OWNER,
    )


@pytest.fixture
def account(till: Till) -> BankAccount:
    return files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )


def asked(till: Till, months: int = 1, *, account: Account | None = None) -> tuple[Order, str]:
    order = till.order(months, account=account)
    reference = till.transfer(order).reference
    assert reference is not None
    return order, reference


def post(
    till: Till, account: BankAccount, *entries: Entry, number: str = "1", presumed: str = ""
) -> list[tuple[str, str]]:
    """Return what was foreseen of each line, with the reason; and that it came so."""
    data = camt(list(entries), currency="CNY", version="08", number=number)
    file = files.upload(account=account, name="m.xml", data=data, now=till.now, actor=OWNER)
    before = StatementLine.objects.count()
    previews = queries.preview(file, presumed_place=presumed, now=till.now)
    booking.post_file(file=file, presumed_place=presumed, now=till.now, actor=OWNER)
    told = [(line.expected, line.why) for line in previews[0].lines]
    new = [word for word, _why in told if word != "known"]
    assert [SAME.get(word, word) for word in new] == came(before)
    assert_sound()
    return told


def came(before: int) -> list[str]:
    """Return what the lines after the first so many came to."""
    rows = StatementLine.objects.order_by("pk")[before:]
    return [row.outcome for row in rows]


def test_money_from_where_this_is_not_sold_is_foreseen_to_go_back(
    till: Till, account: BankAccount
) -> None:
    _order, reference = asked(till)

    told = post(till, account, Entry(minor=PRICE, text=reference, payer_iban=ABROAD))

    assert told == [("refused", "place-contradicted")]


@pytest.mark.parametrize("presumed", ["SE", "CN"])
def test_presumed_place_counts_where_the_file_says_none(
    till: Till, account: BankAccount, presumed: str
) -> None:
    _order, reference = asked(till)

    told = post(
        till, account, Entry(minor=PRICE, text=reference, payer_iban=HERE), presumed=presumed
    )

    assert told == [("refused", "place-contradicted")]


def test_place_that_was_shown_outweighs_the_payers_bank(till: Till, account: BankAccount) -> None:
    order, reference = asked(till)
    for kind in ("residence_paper", "local_bill"):
        orders.note_shown(order=order, kind=kind, now=till.now, actor=OWNER)

    told = post(till, account, Entry(minor=PRICE, text=reference, payer_iban=ABROAD))

    assert told == [("settles", "")]


def test_top_up_from_where_nothing_is_sold_is_foreseen_to_go_back(
    till: Till, account: BankAccount
) -> None:
    orders_of = [till.order_topup(till.shop.account(), 700) for _number in range(2)]
    references = [till.transfer(order).reference for order in orders_of]

    told = post(
        till,
        account,
        Entry(minor=700, text=f"{references[0]}", payer_iban=ABROAD, reference="1"),
        Entry(minor=700, text=f"{references[1]}", payer_iban=HERE, reference="2"),
    )

    assert told == [("refused", "place-contradicted"), ("settles", "")]


def test_orders_that_are_over_and_other_amounts(till: Till, account: BankAccount) -> None:
    (over, cancelled), (_order, other) = asked(till), asked(till)
    orders.cancel(order=over, now=till.now, actor=CUSTOMER)

    told = post(
        till,
        account,
        Entry(minor=PRICE, text=cancelled, reference="1"),
        Entry(minor=PRICE - 1, text=cancelled, reference="2"),
        Entry(minor=PRICE + 1, text=other, reference="3"),
        Entry(minor=PRICE, text="hello", reference="4"),
        FEE,
        RENT,
    )

    assert told == [
        ("refused", "order-cancelled"),
        ("not-open", ""),
        ("other-amount", ""),
        ("unallocated", ""),
        ("fee", ""),
        ("waits", ""),
    ]


def test_order_that_ran_out_before_the_worker_saw_it(till: Till, account: BankAccount) -> None:
    order, reference = asked(till)
    till.now = order.expires_at

    told = post(till, account, Entry(minor=PRICE, text=reference, payer_iban=HERE))

    assert told == [("refused", "order-expired")]


def test_term_that_outlives_a_shortened_approval_is_foreseen_to_go_back(
    till: Till, account: BankAccount
) -> None:
    (_half, six), (_month, one) = asked(till, 6), asked(till)
    shorten(till, date(2026, 4, 30))

    told = post(
        till,
        account,
        Entry(minor=PRICES[6], text=six, reference="1", payer_iban=HERE),
        Entry(minor=PRICE, text=one, reference="2", payer_iban=HERE),
    )

    assert told == [("refused", "term-outlives-approval"), ("settles", "")]


def test_renewal_is_foreseen_to_outlive_what_a_first_term_would_not(
    till: Till, account: BankAccount
) -> None:
    holder = till.sell().account
    (_renewal, renewal), (_first, first) = asked(till, account=holder), asked(till)
    shorten(till, date(2026, 4, 10))

    told = post(
        till,
        account,
        Entry(minor=PRICE, text=renewal, reference="1", payer_iban=HERE),
        Entry(minor=PRICE, text=first, reference="2", payer_iban=HERE),
    )

    assert told == [("refused", "term-outlives-approval"), ("settles", "")]


def test_plan_that_another_one_overtook_is_foreseen_to_go_back(
    till: Till, account: BankAccount
) -> None:
    customer = till.shop.account()
    dear = dearer_plan(till)
    order = orders.place(
        account=customer,
        price=dear,
        place="XD",
        now=till.now,
        expires_at=till.now + timedelta(days=3),
        actor=CUSTOMER,
    )
    reference = till.transfer(order).reference
    beside = orders.place(
        account=customer,
        price=dear,
        place="XD",
        beside=True,
        now=till.now,
        expires_at=till.now + timedelta(days=3),
        actor=CUSTOMER,
    )
    till.sell(account=customer)

    told = post(
        till,
        account,
        Entry(minor=dear.amount_minor, text=f"{reference}", reference="1", payer_iban=HERE),
        Entry(
            minor=dear.amount_minor,
            text=f"{till.transfer(beside).reference}",
            reference="2",
            payer_iban=HERE,
        ),
    )

    assert told == [("refused", "other-plan-held"), ("settles", "")]


def test_second_line_of_a_reference_goes_back(till: Till, account: BankAccount) -> None:
    _order, reference = asked(till)
    paid = [
        Entry(minor=PRICE, text=reference, reference=number, payer_iban=iban)
        for number, iban in (("1", ABROAD), ("2", HERE), ("3", HERE))
    ]

    told = post(till, account, *paid)

    assert told == [
        ("refused", "place-contradicted"),
        ("settles", ""),
        ("refused", "order-fulfilled"),
    ]


def test_lines_that_take_money_back_and_bring_it_again(till: Till, account: BankAccount) -> None:
    (over, waiting), (_order, settled) = asked(till), asked(till)
    orders.cancel(order=over, now=till.now, actor=CUSTOMER)

    told = post(
        till,
        account,
        Entry(minor=PRICE, text=waiting, reference="1", payer_iban=HERE),
        Entry(minor=-PRICE, text=waiting, reference="2", reversal=True),
        Entry(minor=PRICE, text=settled, reference="3", payer_iban=HERE),
        Entry(minor=-PRICE, text=settled, reference="4", reversal=True),
        Entry(minor=-PRICE, text="nobody", reference="5", reversal=True),
    )
    again = post(
        till,
        account,
        Entry(minor=PRICE, text=settled, reference="6", payer_iban=HERE),
        number="2",
    )

    assert [word for word, _why in told] == ["refused", "sent-back", "settles", "recall", "waits"]
    assert again == [("returned", "")]


def test_refund_of_money_that_was_refused_is_foreseen_when_its_bank_takes_it_back(
    till: Till, account: BankAccount
) -> None:
    order, reference = asked(till)
    orders.cancel(order=order, now=till.now, actor=CUSTOMER)
    till.receive(reference, PRICE)

    told = post(till, account, Entry(minor=-PRICE, text=reference, reference="2", reversal=True))

    assert told == [("sent-back", "")]
    assert Refund.objects.get().state == "paid"


def test_what_staff_typed_and_what_resellers_owe(till: Till, account: BankAccount) -> None:
    kiosk = resellers.add_reseller(
        slug="kiosk", name="Kiosk", currency="CNY", now=till.now, actor=OWNER
    )
    actions.issue_vouchers(
        name="Shelf",
        plan=till.shop.plan,
        term_months=1,
        money=Money(PRICE, "CNY"),
        count=3,
        kind="sold",
        paid_per_code=Money(PRICE, "CNY"),
        reseller=kiosk,
        now=till.now,
        actor=OWNER,
    )
    till.receive("hello", PRICE, number="AB1")

    told = post(
        till,
        account,
        Entry(minor=PRICE, text="hello", reference="ab 1"),
        Entry(minor=2000, text=kiosk.reference, reference="1"),
        Entry(minor=2000, text=kiosk.reference, reference="2"),
    )

    assert [word for word, _why in told] == ["duplicate", "reseller", "unallocated"]


def test_preview_asks_as_often_for_ten_lines_as_for_one(till: Till, account: BankAccount) -> None:
    references = [asked(till, account=till.sell().account)[1] for _number in range(10)]
    counts = []
    for number in (1, 10):
        paid = [
            Entry(minor=PRICE, text=reference, payer_iban=iban)
            for reference, iban in zip(references[:number], [ABROAD, HERE] * 5, strict=False)
        ]
        data = camt(paid, currency="CNY", version="08")
        file = files.upload(account=account, name="m", data=data, now=till.now, actor=OWNER)
        with CaptureQueriesContext(connection) as done:
            queries.preview(file, presumed_place="SE", now=till.now)
        counts.append(len(done))

    assert counts[0] == counts[1]
