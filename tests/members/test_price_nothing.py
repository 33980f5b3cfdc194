"""Own staff pay nothing, by actions, by the database, and whoever writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction

from closed_office import office_line
from ferriage.core.money import Money
from ferriage.fleet.models import Line
from ferriage.orders.models import Order
from ferriage.payments.models import VoucherBatch
from ferriage.payments.providers.voucher.actions import BatchWrong, issue_vouchers
from ferriage.plans import actions as plans
from ferriage.plans.models import Offer, Plan, Price
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from closed_office import Office
    from ferriage.accounts.models import Account
    from shop import Shop

pytestmark = pytest.mark.django_db
TEN = Money(1000, "CNY")
NOTHING = Money(0, "CNY")


def price_row(plan: Plan, now: datetime, amount: int) -> Price:
    return Price.objects.create(
        plan=plan, term_months=1, amount_minor=amount, currency="CNY", valid_from=now
    )


def order_row(plan: Plan, account: Account | None, price: Price, now: datetime) -> Order:
    return Order.objects.create(
        account=account,
        plan=plan,
        price=price,
        term_months=1,
        list_minor=1000,
        amount_minor=1000,
        currency="CNY",
        place="XD",
        created_at=now,
        expires_at=now,
    )


def batch(plan: Plan, now: datetime) -> VoucherBatch:
    return issue_vouchers(
        name="Batch",
        plan=plan,
        term_months=1,
        money=NOTHING,
        count=1,
        kind="free",
        paid_per_code=NOTHING,
        now=now,
        actor=OWNER,
    ).batch


def test_price_above_nothing_is_refused_for_own_staff(office: Office, now: datetime) -> None:
    with pytest.raises(plans.CatalogueWrong, match="price is 0"):
        plans.set_price(plan=office.plan, term_months=1, money=TEN, now=now, actor=OWNER)
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        price_row(office.plan, now, 1)

    free = plans.set_price(plan=office.plan, term_months=1, money=NOTHING, now=now, actor=OWNER)
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        Price.objects.filter(pk=free.pk).update(amount_minor=1)


def test_plan_that_costs_something_goes_on_no_line_for_own_staff(
    office: Office, now: datetime
) -> None:
    plan = plans.create_plan(service=office.plan.service, name="Paid", now=now, actor=OWNER)
    price_row(plan, now, 1000)

    with pytest.raises(plans.CatalogueWrong, match="price is 0"):
        plans.add_offer(plan=plan, line=office.line, now=now, actor=OWNER)
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        Offer.objects.create(plan=plan, line=office.line)
    withdrawn = Offer.objects.create(plan=plan, line=office.line, withdrawn_at=now)
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        Offer.objects.filter(pk=withdrawn.pk).update(withdrawn_at=None)


def test_line_that_sells_does_not_become_one_for_own_staff(shop: Shop) -> None:
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        Line.objects.filter(pk=shop.line.pk).update(customer_class="own_staff")


def test_order_of_own_staff_has_price_nothing_in_the_database(
    office: Office, now: datetime
) -> None:
    free = price_row(office.plan, now, 0)
    other = plans.create_plan(service=office.plan.service, name="Paid", now=now, actor=OWNER)
    account = office.active().account

    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        order_row(office.plan, None, free, now)
    with pytest.raises(DatabaseError, match="own staff is 0"), transaction.atomic():
        order_row(other, account, free, now)
    stranger = order_row(other, None, free, now)
    with (
        pytest.raises(DatabaseError, match="own staff is 0"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE orders_order SET account_id = %s WHERE id = %s", [account.pk, stranger.pk]
        )


@pytest.mark.parametrize("customer_class", ["own_staff", "enterprise"])
def test_closed_service_takes_no_vouchers(
    office: Office, now: datetime, customer_class: str
) -> None:
    plan = plans.create_plan(service=office.plan.service, name="Other", now=now, actor=OWNER)
    before = batch(plan, now)
    line = office_line(office.yard, customer_class=customer_class)
    plans.add_offer(plan=plan, line=line, now=now, actor=OWNER)

    with pytest.raises(BatchWrong, match="no vouchers"):
        batch(plan, now)
    with pytest.raises(DatabaseError, match="no vouchers"), transaction.atomic():
        VoucherBatch.objects.create(
            name="Past every page",
            plan=plan,
            term_months=1,
            amount_minor=0,
            currency="CNY",
            kind="free",
            count=1,
            issued_at=now,
        )
    assert list(VoucherBatch.objects.all()) == [before]
