from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, Q

from ferriage.core.hashing import hash_secret
from ferriage.devices.models import Device
from ferriage.members.models import ClosedService, Invitation, Member
from ferriage.members.userfile import Entry, report
from ferriage.plans.queries import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.members.userfile import Report
    from ferriage.plans.models import Plan


def closed_services() -> list[ClosedService]:
    """Return the closed services in the shop's order, each with `listed` and `active` counts."""
    counted = ClosedService.objects.annotate(
        listed=Count("members", filter=~Q(members__state=Member.State.LEFT)),
        active=Count("members", filter=Q(members__state=Member.State.ACTIVE)),
    )
    return list(
        counted.select_related("service", "plan__service").order_by("service__position", "pk")
    )


def closed_service(slug: str) -> ClosedService | None:
    """Return the closed service of a short name, or nothing."""
    rows = ClosedService.objects.select_related("service", "plan__service")
    return rows.filter(service__slug=slug).first()


def class_of(plan: Plan) -> str:
    """Return the class that a plan's lines are for; empty for the public, or without a line."""
    classes = {line.customer_class for line in lines_of(plan)}
    return classes.pop() if len(classes) == 1 and "public" not in classes else ""


def places_of(closed: ClosedService) -> list[str]:
    """Return the places that the lines of the members' plan may serve."""
    return sorted({place for line in lines_of(closed.plan) for place in line.sell_places})


def invitation(token: str, now: datetime) -> Invitation | None:
    """Return an invitation that can still be accepted, or nothing."""
    return (
        Invitation.objects.filter(
            token_hash=hash_secret("invitation", token),
            used_at__isnull=True,
            expires_at__gt=now,
            member__state__in=[Member.State.INVITED, Member.State.ACTIVE],
        )
        .select_related("member__closed__service", "member__closed__plan", "member__account")
        .first()
    )


def member_of(account: Account) -> Member | None:
    """Return whose account it is, where it is one of a closed service."""
    if account.account_class == "public":
        return None
    rows = Member.objects.filter(account=account)
    return rows.select_related("closed__service", "closed__plan").first()


def known_by(closed: ClosedService, *, issuer: str, subject: str) -> Member | None:
    """Return who signed in before with an identity of the provider, or nothing."""
    return Member.objects.filter(closed=closed, issuer=issuer, subject=subject).first()


def report_on(*, closed: ClosedService, text: str, languages: Iterable[str]) -> Report:
    """Return what a file would change on the list of a closed service; changes nothing."""
    members = list(Member.objects.filter(closed=closed).order_by("pk"))
    return report(text=text, members=members, languages=languages)


def entries(members: Sequence[Member]) -> list[Entry]:
    """Return lines of the user file for members, with one more query for all their devices."""
    accounts = [member.account_id for member in members if member.account_id]
    rows = (
        Device.objects.filter(subscription__account__in=accounts, removed_at__isnull=True)
        .order_by()
        .values_list("subscription__account")
        .annotate(count=Count("pk"))
    )
    counts = dict(rows)
    return [Entry(member, counts.get(member.account_id, 0)) for member in members]
