"""Which services are for named people only, and what each of them gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.members import queries
from ferriage.members.models import ClosedService, Member

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.plans.models import Plan


class ServiceWrong(FerriageError):
    """A service that cannot be closed, or not with this plan."""

    slug = "closed-service-wrong"
    status = 422


def close_service(*, plan: Plan, now: datetime, actor: Actor) -> ClosedService:
    """Make a plan the one that the named people of its service get.

    Who holds another plan of the service keeps it; who becomes active from now on gets this one.

    Raises:
        ServiceWrong: The plan has no line for own staff or an organisation, was withdrawn, or is
            for another class than the people who are on the service's list.
    """
    with writing():
        customer_class = queries.class_of(plan)
        if not customer_class or plan.withdrawn_at:
            raise ServiceWrong(
                _("This plan is on no line for own staff or an organisation's members."),
                _("Offer it on such a line first."),
            )
        listed = Member.objects.filter(closed__service=plan.service)
        if listed.exclude(closed__customer_class=customer_class).exists():
            raise ServiceWrong(
                _("The people of this service are of another class than the plan's lines."),
                _("Choose a plan on a line of their class, or make a service of its own."),
            )
        closed, _created = ClosedService.objects.update_or_create(
            service=plan.service, defaults={"plan": plan, "customer_class": customer_class}
        )
        audit.record(
            now=now,
            actor=actor,
            action="service.closed",
            subject=plan.service.code,
            plan=plan.code,
            customer_class=customer_class,
        )
    return closed
