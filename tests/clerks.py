"""Clerks: processes that act on the books of one shop, all at once or killed in the middle.

    test ── one JSON line ──> this program (Django loaded once, no connection open)
                                 └─ fork ── clerk, a connection of its own ── SIGKILL at a write
                                 └─ fork ── clerk …                           they start together

`clerks` is the test's side; they act on the test's own database. A clerk that is to die does so
before its n-th write: an INSERT, an UPDATE, a DELETE or a COMMIT. With n one above their number it
comes to its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ferriage.config import Config

KILLED = "killed"
_WRITES = ("INSERT", "UPDATE", "DELETE")


class Clerks:
    """Starts the program and ends it; `act` is one order to it, on the database in use."""

    def __init__(self, config: Config) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ferriage.core.settings",
            "FERRIAGE_SITE_DATA_DIR": str(config.data_dir),
            "FERRIAGE_DATABASE_URL": config.database.url,
        }
        self.program = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        # Whatever it was asked is answered, so nothing is cut off.
        with self.program:
            self.program.kill()

    def act(self, *acts: tuple[str, dict[str, Any]], die_at: int = 0) -> list[str]:
        """Let a clerk do each act, all together; returns what each came to."""
        database = str(connections["default"].settings_dict["NAME"])
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(json.dumps([database, acts, die_at]) + "\n")
        self.program.stdin.flush()
        outcomes: list[str] = json.loads(self.program.stdout.readline())
        return outcomes


@pytest.fixture(scope="session")
def clerks_program(template_database: Config) -> Iterator[Clerks]:
    """One program for all tests: loading Django takes longer than most of them."""
    with Clerks(template_database) as clerks:
        yield clerks


@pytest.fixture
def clerks(clerks_program: Clerks, own_database: Config) -> Clerks:  # noqa: ARG001 -- they act on it
    return clerks_program


# --- the program ------------------------------------------------------------------------------


def serve() -> None:
    """Do as each line says and answer it."""
    import django

    django.setup()
    from django.conf import settings

    from ferriage.approvals import packs

    law = replace(settings.FERRIAGE.approvals, packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(settings.FERRIAGE, approvals=law)
    acts_by_name = _acts()
    for line in sys.stdin:
        database, acts, die_at = json.loads(line)
        connections["default"].settings_dict["NAME"] = database
        gate, opening = os.pipe()
        clerks = [_fork(acts_by_name[name], how, die_at, gate, opening) for name, how in acts]
        for _pid, answers in clerks:
            os.read(answers, 1)
        os.close(opening)
        outcomes = [_outcome(pid, answers) for pid, answers in clerks]
        os.close(gate)
        sys.stdout.write(json.dumps(outcomes) + "\n")
        sys.stdout.flush()


def _fork(
    act: Callable[..., str], how: dict[str, Any], die_at: int, gate: int, opening: int
) -> tuple[int, int]:
    """Start a clerk; it says that it is ready and waits until the gate opens."""
    answers, answer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(answer)
        return pid, answers
    os.close(opening)
    _connect(die_at)
    os.write(answer, b"r")
    os.read(gate, 1)
    try:
        outcome = act(**how)
    except Exception as error:  # noqa: BLE001 -- the test compares them all
        outcome = type(error).__name__
    os.write(answer, outcome.encode())
    os._exit(0)


def _outcome(pid: int, answers: int) -> str:
    outcome = os.read(answers, 1000).decode()
    os.close(answers)
    _pid, status = os.waitpid(pid, 0)
    return KILLED if os.WIFSIGNALED(status) else outcome


def _connect(die_at: int) -> None:
    """Open the clerk's connection, and let it die before one of its writes."""
    connection = connections["default"]
    connection.ensure_connection()
    left = die_at
    commit = connection._commit

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.lstrip().upper().startswith(_WRITES):
            count()
        return execute(sql, *rest)

    def commit_counted() -> Any:
        count()
        return commit()

    connection.execute_wrappers.append(write)
    connection._commit = commit_counted


def _acts() -> dict[str, Callable[..., str]]:
    from ferriage.cli import serve
    from ferriage.core.actors import CUSTOMER, Actor
    from ferriage.core.money import Money
    from ferriage.orders import actions as orders
    from ferriage.orders.models import Order
    from ferriage.payments import actions as payments
    from ferriage.payments import tasks
    from ferriage.payments.models import Payment, Refund, StatementFile
    from ferriage.payments.providers.bank import booking

    staff = Actor("staff", "olga")

    def book(*, reference: str, number: str, minor: int, now: str) -> str:
        return payments.book_receipt(
            reference=reference,
            transaction_id=number,
            money=Money(minor, "CNY"),
            now=_at(now),
            actor=staff,
        ).outcome

    def redeem(*, order: str, code: str, now: str) -> str:
        found = Order.objects.get(code=order)
        return payments.redeem_voucher(order=found, code=code, now=_at(now), actor=CUSTOMER).outcome

    def end(*, order: str, at: str, now: str) -> str:
        subscription = Order.objects.get(code=order).subscription
        assert subscription is not None
        orders.end_subscription(
            subscription=subscription, at=_at(at), reason="Asked", now=_at(now), actor=staff
        )
        return "ended"

    def recognise(*, now: str) -> str:
        return str(orders.recognise(now=_at(now)))

    def refund(*, payment: str, now: str) -> str:
        found = Payment.objects.get(code=payment)
        payments.refund_unallocated(payment=found, now=_at(now), actor=staff)
        return "queued"

    def pay_back(*, refund: str, now: str) -> str:
        found = Refund.objects.get(code=refund)
        payments.mark_refund_paid(refund=found, reference="B-1", now=_at(now), actor=staff)
        return "paid"

    def work(*, now: str) -> str:
        return str(tasks.run(_at(now)))

    def work_through(*, now: str) -> str:
        looked = serve._round(_at(now))
        return f"{looked.failed} failed"

    def post_statement(*, file: str, now: str) -> str:
        found = StatementFile.objects.get(code=file)
        booking.post_file(file=found, now=_at(now), actor=staff)
        return "posted"

    acts = [book, redeem, end, recognise, refund, pay_back, work, work_through, post_statement]
    more = _acts_of_selling() | _acts_over_the_net() | _acts_of_arrival()
    more |= _acts_of_recalls()
    return {act.__name__: act for act in acts} | more


def _acts_of_selling() -> dict[str, Callable[..., str]]:
    from ferriage.accounts.models import Account
    from ferriage.core.actors import CUSTOMER, Actor
    from ferriage.core.money import Money
    from ferriage.orders import actions as orders
    from ferriage.orders.models import Balance, Order
    from ferriage.payments import payback, topups
    from ferriage.plans.models import Price

    def credit(*, order: str, now: str) -> str:
        found = Order.objects.get(code=order)
        return orders.pay_from_balance(order=found, now=_at(now), actor=CUSTOMER).state

    def reserve(*, order: str, minor: int, now: str) -> str:
        found = Order.objects.get(code=order)
        paid = orders.pay_from_balance(order=found, minor=minor, now=_at(now), actor=CUSTOMER)
        return str(paid.credit_minor)

    def order(*, account: int, price: str, coupon: str, now: str) -> str:
        return orders.place(
            account=Account.objects.get(pk=account),
            price=Price.objects.select_related("plan__service").get(code=price),
            place="XD",
            coupon=coupon,
            now=_at(now),
            expires_at=_at(now) + timedelta(hours=72),
            actor=CUSTOMER,
        ).state

    def expire(*, now: str) -> str:
        return str(orders.expire_due(now=_at(now), actor=Actor("system", "worker")))

    def return_topup(*, order: str, now: str) -> str:
        found = Order.objects.get(code=order)
        topups.return_topup(order=found, now=_at(now), actor=CUSTOMER)
        return "returned"

    def ask_back(*, account: int, minor: int, seen: int, now: str) -> str:
        refunds = payback.ask(
            balance=Balance.objects.get(account=account, currency="CNY"),
            money=Money(minor, "CNY"),
            seen=seen,
            with_changes=True,
            now=_at(now),
            actor=CUSTOMER,
        )
        return str(sum(refund.amount_minor for refund in refunds))

    acts = [credit, reserve, order, expire, return_topup, ask_back]
    return {act.__name__: act for act in acts}


def _acts_of_recalls() -> dict[str, Callable[..., str]]:
    from ferriage.core.actors import Actor
    from ferriage.payments import disputes, recalls
    from ferriage.payments.models import Dispute, Payment, StatementLine
    from ferriage.payments.providers.bank import booking

    staff = Actor("staff", "olga")

    def take_back(*, line: int, payment: str, now: str) -> str:
        booking.take_back_with(
            line=StatementLine.objects.get(pk=line),
            payment=Payment.objects.get(code=payment),
            now=_at(now),
            actor=staff,
        )
        return "open"

    def win_recall(*, dispute: str, payment: str, now: str) -> str:
        found, came = Dispute.objects.get(code=dispute), Payment.objects.get(code=payment)
        return recalls.win(dispute=found, payment=came, now=_at(now), actor=staff).outcome

    def lose(*, dispute: str, now: str) -> str:
        found = Dispute.objects.get(code=dispute)
        return str(disputes.lose(dispute=found, now=_at(now), actor=staff))

    def void_recall(*, dispute: str, now: str) -> str:
        recalls.void(
            dispute=Dispute.objects.get(code=dispute),
            account="expenses:fees",
            reason="Ours",
            now=_at(now),
            actor=staff,
        )
        return "void"

    acts = [take_back, win_recall, lose, void_recall]
    return {act.__name__: act for act in acts}


def _acts_of_arrival() -> dict[str, Callable[..., str]]:
    from ferriage.arrivals import sources
    from ferriage.arrivals.actions import take_over
    from ferriage.arrivals.mapping import read
    from ferriage.arrivals.numberlist import NumberList
    from ferriage.core.actors import Actor

    command = Actor("command", "import")

    def arrive(*, mapping: str, dump: str, numbers: str, now: str) -> str:
        rules, at = read(mapping), _at(now)
        people = sources.read("v2board", Path(dump)).customers
        with NumberList(Path(numbers)) as kept:
            for page in (people[:5], people[5:]):
                take_over(customers=page, rules=rules, keep=kept.add, now=at, actor=command)
        return "arrived"

    return {"arrive": arrive}


def _acts_over_the_net() -> dict[str, Callable[..., str]]:
    from ferriage.core.actors import CUSTOMER, Actor
    from ferriage.orders.models import Order
    from ferriage.payments import actions as payments
    from ferriage.payments import inbox, matching, refunding, settlement
    from ferriage.payments.models import ProviderAccount, Refund
    from ferriage.payments.providers import registry
    from ferriage.payments.providers.contract import RawEvent, Urls
    from stand_in import StandIn

    registry.KINDS[StandIn.slug] = StandIn
    staff = Actor("staff", "olga")

    def callback(*, body: str, signature: str, now: str) -> str:
        raw = RawEvent(body.encode(), {"x-signature": signature}, _at(now))
        (event,) = inbox.receive(slug=StandIn.slug, raw=raw, now=_at(now))
        return matching.handle(event=event, now=_at(now))

    def begin(*, order: str, now: str) -> str:
        found = Order.objects.get(code=order)
        urls = Urls("https://a.example", "https://b.example", "https://c.example")
        return payments.start(
            order=found, slug=StandIn.slug, urls=urls, now=_at(now), actor=CUSTOMER
        ).state

    def send(*, refund: str, now: str) -> str:
        found = Refund.objects.select_related("payment__account").get(code=refund)
        return refunding.send(refund=found, now=_at(now), actor=staff).state

    def read_books(*, account: str, now: str) -> str:
        found = ProviderAccount.objects.get(code=account)
        return str(settlement.read_books(account=found, now=_at(now)))

    acts = [callback, begin, send, read_books]
    return {act.__name__: act for act in acts}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    serve()
