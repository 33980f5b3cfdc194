"""A payment that presumes another place than the customer's (decision 0015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction

from ferriage.approvals.models import Decision
from ferriage.approvals.queries import denial_of
from ferriage.core.actors import CUSTOMER
from ferriage.core.models import AuditEntry
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.orders import actions as orders
from ferriage.orders.models import PlaceEvidence
from ferriage.orders.places import SHOWN, is_shown
from ferriage.payments import actions
from ferriage.payments.models import InboxEvent, Payment, Refund
from ferriage.payments.providers.bank.actions import ReceiptWrong
from ferriage.plans import actions as plans
from ferriage.plans.models import Period
from gate_world import conclude
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.orders.models import Order
    from ferriage.payments.capture import Captured
    from till import Till


def start(till: Till, order: Order, payer_place: str) -> Payment:
    return actions.start_bank(order=order, payer_place=payer_place, now=till.now, actor=CUSTOMER)


def receive(till: Till, order: Order, payer_place: str) -> Captured:
    reference = Payment.objects.get(order=order, provider="bank").reference
    assert reference is not None
    return actions.book_receipt(
        reference=reference,
        transaction_id="T-1",
        money=Money(order.amount_minor, order.currency),
        payer_place=payer_place,
        now=till.now,
        actor=OWNER,
    )


def show(till: Till, order: Order, *kinds: str) -> None:
    for kind in kinds:
        orders.note_shown(order=order, kind=kind, now=till.now, actor=OWNER)


def evidence(order: Order) -> list[tuple[str, str, str]]:
    rows = PlaceEvidence.objects.filter(order=order).order_by("pk")
    return [(row.kind, row.place, row.noted_by) for row in rows]


# --- whether a transfer is offered ------------------------------------------------------------


@pytest.mark.parametrize("payer_place", ["", "XD", "XD-1"])
def test_transfer_that_presumes_nothing_or_the_same_country_is_offered(
    till: Till, payer_place: str
) -> None:
    assert start(till, till.order(), payer_place).state == "pending"


def test_transfer_from_where_the_plan_may_not_be_sold_is_not_offered(till: Till) -> None:
    with pytest.raises(actions.MeansNotOffered) as caught:
        start(till, till.order(), "CN")

    assert [(reason.place, reason.slug) for reason in caught.value.verdict.reasons] == [
        ("CN", "place-not-on-line")
    ]
    assert Payment.objects.count() == 0


def test_transfer_from_where_the_register_allows_the_plan_is_offered(till: Till) -> None:
    swedish = till.shop.yard.plan("SE public", place="SE")
    till.shop.yard.approve(swedish)
    conclude(swedish, till.now)
    fleet.put_in_service(line=swedish, now=till.now, actor=OWNER)
    plans.add_offer(plan=till.shop.plan, line=swedish, now=till.now, actor=OWNER)

    assert start(till, till.order(), "SE").state == "pending"


def test_two_kinds_shown_to_staff_outweigh_it_for_all_orders_of_the_account(till: Till) -> None:
    order = till.order()
    show(till, order, "residence_paper")
    with pytest.raises(actions.MeansNotOffered):
        start(till, order, "CN")

    show(till, order, "residence_paper", "telephone")

    assert start(till, order, "CN").state == "pending"
    assert receive(till, order, "CN").outcome == "settled"
    later = till.order(6, account=order.account)
    assert start(till, later, "CN").state == "pending"


def test_what_one_customer_showed_helps_no_other(till: Till) -> None:
    alice = till.order()
    show(till, alice, *SHOWN)

    with pytest.raises(actions.MeansNotOffered):
        start(till, till.order(), "CN")


@pytest.mark.parametrize("kind", ["self_declared", "payment_country", "address", ""])
def test_word_and_payment_are_not_shown_to_staff(till: Till, kind: str) -> None:
    order = till.order()

    with pytest.raises(orders.NotShowable):
        show(till, order, kind)

    assert not is_shown(order)
    assert [row[0] for row in evidence(order)] == ["self_declared"]


# --- when the money comes ---------------------------------------------------------------------


def test_receipt_from_where_the_plan_may_not_be_sold_is_refunded_with_the_reason(
    till: Till,
) -> None:
    order = till.order()
    start(till, order, "")

    captured = receive(till, order, "CN")

    assert (captured.outcome, captured.reason) == ("refund", "place-contradicted")
    order.refresh_from_db()
    assert order.state == "open"
    assert Period.objects.count() == 0
    refund = Refund.objects.get()
    assert (refund.reason, refund.amount_minor) == ("place-contradicted", 1000)
    assert books() == {"assets:bank": 1000, "liabilities:refunds": 1000}
    assert [(reason.place, reason.slug) for reason in denial_of(order.code)] == [
        ("CN", "place-not-on-line")
    ]
    assert evidence(order) == [
        ("self_declared", "XD", "customer"),
        ("payment_country", "CN", "staff:olga"),
    ]
    assert_sound()


@pytest.mark.parametrize("payer_place", ["", "XD"])
def test_receipt_that_fits_the_place_settles(till: Till, payer_place: str) -> None:
    order = till.order()
    start(till, order, "")

    assert receive(till, order, payer_place).outcome == "settled"
    kept = [("payment_country", "XD", "staff:olga")] if payer_place else []
    assert evidence(order) == [("self_declared", "XD", "customer"), *kept]
    assert Decision.objects.filter(subject=order.code, allowed=False).count() == 0


def test_voucher_presumes_nothing(till: Till) -> None:
    order = till.order()

    assert till.redeem(order, till.voucher(paid=1000)).outcome == "settled"
    assert evidence(order) == [("self_declared", "XD", "customer")]


def test_receipt_with_a_country_that_is_none_is_not_booked(till: Till) -> None:
    order = till.order()
    start(till, order, "")

    with pytest.raises(ReceiptWrong, match="CHINA"):
        receive(till, order, "CHINA")

    assert InboxEvent.objects.count() == 0


def test_evidence_is_kept_once_and_says_its_kind_alone(till: Till) -> None:
    order = till.order()
    show(till, order, "local_bill", "local_bill")

    assert [row[0] for row in evidence(order)] == ["self_declared", "local_bill"]
    entry = AuditEntry.objects.filter(action="place.shown").first()
    assert entry is not None
    assert (entry.subject, entry.details) == (
        order.code,
        {"kind": "local_bill", "place": "XD"},
    )


@pytest.mark.parametrize("change", ["UPDATE {} SET place = 'SE'", "DELETE FROM {}"])
def test_evidence_cannot_be_changed_or_deleted(till: Till, change: str) -> None:
    till.order()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(change.format("orders_placeevidence"))
