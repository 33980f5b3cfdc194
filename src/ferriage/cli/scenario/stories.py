"""The stories: the newspaper's shop, a company's leased line, a shop in Stockholm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.accounts import actions as accounts
from ferriage.approvals.actions import QuestionAnswered
from ferriage.approvals.facts import Question
from ferriage.cli.scenario.lapsing import lapse
from ferriage.cli.scenario.stage import OLGA
from ferriage.cli.words import say
from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.devices import actions as devices
from ferriage.devices.keys import new_keypair
from ferriage.ledger.queries import trial_balance
from ferriage.members import actions as members
from ferriage.orders.models import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ferriage.approvals.facts import Verdict
    from ferriage.cli.scenario.stage import Stage

NOTICE: Final = "工信部信管函〔2017〕32号"
ITEM: Final = "二(二)4"


def nanjing(stage: Stage) -> None:
    """Play the newspaper's shop: refused at the first click, whichever way it turns."""
    seller = stage.party("An engineer in Nanjing (invented)", "CN")
    stage.step("A line from Nanjing to Tokyo, for anybody in mainland China")
    line = stage.line("Nanjing – Tokyo", seller, enter="CN", leave="JP")
    plan = stage.sell(line)
    _names_the_notice(stage, stage.refused(line))
    stage.step("A customer orders a month")
    stage.must(stage.order(plan, "CN") is None, "nothing was sold")
    stage.step("The seller concludes that nothing is required")
    stage.conclude(line)
    try:
        stage.determine(line, [Question("cross", "CN")])
    except QuestionAnswered as refusal:
        say(f"   refused for the crossing: {refusal}")
    _names_the_notice(stage, stage.refused(line))
    stage.step("The seller rents a gateway in Tokyo, so that the line enters and leaves there")
    abroad = stage.line("Tokyo", seller, enter="JP", leave="JP")
    _names_the_notice(stage, stage.refused(abroad))
    stage.must(not Order.objects.exists(), "in the end no line is open and nothing was sold")


def office_line(stage: Stage) -> None:
    """Play a company that leases a carrier's line for its own staff, at price 0."""
    company = stage.party("A company in Shanghai (invented)", "CN")
    stage.step("A line from Shanghai to Tokyo, for the company's own staff and office use")
    line = stage.line(
        "Shanghai – Tokyo",
        company,
        enter="CN",
        leave="JP",
        customer_class="own_staff",
        use="internal_office",
    )
    verdict = stage.refused(line)
    missing = any(reason.slug == "approval-missing" for reason in verdict.reasons)
    stage.must(missing, "the carrier's lease is asked for; the rest is unknown")
    stage.step("The lease is recorded")
    stage.lease(line)
    stage.refused(line)
    stage.step("The company concludes on what the packs leave unknown")
    stage.conclude(line)
    stage.opened(line)
    plan = stage.sell(line, amounts="0,0,0,0")
    stage.step("A stranger tries to buy, and to sign up")
    stage.must(stage.order(plan, "CN") is None, "nothing is sold on this line")
    try:
        accounts.open_account(now=clock.now(), actor=CUSTOMER, account_class="own_staff")
    except accounts.ClosedService as refusal:
        say(f"   refused: {refusal}")
    stage.step("Lin of the staff is invited by name, and connects a laptop")
    _serve_lin(stage, plan_code=plan.code)


def stockholm(stage: Stage) -> None:
    """Play a shop wholly in Sweden: refused, until its operator has concluded on each question."""
    seller = stage.party("A seller in Stockholm (invented)", "SE")
    stage.step("A line that enters, leaves and is sold in Sweden")
    line = stage.line("Stockholm", seller, enter="SE", leave="SE")
    plan = stage.sell(line)
    unknown = {reason.slug for reason in stage.refused(line).reasons} == {"unknown"}
    stage.must(unknown, "everything is unknown, and unknown is refused")
    stage.step("A customer in Sweden orders a month")
    stage.must(stage.order(plan, "SE") is None, "nothing was sold")
    stage.step("The seller concludes on each question; here the conclusions are invented")
    stage.conclude(line)
    stage.opened(line)
    stage.step("Customers order again")
    order = stage.order(plan, "SE")
    stage.must(order is not None, "the one in Sweden has an order")
    stage.must(stage.order(plan, "CN") is None, "the one in China has not")
    if order is not None:
        stage.pay(order)


BY_NAME: Final[Mapping[str, Callable[[Stage], None]]] = {
    "nanjing": nanjing,
    "office-line": office_line,
    "stockholm": stockholm,
    "lapse": lapse,
}


def _names_the_notice(stage: Stage, verdict: Verdict) -> None:
    named = any(NOTICE in why.source and why.clause == ITEM for why in verdict.reasons)
    stage.must(named, f"refused, by the notice {NOTICE}, item {ITEM}")


def _serve_lin(stage: Stage, *, plan_code: str) -> None:
    from ferriage.plans.models import Plan, Subscription

    closed = members.close_service(
        plan=Plan.objects.get(code=plan_code), now=clock.now(), actor=OLGA
    )
    lin, token = members.enter_and_invite(
        closed=closed,
        reference="P-17 (invented)",
        name="Lin (invented)",
        language="en",
        now=clock.now(),
        actor=OLGA,
    )
    account = members.accept(token=token, place="CN", now=clock.now(), actor=CUSTOMER).account
    device = devices.add_device(
        subscription=Subscription.objects.get(account=account),
        public_key=new_keypair().public,
        now=clock.now(),
        actor=CUSTOMER,
    )
    stage.must(device.hold_at and device.hold_at > clock.now(), "Lin's laptop may connect")
    say(f"   until {device.hold_at:%Y-%m-%dT%H:%M:%SZ}, when the first of all this lapses")
    stage.must(not Order.objects.exists() and not trial_balance(), "no order, no money: price 0")
    stage.step("Lin leaves the company")
    now = clock.now()
    members.leave(member=lin, now=now, actor=OLGA)
    device.refresh_from_db()
    stage.must(device.hold_at and device.hold_at <= now, "the laptop is held at once")
