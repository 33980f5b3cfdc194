from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.orders import actions, places, tasks, tax, taxreport
from ferriage.orders.actions import taxes
from ferriage.orders.models import Buyer, Document, Order, TaxRate, TaxSetup
from ferriage.payments import actions as payments_actions
from ferriage.payments import queries as payments
from taxed import charge, confirm, set_up
from till import assert_sound, books
from yard import OWNER

if TYPE_CHECKING:
    from till import Till

DAY = timedelta(days=1)
ANY_AMOUNT = st.integers(0, 10**12)
ANY_RATE = st.integers(0, 5000)


@given(gross=ANY_AMOUNT, rate=ANY_RATE)
def test_tax_is_the_nearest_unit_to_its_share(gross: int, rate: int) -> None:
    part = tax.tax_part(gross, rate)

    # Twice the distance from the exact share, in units of a (10000 + rate)th.
    assert abs(2 * part * (10_000 + rate) - 2 * gross * rate) <= 10_000 + rate
    assert 0 <= part <= gross


@given(gross=ANY_AMOUNT, rate=ANY_RATE, more=st.integers(0, 1000))
def test_tax_grows_with_the_amount_and_no_faster(gross: int, rate: int, more: int) -> None:
    grown = tax.tax_part(gross + more, rate) - tax.tax_part(gross, rate)

    assert 0 <= grown <= more


@pytest.mark.parametrize(
    ("regime", "home", "place", "expected"),
    [
        ("small", "DE", "DE", ("exempt", "", 0)),
        ("domestic", "DE", "DE", ("taxed", "DE", 1900)),
        ("domestic", "DE", "FR", ("taxed", "DE", 1900)),
        ("domestic", "DE", "CH", ("outside", "CH", 0)),
        ("oss", "DE", "FR", ("taxed", "FR", 2000)),
        ("oss", "DE", "DE-BE", ("taxed", "DE", 1900)),
        ("oss", "DE", "ES-CN", ("outside", "ES", 0)),
        ("oss", "DE", "IT", ("unknown", "IT", 0)),
        ("oss", "DE", "GB", ("taxed", "GB", 2000)),
        ("oss", "DE", "", ("unknown", "", 0)),
        ("domestic", "CH", "DE", ("outside", "DE", 0)),
        ("domestic", "CH", "CH", ("unknown", "CH", 0)),
    ],
)
def test_basis_follows_regime_and_place(
    till: Till, regime: str, home: str, place: str, expected: tuple[str, str, int]
) -> None:
    set_up(till.now, regime=regime, home_place=home, also_places=["GB"], exempt_sentence="None.")
    for country, rate in (("DE", 1900), ("FR", 2000), ("GB", 2000)):
        confirm(till.now, country, rate)

    basis = tax.basis_of(place, on=till.now.date())

    assert (basis.state, basis.place, basis.rate_bps) == expected


def test_nothing_is_charged_before_anybody_said_anything(till: Till) -> None:
    order = till.sell(24)

    assert (order.tax_state, order.tax_minor) == ("unset", 0)
    assert not Document.objects.exists()


def test_proposed_rate_charges_nothing_until_it_is_confirmed(till: Till) -> None:
    set_up(till.now, regime="oss", home_place="DE")
    proposed = {row.place: row.rate_bps for row in taxes.proposed_rates()}

    before = tax.basis_of("FR", on=till.now.date())
    confirm(till.now, "FR", proposed["FR"])
    after = tax.basis_of("FR", on=till.now.date())

    assert set(proposed) >= tax.EU
    assert (before.state, after.state, after.rate_bps) == ("unknown", "taxed", 2000)


def test_rate_holds_from_its_day_on(till: Till) -> None:
    confirm(till.now, "EE", 2200)
    later = till.now.date() + 30 * DAY
    taxes.confirm_rate(
        place="EE", rate_bps=2400, from_on=later, source="Law", now=till.now, actor=OWNER
    )

    assert tax.rate_of("EE", on=later - DAY) == 2200
    assert tax.rate_of("EE", on=later) == 2400


@pytest.mark.parametrize(
    ("turned_on", "vat_id", "place", "expected"),
    [
        (True, "ATU13585627", "AT", "reverse"),
        (False, "ATU13585627", "AT", "taxed"),
        (True, "", "AT", "taxed"),
        (True, "DE136695976", "DE", "taxed"),
    ],
)
def test_business_owes_the_tax_itself_only_where_turned_on(
    till: Till, *, turned_on: bool, vat_id: str, place: str, expected: str
) -> None:
    set_up(till.now, regime="oss", home_place="DE", reverse_charge=turned_on)
    confirm(till.now, "DE", 1900)
    confirm(till.now, "AT", 2000)

    assert tax.basis_of(place, vat_id=vat_id, on=till.now.date()).state == expected


@pytest.mark.parametrize(
    ("number", "place", "taken"),
    [
        ("DE136695976", "DE", True),
        ("DE136695976", "AT", False),
        ("DE136695977", "DE", False),
        ("EL094259216", "GR", True),
        ("nonsense", "DE", False),
    ],
)
def test_vat_id_has_the_form_of_its_place(*, number: str, place: str, taken: bool) -> None:
    assert tax.is_vat_id(number, place) is taken


def test_sale_owes_the_tax_and_keeps_the_rest_unearned(till: Till) -> None:
    charge(till.now)

    order = till.sell(24)

    assert (order.tax_rate, order.tax_place, order.tax_minor) == (1900, "XD", 1916)
    assert books() == {
        "assets:bank": 12000,
        "liabilities:tax:XD": 1916,
        "liabilities:unearned": 10084,
    }
    assert_sound()


def test_rate_of_the_day_it_was_placed_is_kept(till: Till) -> None:
    charge(till.now)
    order = till.order(24)
    confirm(till.now, rate_bps=2500)

    till.receive(till.transfer(order).reference, 12000)

    assert Order.objects.get().tax_minor == 1916


def test_free_voucher_bears_no_tax(till: Till) -> None:
    charge(till.now)
    order = till.order(24)

    till.redeem(order, till.voucher(24))

    assert Order.objects.get().tax_minor == 0
    assert not Document.objects.exists()
    assert_sound()


def test_sold_voucher_is_taxed_on_what_was_paid_for_it(till: Till) -> None:
    charge(till.now)
    order = till.order(24)

    till.redeem(order, till.voucher(24, paid=6000))

    assert Order.objects.get().tax_minor == 958
    assert Document.objects.get().gross_minor == 6000
    assert_sound()


def test_all_is_earned_but_the_tax(till: Till) -> None:
    charge(till.now)
    order = till.sell(1)
    assert order.period_ends_at is not None

    for day in (1, 7, 20):
        actions.recognise(now=till.now + day * DAY)
        assert_sound()
    actions.recognise(now=order.period_ends_at)

    assert books() == {"assets:bank": 1000, "income:ferry": 840, "liabilities:tax:XD": 160}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    earned_on=st.integers(0, 731),
    days=st.lists(st.integers(0, 731), min_size=1, max_size=3, unique=True),
    rate=ANY_RATE,
    paid=st.sampled_from([0, 1, 5999, 12000, 15000]),
)
def test_net_and_tax_are_the_gross_whatever_comes(
    till: Till, earned_on: int, days: list[int], rate: int, paid: int
) -> None:
    """Earn, too far at times, and end earlier and earlier; nothing is lost to rounding.

    Each example is rolled back.
    """
    with transaction.atomic():
        charge(till.now, rate)
        order = till.order(24)
        if paid:
            till.redeem(order, till.voucher(24, paid=paid))
        else:
            till.receive(till.transfer(order).reference, 12000)
        start = till.now
        order.refresh_from_db()
        actions.recognise(now=start + earned_on * DAY)
        for day in sorted(days, reverse=True):
            if start + day * DAY < order.period_ends_at:  # type: ignore[operator] -- fulfilled
                till.end(order, start + day * DAY)
            assert_sound()
        actions.recognise(now=start + 800 * DAY)
        order.refresh_from_db()
        held = books()

        kept = order.refundable_minor - order.refund_due_minor
        assert held.get("liabilities:tax:XD", 0) == tax.tax_part(kept, rate)
        given_away = held.get("expenses:promotions", 0)
        income = held.get("income:ferry", 0)
        assert income + held.get("liabilities:tax:XD", 0) == kept + given_away
        assert held.get("liabilities:unearned", 0) == 0
        for document in Document.objects.all():
            assert document.net_minor + document.tax_minor == document.gross_minor
        transaction.set_rollback(True)


def test_open_order_is_taxed_anew_when_a_business_names_itself(till: Till) -> None:
    set_up(till.now, regime="oss", home_place="DE", reverse_charge=True)
    confirm(till.now, "AT", 2000)
    order = till.order()
    Order.objects.update(place="AT", tax_state="taxed", tax_place="AT", tax_rate=2000)
    order.refresh_from_db()

    taxes.name_buyer(
        order=order,
        name="Fähre GmbH",
        address="Kai 1, Wien",
        vat_id="ATU 13585627",
        now=till.now,
        actor=CUSTOMER,
    )

    order.refresh_from_db()
    assert (order.tax_state, order.tax_rate) == ("reverse", 0)


def test_buyer_is_not_named_after_the_invoice_was_written(till: Till) -> None:
    charge(till.now)
    order = till.sell()

    with pytest.raises(taxes.BuyerWrong):
        taxes.name_buyer(
            order=order, name="A", address="B", vat_id="", now=till.now, actor=CUSTOMER
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": " "},
        {"tax_id": ""},
        {"home_place": "Sweden"},
        {"regime": "guess"},
        {"regime": "small", "exempt_sentence": ""},
        {"regime": "oss", "home_place": "CH"},
        {"also_places": ["de"]},
    ],
)
def test_setup_that_cannot_be_right_is_refused(till: Till, wrong: dict[str, object]) -> None:
    with pytest.raises(taxes.TaxWrong):
        set_up(till.now, **wrong)

    assert not TaxSetup.objects.exists()


def test_tax_is_paid_to_the_authority_once_and_no_more_than_owed(till: Till) -> None:
    charge(till.now)
    till.sell(24)

    def remit(minor: int, reference: str) -> None:
        taxes.remit_tax(
            place="XD",
            money=Money(minor, "CNY"),
            quarter="2026-Q1",
            reference=reference,
            now=till.now,
            actor=OWNER,
        )

    with pytest.raises(taxes.TaxWrong):
        remit(1917, "B1")
    remit(1900, "B1")
    with pytest.raises(taxes.TaxWrong):
        remit(16, "B1")
    remit(16, "B2")

    assert books() == {"assets:bank": 10084, "liabilities:unearned": 10084}
    assert payments.check() == []


def test_refund_after_tax_was_paid_over_leaves_a_claim_and_sound_books(till: Till) -> None:
    charge(till.now)
    order = till.sell()
    taxes.remit_tax(
        place="XD",
        money=Money(order.tax_minor, "CNY"),
        quarter="2026-Q1",
        reference="B1",
        now=till.now,
        actor=OWNER,
    )

    till.end(order, till.now)

    assert books()["liabilities:tax:XD"] == -order.tax_minor
    assert payments.check() == []
    assert taxreport.owed() == [("XD", Money(-order.tax_minor, "CNY"))]


@pytest.mark.parametrize("model", [TaxSetup, TaxRate, Document])
def test_what_was_said_stays(till: Till, model: type[TaxSetup | TaxRate | Document]) -> None:
    charge(till.now)
    till.sell()
    table = model._meta.db_table

    for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):  # noqa: S608 -- our own tables
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert model.objects.exists()


def test_kinds_of_evidence_are_counted_where_they_agree(till: Till) -> None:
    charge(till.now)
    thin = till.sell()
    order = till.order()
    payment = till.transfer(order)
    payments_actions.book_receipt(
        reference=payment.reference or "",
        transaction_id="B-1",
        money=Money(1000, "CNY"),
        payer_place="XD",
        now=till.now,
        actor=OWNER,
    )

    assert places.agreeing_kinds(thin) == 1
    assert places.agreeing_kinds(order) == 2
    assert places.thinly_evidenced() == [("XD", 1)]


def test_name_given_for_an_order_that_came_to_nothing_is_forgotten(till: Till) -> None:
    charge(till.now)
    orders = [till.order(), till.order(), till.order()]
    for order in orders:
        taxes.name_buyer(
            order=order, name="Ann", address="B", vat_id="", now=till.now, actor=CUSTOMER
        )
    till.receive(till.transfer(orders[0]).reference, 1000)
    actions.cancel(order=orders[1], now=till.now, actor=CUSTOMER)

    tasks.run(till.now + 4 * DAY)

    assert [buyer.order for buyer in Buyer.objects.all()] == [orders[0]]
