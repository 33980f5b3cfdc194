"""Taking customers over: an account for each, the time that they held, and their balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.accounts import actions as accounts
from ferriage.approvals.actions import check_clock, write_decision
from ferriage.arrivals import queries
from ferriage.arrivals.models import Arrival
from ferriage.core import audit
from ferriage.core.codes import new_code
from ferriage.core.db import writing
from ferriage.fleet.queries import line_facts
from ferriage.orders.balance import credit
from ferriage.orders.balancemodels import OPENED
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ferriage.accounts.actions import OpenedAccount
    from ferriage.arrivals.mapping import Rules
    from ferriage.arrivals.queries import Planned
    from ferriage.arrivals.sources import OldCustomer
    from ferriage.core.actors import Actor

OPENING = "equity:opening"
"""What a shop owes from before its own books: never income, and no money that came here."""


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A customer who came over, and the number of their new account: for the operator's list."""

    planned: Planned
    number: str


def take_over(
    *,
    customers: Sequence[OldCustomer],
    rules: Rules,
    keep: Callable[[Sequence[HandedOut]], None],
    now: datetime,
    actor: Actor,
) -> list[Planned]:
    """Take over those customers who may come; returns what became of each, in their order.

    All of it is judged anew in the transaction, so what happened since the report is seen, and a
    second run finds who has come already. A page of some hundred at a time keeps it short.

    Args:
        keep: Puts the new numbers where they last, before anything is committed: they are not to
            be had again. A number that was kept and not committed opens nothing.

    Raises:
        MappingWrong: The mapping names a plan that there is not.
        ClockBehind: Nobody comes while the clock is wrong.
    """
    with writing():
        check_clock(now=now)
        planned = queries.plan_all(customers=customers, rules=rules, now=now)
        coming = [one for one in planned if one.comes]
        if not coming and not any(one.fate in {"register", "outlives"} for one in planned):
            return planned
        run_code = new_code("imp")
        _decide(planned, run_code, now)
        if coming:
            _record(coming, rules, run_code, now)
            opened = _open(coming, rules, now, actor)
            _give(coming, opened, rules, run_code, now, actor)
            keep(
                [HandedOut(*pair) for pair in zip(coming, (o.number for o in opened), strict=True)]
            )
        audit.record(
            now=now,
            actor=actor,
            action="customers.came_over",
            subject=run_code,
            source=rules.source,
            with_time=sum(one.fate == "time" for one in coming),
            with_balance=sum(one.balance is not None for one in coming),
        )
    return planned


def _decide(planned: Sequence[Planned], run_code: str, now: datetime) -> None:
    """Keep the register's word on each plan and place, once for all who were judged by it."""
    judged = {
        (one.offer.offer.pk, one.place): one.offer for one in planned if one.offer is not None
    }
    for (_offer, place), view in judged.items():
        write_decision(
            subject=run_code,
            line=line_facts(view.line),
            verdict=view.verdict,
            customer_place=place,
            now=now,
        )


def _record(coming: Sequence[Planned], rules: Rules, run_code: str, now: datetime) -> None:
    # In the order of their hashes: that of the accounts would tell who is who.
    hashes = sorted(queries.customer_hash(rules.source, one.customer) for one in coming)
    Arrival.objects.bulk_create(
        Arrival(source=rules.source, customer_hash=found, run_code=run_code, arrived_at=now)
        for found in hashes
    )


def _open(
    coming: Sequence[Planned], rules: Rules, now: datetime, actor: Actor
) -> list[OpenedAccount]:
    places = [one.place for one in coming]
    return accounts.open_accounts(places=places, language=rules.language, now=now, actor=actor)


def _give(
    coming: Sequence[Planned],
    opened: Sequence[OpenedAccount],
    rules: Rules,
    run_code: str,
    now: datetime,
    actor: Actor,
) -> None:
    grants = []
    for one, account in zip(coming, opened, strict=True):
        if one.plan is not None and one.ends_at is not None:
            grants.append(plans.FirstGrant(account.account, one.plan, one.ends_at))
        if one.balance is not None:
            credit(
                account=account.account,
                money=one.balance,
                source_code=new_code("imp"),
                kind=OPENED,
                against=OPENING,
                now=now,
            )
    plans.grant_first(
        grants=grants,
        reason=f"Came over from {rules.source}",
        source_code=run_code,
        now=now,
        actor=actor,
    )
