"""Guessing numbers and codes: who tries too often waits, and nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse

from ferriage.web.portal import tries

if TYPE_CHECKING:
    from conftest import Customer, NewVoucher
    from shop import Shop

pytestmark = pytest.mark.django_db
WRONG = "0000-0000-0000-0000"


def log_in(number: str, address: str, client: Client | None = None) -> int:
    answer = (client or Client()).post(reverse("log-in"), {"number": number}, REMOTE_ADDR=address)
    return answer.status_code


def test_ten_wrong_numbers_stop_one_address_and_no_other(alice: Customer) -> None:
    guesser, neighbour = "2001:4860:4860::1", "2001:4860:4861::1"
    assert [log_in(WRONG, guesser) for _ in range(11)] == [422] * 10 + [429]
    assert log_in(alice.number, "2001:4860:4860:0:ffff::2") == 429, "the same household's network"
    assert log_in(alice.number, neighbour) == 302
    cache.clear()
    assert log_in(alice.number, guesser) == 302, "once the five minutes are over"


def test_right_numbers_are_not_counted(alice: Customer) -> None:
    assert [log_in(alice.number, "9.9.9.9") for _ in range(12)] == [302] * 12


def test_refusal_says_what_to_do() -> None:
    for _ in range(tries.MOST):
        log_in(WRONG, "9.9.9.9")
    answer = Client().post(reverse("log-in"), {"number": WRONG}, REMOTE_ADDR="9.9.9.9")
    assert "Wait five minutes and try again. Nothing is locked" in answer.content.decode()


def test_many_guessers_have_few_tries_each_and_others_come_in(alice: Customer) -> None:
    cache.set("tries", tries.MOST_OF_ALL + 1, tries.SECONDS)
    assert [log_in(WRONG, "9.9.9.9") for _ in range(4)] == [422] * 3 + [429]
    assert log_in(alice.number, "8.8.8.8") == 302


def test_behind_a_proxy_only_wrong_ones_are_refused(alice: Customer) -> None:
    cache.set("tries", tries.MOST_OF_ALL, tries.SECONDS)
    assert log_in(WRONG, "127.0.0.1") == 429
    assert log_in(alice.number, "127.0.0.1") == 302


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
    assert log_in(charlie.number, "127.0.0.1") == 302


def test_neither_account_nor_address_is_kept_in_the_clear() -> None:
    log_in(WRONG, "9.9.9.9")
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key FROM core_cache")
        kept = [key for (key,) in cursor.fetchall()]
    assert len(kept) == 2
    assert not any("9.9.9.9" in key for key in kept)
