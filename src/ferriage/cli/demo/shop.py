"""What the shop's staff do in the demo: each is one of the actions behind their pages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.cli import catalogue
from ferriage.core import clock
from ferriage.core.actors import Actor
from ferriage.core.money import Money

if TYPE_CHECKING:
    from ferriage.approvals.models import Approval
    from ferriage.fleet.actions import NewGateway
    from ferriage.fleet.models import Line
    from ferriage.payments.actions import Captured
    from ferriage.payments.models import ProviderAccount
    from ferriage.plans.models import Price, Subscription

OLGA: Final = Actor("staff", "olga")
PAUL: Final = Actor("staff", "paul")
PLACE: Final = "XD"
CURRENCY: Final = "CNY"
AMOUNTS: Final = (1000, 5000, 9000, 12000)
"""10 yuan for a month, 50 for six months, 90 for a year, 120 for two."""


@dataclass(frozen=True)
class Opened:
    """The lawful shop."""

    line: Line
    approval: Approval


def plan_line(*, seller: str, name: str, place: str, leave: str) -> Line:
    """Record a party and the line it would operate."""
    from ferriage.approvals.actions import create_party
    from ferriage.fleet.actions import create_line

    party = create_party(name=seller, place=place, now=clock.now(), actor=OLGA)
    return create_line(
        name=name,
        party=party,
        enter_place=place,
        exit_place=leave,
        sell_places=(place,),
        customer_class="public",
        use="resale",
        now=clock.now(),
        actor=OLGA,
    )


def try_to_open(line: Line) -> list[str]:
    """Put a line in service; return the register's reasons when it is refused."""
    from ferriage.approvals.reasons import sentence
    from ferriage.approvals.site import packs_in_force
    from ferriage.fleet.actions import LineRefused, put_in_service

    try:
        put_in_service(line=line, now=clock.now(), actor=OLGA)
    except LineRefused as refusal:
        return [sentence(reason, "en", packs_in_force()) for reason in refusal.verdict.reasons]
    return []


def enter_approval(line: Line) -> Approval:
    """Record the authority's grant with its document; it does not count until verified."""
    from ferriage.approvals import actions
    from ferriage.approvals.site import evidence_dir, packs_in_force

    approval = actions.record_approval(
        kind="XD-PUBLIC-VPN",
        holder=line.party,
        line_codes=[line.code],
        packs=packs_in_force(),
        now=clock.now(),
        actor=OLGA,
    )
    today = clock.now().date()
    issued = actions.Issued(
        number="XD-2026-0001", valid_from=today, valid_to=today + 3 * timedelta(days=365)
    )
    document = actions.EvidenceFile(
        data=b"Line Office of Demoland (invented): licence XD-2026-0001\n",
        title="Licence XD-2026-0001",
        media_type="text/plain",
    )
    return actions.grant(
        approval=approval,
        issued=issued,
        file=document,
        store_dir=evidence_dir(),
        now=clock.now(),
        actor=OLGA,
    )


def verify(approval: Approval, actor: Actor) -> str:
    """Verify an approval; return the refusal when there is one."""
    from ferriage.approvals.actions import SamePerson
    from ferriage.approvals.actions import verify as verify_approval

    try:
        verify_approval(approval=approval, now=clock.now(), actor=actor)
    except SamePerson as refusal:
        return str(refusal)
    return ""


def fill_shelves(line: Line) -> None:
    """Put services, plans and the story's prices on sale."""
    prices = [Money(amount, CURRENCY) for amount in AMOUNTS]
    catalogue.fill(line=line, prices=prices, now=clock.now(), actor=OLGA)
    set_up_tax(line)


def set_up_tax(line: Line) -> None:
    """Say that the operator is a small business: no tax, and an invoice for every sale."""
    from ferriage.orders.actions import taxes

    taxes.set_up_tax(
        party=line.party,
        regime="small",
        home_place=PLACE,
        address="Quay 1\n10000 Demo Town",
        tax_id="",
        exempt_sentence="Small business: no tax is charged.",
        now=clock.now(),
        actor=OLGA,
    )


def month_price() -> Price:
    """Return the price of one month of the first service."""
    from ferriage.plans.models import Price

    found = Price.objects.filter(term_months=1, valid_to=None).order_by("plan__service__position")
    return found[0]


def add_gateway(line: Line, *, host: str, port: int) -> NewGateway:
    """Record a gateway that serves the line, and make its one-time token."""
    from ferriage.fleet import actions

    new = actions.create_gateway(
        name="demo",
        place=PLACE,
        endpoint_host=host,
        endpoint_port=port,
        now=clock.now(),
        actor=OLGA,
    )
    actions.assign(gateway=new.gateway, line=line, now=clock.now(), actor=OLGA)
    return new


def gateway_is_live() -> bool:
    """Tell whether the gateway reported the line as open."""
    from ferriage.fleet.models import PoolGateway

    return PoolGateway.objects.filter(line_open=True).exists()


def book_receipt(reference: str) -> Captured:
    """Book the money that the bank's statement shows."""
    from ferriage.payments.actions import book_receipt as book

    return book(
        reference=reference,
        transaction_id="demo-bank-0001",
        money=Money(AMOUNTS[0], CURRENCY),
        now=clock.now(),
        actor=OLGA,
    )


def issue_vouchers(price: Price, count: int) -> list[str]:
    """Sell vouchers for one month and return their codes."""
    from ferriage.payments.actions import issue_vouchers as issue

    money = Money(price.amount_minor, price.currency)
    return issue(
        name="Demo",
        plan=price.plan,
        term_months=price.term_months,
        money=money,
        count=count,
        kind="sold",
        paid_per_code=money,
        now=clock.now(),
        actor=OLGA,
    ).codes


def add_sandbox(*, key: str, webhook_secret: str, address: str) -> ProviderAccount:
    """Let customers pay by card, at the sandbox and in test mode."""
    from ferriage.payments.accounts import add_provider

    return add_provider(
        slug="stripe",
        label="Card (sandbox)",
        mode="test",
        secrets={"key": key, "webhook_secret": webhook_secret, "address": address},
        now=clock.now(),
        actor=OLGA,
    )


def settled_payment(order: str) -> str:
    """Return the code of the payment that settled an order, empty while there is none."""
    from ferriage.payments.models import Payment

    found = Payment.objects.filter(order__code=order, outcome="settled").first()
    return found.code if found else ""


def subscription() -> Subscription:
    """Return the demo's one subscription."""
    from ferriage.plans.models import Subscription

    return Subscription.objects.get()


def end_in(seconds: int) -> float:
    """End the subscription early, some seconds from now; return the instant as Unix time."""
    from ferriage.orders.actions import end_subscription

    at = clock.from_unix(clock.unix(clock.now()) + seconds)
    end_subscription(
        subscription=subscription(), at=at, reason="The demo ends", now=clock.now(), actor=OLGA
    )
    return at.timestamp()


def metered() -> tuple[int, int]:
    """Return the bytes that gateways reported, down and up."""
    from ferriage.fleet.models import PoolUsage

    rows = PoolUsage.objects.all()
    return sum(row.bytes_down for row in rows), sum(row.bytes_up for row in rows)


# --- books ------------------------------------------------------------------------------------


def export_books(path: Path) -> str:
    """Write the books for Beancount and let it judge them, if it is installed."""
    from ferriage.ledger.export import beancount

    path.write_text("".join(f"{line.rstrip()}\n" for line in beancount()), encoding="utf-8")
    program = shutil.which("bean-check") or str(Path(sys.executable).with_name("bean-check"))
    if not Path(program).exists():
        return "not installed"
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() or "accepted"
