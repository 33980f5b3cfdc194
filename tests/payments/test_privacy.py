"""What stays for ever about a sale names no customer: the order alone knows the account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage.accounts.actions import open_account
from ferriage.accounts.models import Account
from ferriage.approvals.models import Decision
from ferriage.core import codes
from ferriage.core.actors import CUSTOMER
from ferriage.core.models import AuditEntry
from ferriage.devices import actions as devices
from ferriage.ledger import export
from ferriage.ledger.models import LedgerAccount, LedgerTransaction, Transfer
from ferriage.orders import tasks as order_tasks
from ferriage.payments import actions, tasks
from ferriage.payments.models import InboxEvent, Refund

if TYPE_CHECKING:
    from django.db.models import Model

    from till import Till

FOREVER: tuple[type[Model], ...] = (
    AuditEntry,
    Decision,
    InboxEvent,
    LedgerAccount,
    LedgerTransaction,
    Transfer,
)
PRIMARY_KEY = 987654321012
"""Of a length that comes up nowhere else by chance."""


def everything(model: type[Model]) -> str:
    return "\n".join(str(row) for row in model._default_manager.values())


@pytest.fixture
def secrets(till: Till) -> set[str]:
    """Words of a customer who bought by bank and by voucher, connected, and was ended early."""
    opened = open_account(now=till.now, actor=CUSTOMER, place="XD")
    Account.objects.filter(pk=opened.account.pk).update(id=PRIMARY_KEY)
    account = Account.objects.get(pk=PRIMARY_KEY)
    order = till.sell(account=account)
    renewal = till.order(account=account)
    voucher = till.voucher(paid=500)
    till.redeem(renewal, voucher)
    assert order.subscription is not None
    device = till.shop.device(order.subscription)
    order_tasks.run(till.now + timedelta(days=3))
    till.end(order, till.now)
    tasks.run(till.now)
    for refund in Refund.objects.all():
        actions.mark_refund_paid(refund=refund, reference="B-1", now=till.now, actor=CUSTOMER)
    devices.remove_device(device=device, now=till.now, actor=CUSTOMER)
    return {
        opened.number,
        codes.normalise(opened.number),
        account.number_hash,
        str(PRIMARY_KEY),
        device.code,
        device.name,
        device.public_key,
        device.ip4,
        device.ip6,
        voucher,
    }


@pytest.mark.parametrize("model", FOREVER, ids=lambda model: model.__name__)
def test_rows_that_stay_for_ever_name_no_customer(secrets: set[str], model: type[Model]) -> None:
    text = everything(model)

    assert text
    assert {secret for secret in secrets if secret in text} == set()


def test_exported_books_name_no_customer(secrets: set[str]) -> None:
    text = "\n".join([*export.beancount(), *export.csv()])

    assert "ord_" in text
    assert {secret for secret in secrets if secret in text} == set()


def test_search_finds_the_account_where_it_may_stand(secrets: set[str]) -> None:
    assert str(PRIMARY_KEY) in everything(Account)
    assert {secret for secret in secrets if secret in everything(Account)}
