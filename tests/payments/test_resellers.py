"""Codes that somebody else sells: what they owe, what they may hold, what is taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.core import codes
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.payments import actions, disputes, recalls
from ferriage.payments.models import (
    Reseller,
    ResellerPayment,
    ResellerReturn,
    StatementLine,
    Voucher,
    VoucherBatch,
)
from ferriage.payments.providers.bank import booking, files, receipts
from ferriage.payments.providers.bank.actions import ReceiptWrong
from ferriage.payments.providers.voucher import queries, resellers
from ferriage.payments.providers.voucher.actions import BatchWrong, VoucherGone
from ferriage.payments.providers.voucher.quota import QuotaPassed, ResellerWrong
from ferriage.payments.queries import check
from statement_files import IBAN, Entry, camt
from till import Till, assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.payments.providers.voucher.actions import IssuedBatch

WORTH = Money(1000, "CNY")
OWED = "assets:receivable:kiosk"


@pytest.fixture
def kiosk(till: Till) -> Reseller:
    return resellers.add_reseller(
        slug="kiosk",
        name="Kiosk at the pier",
        currency="CNY",
        discount_bp=2000,
        quota_codes=10,
        quota_minor=7000,
        now=till.now,
        actor=OWNER,
    )


def issue(
    till: Till,
    kiosk: Reseller | None,
    count: int,
    *,
    paid: int = 800,
    expires_at: datetime | None = None,
) -> IssuedBatch:
    return actions.issue_vouchers(
        name="Shelf",
        plan=till.shop.plan,
        term_months=1,
        money=WORTH,
        count=count,
        kind="sold" if paid else "free",
        paid_per_code=Money(paid, "CNY"),
        reseller=kiosk,
        expires_at=expires_at,
        now=till.now,
        actor=OWNER,
    )


def pay(till: Till, kiosk: Reseller, minor: int, number: str = "B-1") -> ResellerPayment:
    return resellers.book_payment(
        reseller=kiosk,
        money=Money(minor, "CNY"),
        transaction_id=number,
        now=till.now,
        actor=OWNER,
    )


def void(till: Till, batch: VoucherBatch, *typed: str, reason: str = "Unsold") -> None:
    resellers.void_codes(batch=batch, typed=typed, reason=reason, now=till.now, actor=OWNER)


def test_batch_is_owed_by_its_reseller_and_paid_later(till: Till, kiosk: Reseller) -> None:
    issue(till, kiosk, 5)
    owed = books()

    pay(till, kiosk, 3000)

    assert owed == {OWED: 4000, "liabilities:vouchers": 4000}
    assert books() == {"assets:bank": 3000, OWED: 1000, "liabilities:vouchers": 4000}
    assert_sound()


def test_code_works_whether_it_is_paid_for_or_not(till: Till, kiosk: Reseller) -> None:
    made = issue(till, kiosk, 2)

    captured = till.redeem(till.order(), made.codes[0])

    assert captured.outcome == "settled"
    assert books() == {
        OWED: 1600,
        "expenses:promotions": 200,
        "liabilities:unearned": 1000,
        "liabilities:vouchers": 800,
    }
    assert_sound()


def test_discount_proposes_the_price_of_a_code(kiosk: Reseller) -> None:
    kiosk.discount_bp = 3333

    assert resellers.price_of(kiosk, Money(1000, "CNY")) == Money(667, "CNY")


def test_quota_in_codes_counts_what_is_not_paid(till: Till, kiosk: Reseller) -> None:
    issue(till, kiosk, 8, paid=100)
    with pytest.raises(QuotaPassed, match="may hold 10 codes without having paid, and holds 8"):
        issue(till, kiosk, 3, paid=100)

    pay(till, kiosk, 150)
    issue(till, kiosk, 3, paid=100)

    assert queries.held(kiosk) == queries.Held(950, 10)
    assert VoucherBatch.objects.count() == 2
    assert_sound()


def test_quota_as_an_amount_counts_what_is_owed(till: Till, kiosk: Reseller) -> None:
    issue(till, kiosk, 8)

    with pytest.raises(QuotaPassed, match=r"may owe 70\.00 CNY, and would owe 72\.00 CNY"):
        issue(till, kiosk, 1)

    assert (VoucherBatch.objects.count(), Voucher.objects.count()) == (1, 8)


def test_quota_that_is_not_set_lets_any_number_out(till: Till, kiosk: Reseller) -> None:
    kiosk = resellers.set_terms(
        reseller=kiosk, discount_bp=0, quota_codes=None, quota_minor=None, now=till.now, actor=OWNER
    )

    issue(till, kiosk, 500)

    assert queries.held(kiosk).unpaid_codes == 500


@pytest.mark.parametrize(
    ("minor", "number"), [(4001, "B-1"), (0, "B-1"), (-1, "B-1"), (1, ""), (1, "x" * 141)]
)
def test_payment_that_is_not_for_codes_is_refused(
    till: Till, kiosk: Reseller, minor: int, number: str
) -> None:
    issue(till, kiosk, 5)

    with pytest.raises(ResellerWrong):
        pay(till, kiosk, minor, number)

    assert books()[OWED] == 4000


def test_payment_is_booked_once(till: Till, kiosk: Reseller) -> None:
    issue(till, kiosk, 5)
    pay(till, kiosk, 1000)

    with pytest.raises(ResellerWrong, match="booked before"):
        pay(till, kiosk, 1000)

    assert books()[OWED] == 3000


def test_payment_by_statement_is_found_by_the_resellers_reference(
    till: Till, kiosk: Reseller
) -> None:
    issue(till, kiosk, 5)
    account = files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )
    text = f"codes march {codes.grouped(kiosk.reference)}"
    entries = [
        Entry(minor=3000, text=text, reference="1"),
        Entry(minor=3000, text=text, reference="2"),
    ]
    data = camt(entries, currency="CNY", opening=0)
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)

    booking.post_file(file=file, now=till.now, actor=OWNER)

    # The second one is more than is owed, so nobody knows what it is for.
    assert books() == {
        "assets:bank": 6000,
        OWED: 1000,
        "liabilities:unallocated": 3000,
        "liabilities:vouchers": 4000,
    }
    assert_sound()


def brought(till: Till, *entries: Entry) -> list[str]:
    """Post a statement; returns what its lines came to."""
    account = files.add_account(
        name="Everyday", number=IBAN, currency="CNY", now=till.now, actor=OWNER
    )
    data = camt(list(entries), currency="CNY", opening=0)
    file = files.upload(account=account, name="a", data=data, now=till.now, actor=OWNER)
    booking.post_file(file=file, now=till.now, actor=OWNER)
    return list(StatementLine.objects.order_by("pk").values_list("outcome", flat=True))


def by_hand(till: Till, kiosk: Reseller, minor: int = 2000, limit: int = 500) -> ResellerPayment:
    return resellers.book_by_hand(
        reseller=kiosk,
        money=Money(minor, "CNY"),
        transaction_id="n1 000001",
        limit=limit,
        now=till.now,
        actor=OWNER,
    )


@pytest.mark.parametrize("quoted", [True, False])
def test_payment_that_was_booked_by_hand_is_not_booked_again_by_the_statement(
    till: Till, kiosk: Reseller, *, quoted: bool
) -> None:
    issue(till, kiosk, 5)
    by_hand(till, kiosk)
    text = kiosk.reference if quoted else "march"

    outcomes = brought(
        till,
        Entry(minor=2000, text=text, reference="N1000001"),
        Entry(minor=2000, text="somebody else", reference="N1000001"),
        Entry(minor=100, text="less", reference="N1000001"),
    )

    # Not every bank's numbers are unique: one line is what was booked, and no other one.
    assert outcomes == ["duplicate", "unallocated", "unallocated"]
    assert books() == {
        "assets:bank": 4100,
        OWED: 2000,
        "liabilities:unallocated": 2100,
        "liabilities:vouchers": 4000,
    }
    assert_sound()


def test_payment_that_a_statement_brought_is_not_booked_by_hand(
    till: Till, kiosk: Reseller
) -> None:
    issue(till, kiosk, 5)
    outcomes = brought(till, Entry(minor=2000, text=kiosk.reference, reference="N1000001"))

    with pytest.raises(ResellerWrong, match="booked before"):
        by_hand(till, kiosk)
    with pytest.raises(ReceiptWrong, match="no customer paid it"):
        enter(till, "N1000001")

    assert outcomes == ["reseller"]
    assert books() == {"assets:bank": 2000, OWED: 2000, "liabilities:vouchers": 4000}


def enter(till: Till, number: str) -> None:
    receipts.enter(
        kind="transfer",
        reference="",
        transaction_id=number,
        money=Money(2000, "CNY"),
        limit=500,
        store_dir=till.shop.yard.store,
        now=till.now,
        actor=OWNER,
    )


def test_payment_typed_on_one_page_is_not_booked_on_the_other(till: Till, kiosk: Reseller) -> None:
    issue(till, kiosk, 5)
    by_hand(till, kiosk)
    enter(till, "other")

    with pytest.raises(ReceiptWrong, match="no customer paid it"):
        enter(till, "N1000001")
    with pytest.raises(ResellerWrong, match="booked before"):
        resellers.book_by_hand(
            reseller=kiosk,
            money=Money(2000, "CNY"),
            transaction_id="OTHER",
            limit=500,
            now=till.now,
            actor=OWNER,
        )

    assert books()["assets:bank"] == 4000


def test_payment_above_the_limit_is_a_receipt_with_a_second_person(
    till: Till, kiosk: Reseller
) -> None:
    issue(till, kiosk, 5)

    with pytest.raises(ResellerWrong, match="second person"):
        by_hand(till, kiosk, 2001, limit=20)
    by_hand(till, kiosk, 2000, limit=20)

    assert books()[OWED] == 2000


def test_money_that_came_without_the_reference_is_given_to_its_reseller_once(
    till: Till, kiosk: Reseller
) -> None:
    issue(till, kiosk, 5)
    came = till.receive("kiosk, march", 3000).payment
    more = till.receive("kiosk again", 4001, number="T-2").payment
    offered = list(queries.payments_that_fit(kiosk))

    resellers.apply_unallocated(payment=came, reseller=kiosk, now=till.now, actor=OWNER)
    with pytest.raises(StaleState):
        resellers.apply_unallocated(payment=came, reseller=kiosk, now=till.now, actor=OWNER)
    with pytest.raises(ResellerWrong, match="owes"):
        resellers.apply_unallocated(payment=more, reseller=kiosk, now=till.now, actor=OWNER)

    assert offered == [came]
    assert books() == {
        "assets:bank": 7001,
        OWED: 1000,
        "liabilities:unallocated": 4001,
        "liabilities:vouchers": 4000,
    }
    assert check() == []


# --- money that a bank took back --------------------------------------------------------------


def test_payment_that_its_bank_took_back_for_good_is_owed_again(
    till: Till, kiosk: Reseller
) -> None:
    issue(till, kiosk, 5)
    came = till.receive("kiosk, march", 3000).payment
    resellers.apply_unallocated(payment=came, reseller=kiosk, now=till.now, actor=OWNER)
    came.refresh_from_db()
    parts = [
        recalls.take_back(
            payment=came,
            money=Money(minor, "CNY"),
            reference=f"L-{minor}",
            from_account="assets:bank",
            now=till.now,
            actor=OWNER,
        )
        for minor in (2000, 1000)
    ]
    still = queries.held(kiosk).owed_minor

    for dispute in parts:
        disputes.lose(dispute=dispute, now=till.now, actor=OWNER)

    assert still == 1000
    assert queries.held(kiosk) == queries.Held(4000, 5)
    assert books() == {OWED: 4000, "liabilities:vouchers": 4000}
    march, april = queries.month(kiosk, 2026, 3), queries.month(kiosk, 2026, 4)
    figures = (march.paid_minor, march.returned_minor, march.closing_minor, april.opening_minor)
    assert figures == (3000, 3000, 4000, 4000)
    assert list(ResellerReturn.objects.order_by("pk").values_list("amount_minor", flat=True)) == [
        2000,
        1000,
    ]
    assert check() == []


# --- taken back, expired, written off ---------------------------------------------------------


def test_unsold_codes_are_taken_back_and_not_owed_any_more(till: Till, kiosk: Reseller) -> None:
    made = issue(till, kiosk, 5)
    till.redeem(till.order(), made.codes[0])

    void(till, made.batch, codes.grouped(made.codes[1]).lower(), made.codes[2])
    after_two = books()
    void(till, made.batch)

    assert (after_two[OWED], after_two["liabilities:vouchers"]) == (2400, 1600)
    assert books()[OWED] == 800
    assert "liabilities:vouchers" not in books()
    with pytest.raises(VoucherGone, match="taken back"):
        till.redeem(till.order(), made.codes[1])
    with pytest.raises(resellers.NotVoidable, match="No code"):
        void(till, made.batch)
    assert_sound()


def test_code_of_another_batch_or_a_used_one_is_not_taken_back(till: Till, kiosk: Reseller) -> None:
    made, other = issue(till, kiosk, 2), issue(till, kiosk, 2)
    till.redeem(till.order(), made.codes[0])
    before = books()

    for typed in (made.codes[0], other.codes[0], "nonsense"):
        with pytest.raises(resellers.NotVoidable, match="Not every one"):
            void(till, made.batch, made.codes[1], typed)

    assert books() == before
    assert queries.unused(made.batch).count() == 1


def test_codes_that_are_paid_for_are_not_taken_back(till: Till, kiosk: Reseller) -> None:
    made = issue(till, kiosk, 2)
    pay(till, kiosk, 1600)
    sold = issue(till, None, 2)

    for batch in (made.batch, sold.batch):
        with pytest.raises(resellers.NotVoidable, match="paid for"):
            void(till, batch)

    assert Voucher.objects.filter(reversal=None).count() == 4
    assert_sound()


def test_free_codes_are_taken_back_without_a_posting(till: Till) -> None:
    made = issue(till, None, 2, paid=0)

    void(till, made.batch)

    assert books() == {}
    assert queries.unused(made.batch).count() == 0


def test_expired_code_pays_nothing_and_stays_owed_until_it_is_written_off(
    till: Till, kiosk: Reseller
) -> None:
    made = issue(till, kiosk, 2, expires_at=till.now + timedelta(days=2))
    with pytest.raises(resellers.NotVoidable, match="can still be used"):
        resellers.write_off(batch=made.batch, reason="Old", now=till.now, actor=OWNER)
    till.redeem(till.order(), made.codes[0])
    till.now += timedelta(days=2)
    order = till.order()

    with pytest.raises(VoucherGone, match="until 2026-03-03"):
        till.redeem(order, made.codes[1])
    before = books()
    with pytest.raises(resellers.NotVoidable, match="Say why"):
        resellers.write_off(batch=made.batch, reason=" ", now=till.now, actor=OWNER)
    resellers.write_off(batch=made.batch, reason="A year over", now=till.now, actor=OWNER)

    assert before["liabilities:vouchers"] == 800
    assert "liabilities:vouchers" not in books()
    assert books()["income:vouchers"] == 800
    assert books()[OWED] == 1600
    assert_sound()


def test_batch_that_expired_before_it_is_issued_is_refused(till: Till) -> None:
    with pytest.raises(BatchWrong, match="last day"):
        issue(till, None, 1, expires_at=till.now)


def test_taken_back_code_cannot_be_used_by_anybody_with_the_database(till: Till) -> None:
    made = issue(till, None, 1, paid=0)
    order = till.order()
    other = till.voucher()
    till.redeem(order, other)
    void(till, made.batch)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_voucher SET used_at = CURRENT_TIMESTAMP,"
            " payment_id = (SELECT max(id) + 0 FROM payments_payment) WHERE reversal_id IS NOT NULL"
        )


@pytest.mark.parametrize(
    "table", ["payments_resellerpayment", "payments_batchreversal", "payments_resellerreturn"]
)
def test_what_was_paid_or_taken_back_is_append_only(
    till: Till, kiosk: Reseller, table: str
) -> None:
    made = issue(till, kiosk, 2)
    pay(till, kiosk, 800)
    void(till, made.batch, made.codes[0])
    came = till.receive("kiosk", 100).payment
    issue(till, kiosk, 1)
    resellers.apply_unallocated(payment=came, reseller=kiosk, now=till.now, actor=OWNER)
    taken = {"reference": "L-1", "from_account": "assets:bank", "now": till.now, "actor": OWNER}
    recall = recalls.take_back(payment=came, money=Money(100, "CNY"), **taken)  # type: ignore[arg-type] -- typed above
    disputes.lose(dispute=recall, now=till.now, actor=OWNER)

    for change in (f"UPDATE {table} SET amount_minor = 1", f"DELETE FROM {table}"):  # noqa: S608 -- of this test's own words
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(change)


# --- the month's statement --------------------------------------------------------------------


def test_months_statement_adds_up_and_the_next_one_opens_with_it(
    till: Till, kiosk: Reseller
) -> None:
    made = issue(till, kiosk, 5)
    till.redeem(till.order(), made.codes[0])
    pay(till, kiosk, 1600)
    void(till, made.batch, made.codes[4])
    march = queries.month(kiosk, 2026, 3)
    till.now = datetime(2026, 4, 1, tzinfo=UTC)
    issue(till, kiosk, 1)
    till.redeem(till.order(), made.codes[1])

    april = queries.month(kiosk, 2026, 4)

    assert queries.month(kiosk, 2026, 3).closing_minor == march.closing_minor == 1600
    figures = (march.opening_minor, march.issued_minor, march.void_minor, march.paid_minor)
    assert figures == (0, 4000, 800, 1600)
    assert (march.issued_codes, march.void_codes, march.redeemed_codes) == (5, 1, 1)
    assert (april.opening_minor, april.issued_minor, april.closing_minor) == (1600, 800, 2400)
    assert april.redeemed_codes == 1
    assert books()[OWED] == april.closing_minor
    assert queries.months_of(kiosk, till.now) == [(2026, 4), (2026, 3)]
    assert queries.month(kiosk, 2026, 12).end == datetime(2027, 1, 1, tzinfo=UTC)


def test_link_opens_one_resellers_page_until_it_is_ended(till: Till, kiosk: Reseller) -> None:
    first = resellers.make_link(reseller=kiosk, now=till.now, actor=OWNER)
    second = resellers.make_link(reseller=kiosk, now=till.now, actor=OWNER)
    found = [queries.by_token(token) for token in (first, second, "", "x")]

    resellers.end_link(reseller=kiosk, now=till.now, actor=OWNER)

    assert found == [None, kiosk, None, None]
    assert queries.by_token(second) is None


@pytest.mark.parametrize("slug", ["", "Kiosk", "a b", "kiosk", "-a", "a:b", "x" * 41])
def test_short_name_is_one_for_the_books(till: Till, kiosk: Reseller, slug: str) -> None:
    with pytest.raises(ResellerWrong):
        resellers.add_reseller(slug=slug, name="N", currency="CNY", now=till.now, actor=OWNER)

    assert list(Reseller.objects.all()) == [kiosk]
