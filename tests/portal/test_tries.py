"""Guessing codes: who tries too often waits, and nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache
from django.db import connection

from ferriage.web.portal import tries

if TYPE_CHECKING:
    from conftest import Customer, NewVoucher
    from shop import Shop

pytestmark = pytest.mark.django_db
WRONG = "0000-0000-0000-0000"


def test_ten_wrong_codes_stop_one_account_and_no_other(
    shop: Shop, alice: Customer, charlie: Customer, new_voucher: NewVoucher
) -> None:
    good = new_voucher()
    order = alice.order(shop)
    answers = [alice.pay(order, WRONG).status_code for _ in range(tries.MOST)]
    stopped = alice.pay(order, good)
    assert (answers, stopped.status_code) == ([422] * tries.MOST, 429)
    assert "Nothing is locked" in stopped.content.decode()
    assert charlie.pay(charlie.order(shop), good).status_code == 302
    cache.clear()
    assert alice.pay(alice.order(shop), new_voucher()).status_code == 302, "after five minutes"


def test_right_codes_are_not_counted(shop: Shop, alice: Customer, new_voucher: NewVoucher) -> None:
    for _ in range(tries.MOST + 1):
        assert alice.pay(alice.order(shop), new_voucher()).status_code == 302


def test_account_cannot_be_read_from_what_is_kept(shop: Shop, alice: Customer) -> None:
    alice.pay(alice.order(shop), WRONG)
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key FROM core_cache")
        (kept,) = [key for (key,) in cursor.fetchall()]
    assert len(kept.rpartition("tries-")[2]) == 64
