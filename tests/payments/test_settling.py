"""What settling an order asks the database, and that what it keeps in mind is never out of date."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from ferriage.approvals.models import Approval
from ferriage.approvals.queries import load_register, register_of
from ferriage.core import audit
from ferriage.core.money import Money
from ferriage.fleet.queries import line_facts
from ferriage.ledger import export, verify
from ferriage.ledger.models import LedgerTransaction
from ferriage.payments.providers.contract import Event
from till import assert_sound

if TYPE_CHECKING:
    from counter import Counter as Shop
    from till import Till


def asked(queries: list[dict[str, str]]) -> Counter[str]:
    """Return how often what was sent, without savepoints and PostgreSQL's one lock."""
    sent = Counter(query["sql"].split()[0] for query in queries if "advisory" not in query["sql"])
    return Counter({word: sent[word] for word in ("SELECT", "INSERT", "UPDATE", "DELETE")})


@pytest.mark.django_db
def test_settling_sends_so_many_statements_and_no_more(till: Till) -> None:
    till.sell()
    order = till.order()
    reference = till.transfer(order).reference
    with CaptureQueriesContext(connection) as sent:
        till.receive(reference, order.amount_minor)
    assert asked(sent.captured_queries) == Counter(SELECT=18, INSERT=11, UPDATE=5, DELETE=0)
    # Each of the two transactions is one here; nothing inside is gone back to.
    assert sum("SAVEPOINT" in query["sql"] for query in sent.captured_queries) == 4


@pytest.mark.django_db
def test_settling_by_callback_sends_as_many(counter: Shop) -> None:
    counter.sell()
    payment = counter.begin(counter.till.order())
    told = counter.world.pay(payment, counter.now)
    with CaptureQueriesContext(connection) as sent:
        assert counter.tell(told) == ["settled"]
    assert asked(sent.captured_queries) == Counter(SELECT=20, INSERT=11, UPDATE=5, DELETE=0)


@pytest.mark.django_db
def test_disputes_of_other_money_ask_nothing_more(counter: Shop) -> None:
    dispute = Event(
        event_id="evt_dp",
        kind="dispute-opened",
        transaction_id="txn_of_another_shop",
        dispute="dp_1",
        money=Money(1000, "CNY"),
    )
    assert counter.tell([counter.world.say(dispute, counter.now, "none")]) == ["early"]
    test_settling_by_callback_sends_as_many(counter)


@pytest.mark.django_db
def test_receipt_and_sale_are_two_entries_in_order_of_what_happened(till: Till) -> None:
    order = till.sell()
    posted = LedgerTransaction.objects.order_by("link__number").values_list("kind", "source_code")
    kinds = dict(posted)
    assert list(kinds) == ["receipt", "sale"]
    assert kinds["sale"] == order.code
    lines = (f"{line}\n".encode() for line in export.chain())
    assert list(verify.read(lines, verify.Books())) == []
    assert audit.first_broken() is None


@pytest.mark.django_db
def test_receipt_is_posted_once_where_the_order_is_refused(till: Till) -> None:
    order = till.order()
    reference = till.transfer(order).reference
    till.now = order.expires_at
    assert till.receive(reference, order.amount_minor).reason == "order-expired"
    kinds = LedgerTransaction.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["receipt", "owed"]
    assert_sound()


@pytest.mark.django_db
def test_register_that_was_read_before_is_never_out_of_date(till: Till) -> None:
    line = till.shop.line
    facts = line_facts(line)

    def allowed() -> tuple[bool, bool]:
        """Return what the whole register says, and what is read for this line alone."""
        whole, alone = load_register(), register_of(facts)
        assert whole.facts(facts, "XD") == alone.facts(facts, "XD")
        return tuple(  # type: ignore[return-value]
            register.judge(line=facts, at=till.now, customer_place="XD").allowed
            for register in (whole, alone)
        )

    assert allowed() == (True, True)
    with transaction.atomic():
        Approval.objects.update(state=Approval.State.REVOKED)
        assert allowed() == (False, False)
        transaction.set_rollback(True)
    assert allowed() == (True, True)
    Approval.objects.update(state=Approval.State.REVOKED)
    assert allowed() == (False, False)


@pytest.mark.django_db
def test_nothing_judged_is_kept_from_one_reading_to_the_next(till: Till) -> None:
    facts = line_facts(till.shop.line)
    first, second = load_register(), load_register()
    first.judge(line=facts, at=till.now)
    assert first.approvals is second.approvals
    assert second == load_register()
    assert second._judged == {}
