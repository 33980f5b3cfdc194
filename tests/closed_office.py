"""A closed service in the invented place: a line for own staff, a plan, a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.devices import actions as devices
from ferriage.devices.keys import new_keypair
from ferriage.fleet import actions as fleet
from ferriage.members import actions
from ferriage.plans import actions as plans
from ferriage.plans.queries import subscriptions_of
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.devices.models import Device
    from ferriage.fleet.models import Line
    from ferriage.members.models import ClosedService, Member
    from ferriage.plans.models import Plan, Subscription
    from yard import EnrolledGateway, Yard


@dataclass(frozen=True)
class Office:
    """A company's line for its own staff, open, with one gateway."""

    yard: Yard
    line: Line
    plan: Plan
    closed: ClosedService
    gateway: EnrolledGateway
    now: datetime

    def listed(self, reference: str = "P-17", name: str = "Lin Mei") -> Member:
        return actions.enter(
            closed=self.closed, reference=reference, name=name, now=self.now, actor=OWNER
        )

    def active(self, reference: str = "P-17", name: str = "Lin Mei") -> actions.Accepted:
        token = actions.invite(member=self.listed(reference, name), now=self.now, actor=OWNER)
        return actions.accept(token=token, place="XD", now=self.now, actor=CUSTOMER)

    def subscription(self, accepted: actions.Accepted) -> Subscription:
        (found,) = subscriptions_of(accepted.account)
        return found

    def device(self, accepted: actions.Accepted, *, at: datetime | None = None) -> Device:
        return devices.add_device(
            subscription=self.subscription(accepted),
            public_key=new_keypair().public,
            now=at or self.now,
            actor=CUSTOMER,
        )


def office_line(yard: Yard, *, customer_class: str = "own_staff") -> Line:
    """Plan a line that is not for the public."""
    return fleet.create_line(
        name="Office",
        party=yard.party,
        enter_place="XD",
        exit_place="XD",
        sell_places=["XD"],
        customer_class=customer_class,
        use="internal_office",
        now=yard.now,
        actor=OWNER,
    )


def open_office(yard: Yard) -> Office:
    line = fleet.put_in_service(line=office_line(yard), now=yard.now, actor=OWNER)
    service = plans.create_service(slug="office", name="Office net", now=yard.now, actor=OWNER)
    plan = plans.create_plan(service=service, name="Staff", now=yard.now, actor=OWNER)
    plans.add_offer(plan=plan, line=line, now=yard.now, actor=OWNER)
    closed = actions.close_service(plan=plan, now=yard.now, actor=OWNER)
    return Office(yard, line, plan, closed, yard.gateway(line), yard.now)


@pytest.fixture
def office(yard: Yard) -> Office:
    return open_office(yard)
