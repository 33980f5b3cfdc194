"""A person's way through a closed service: entered, invited, active, left.

Source: docs/how-to/closed-service.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _

from ferriage.accounts import actions as accounts
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.hashing import hash_secret, new_token
from ferriage.devices import actions as devices
from ferriage.members import queries
from ferriage.members.models import Invitation, Member
from ferriage.members.userfile import LONGEST_NAME, LONGEST_REFERENCE
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans import several

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.members.models import ClosedService

INVITATION_LENGTH: Final = timedelta(days=7)
SIGN_IN_LENGTH: Final = timedelta(hours=1)


class MemberWrong(FerriageError):
    """A person who cannot be entered on the list as they were named."""

    slug = "member-wrong"
    status = 422


class NotMember(FerriageError):
    """The person is not in the state that this asks for."""

    slug = "not-member"


class InvitationUnusable(FerriageError):
    """The invitation was used, has run out, or never was one."""

    slug = "invitation"
    status = 410


@dataclass(frozen=True, slots=True)
class Accepted:
    """A member who is active now. `number` opens the account, and is never to be had again."""

    member: Member
    account: Account
    number: str


def enter(
    *,
    closed: ClosedService,
    reference: str,
    name: str,
    now: datetime,
    actor: Actor,
    language: str = "en",
) -> Member:
    """Put a person on the list of a closed service; nothing is open to them yet.

    Raises:
        MemberWrong: No or too long a name or reference, or the reference is on the list.
    """
    reference, name = reference.strip(), name.strip()
    check(reference, name)
    try:
        with writing():
            member = Member.objects.create(
                closed=closed, reference=reference, name=name, language=language, entered_at=now
            )
            audit.record(now=now, actor=actor, action="member.entered", subject=member.code)
    except IntegrityError as error:
        raise MemberWrong(
            _("The reference %(reference)s is on the list already.") % {"reference": reference},
            _("Every person has a reference of their own."),
        ) from error
    return member


def enter_and_invite(
    *,
    closed: ClosedService,
    reference: str,
    name: str,
    language: str,
    now: datetime,
    actor: Actor,
) -> tuple[Member, str]:
    """Put a person on the list and return them with the token of their invitation.

    Raises:
        MemberWrong: As `enter`.
    """
    with writing():
        member = enter(
            closed=closed, reference=reference, name=name, language=language, now=now, actor=actor
        )
        return member, invite(member=member, now=now, actor=actor)


def rename(*, member: Member, name: str, now: datetime, actor: Actor) -> Member:
    """Correct a person's name, on the list and on their account.

    Raises:
        MemberWrong: No name, or one that is too long.
    """
    name = name.strip()
    check(member.reference, name)
    with writing():
        Member.objects.filter(pk=member.pk).update(name=name)
        member.name = name
        if member.account_id:
            accounts.relabel_all(labels={member.account_id: name})
        audit.record(now=now, actor=actor, action="member.renamed", subject=member.code)
    return member


def invite(*, member: Member, now: datetime, actor: Actor, by_sign_in: bool = False) -> str:
    """Return the token of an invitation: good once, for seven days; older ones end with it.

    Somebody who left is invited back. Somebody who is active gets a new number by it, for the one
    that they lost; until they accept, everything stays as it is.

    Args:
        by_sign_in: The person has just signed in with the identity provider: it is good for an
            hour, and no account number comes of it.
    """
    with writing():
        Member.objects.filter(pk=member.pk, state=Member.State.LEFT).update(
            state=Member.State.INVITED, active_at=None, left_at=None
        )
        (token,) = invite_all(members=[member], now=now, actor=actor, by_sign_in=by_sign_in)
    member.refresh_from_db()
    return token


def invite_all(
    *, members: Sequence[Member], now: datetime, actor: Actor, by_sign_in: bool = False
) -> list[str]:
    """Return the tokens of invitations for people who have not left, in their order."""
    tokens = [new_token() for _member in members]
    length = SIGN_IN_LENGTH if by_sign_in else INVITATION_LENGTH
    with writing():
        _end_invitations(members, now)
        Invitation.objects.bulk_create(
            [
                Invitation(
                    token_hash=hash_secret("invitation", token),
                    member=member,
                    by_sign_in=by_sign_in,
                    created_at=now,
                    expires_at=now + length,
                )
                for member, token in zip(members, tokens, strict=True)
            ],
            batch_size=500,
        )
        # The audit chain is written one entry after another, so a list is one entry.
        subject = members[0].code if len(members) == 1 else ""
        if members:
            audit.record(
                now=now, actor=actor, action="member.invited", subject=subject, people=len(members)
            )
    return tokens


def accept(*, token: str, place: str, now: datetime, actor: Actor) -> Accepted:
    """Make an invited person active: account, the service's plan at price 0, gateways told.

    Who is active already gets a new number, and no more than that.

    Args:
        place: Where the person says to be (ISO 3166); the register is asked with it when they add
            a device.

    Raises:
        InvitationUnusable: Used, run out, ended by a newer one, or unknown.
    """
    with writing():
        found = queries.invitation(token, now)
        if (
            found is None
            or Invitation.objects.filter(pk=found.pk, used_at=None).update(used_at=now) != 1
        ):
            raise InvitationUnusable(
                _("This invitation cannot be used: it was accepted before or has run out."),
                _("Ask whoever sent it for a new one."),
            )
        member = found.member
        opened = _account_of(member, place, now, actor)
        if member.state == Member.State.INVITED:
            _begin(member, opened.account, now, actor)
        held = plan_queries.subscriptions_of(opened.account)
        devices.refresh_all(subscriptions=[subscription.pk for subscription in held], now=now)
        audit.record(now=now, actor=actor, action="member.accepted", subject=member.code)
    member.refresh_from_db()
    return Accepted(member, opened.account, opened.number)


def leave(*, member: Member, now: datetime, actor: Actor) -> Member:
    """Note that a person has left: held on every gateway and logged out, in one transaction.

    Raises:
        NotMember: They have left before.
    """
    if leave_all(members=[member], now=now, actor=actor) != 1:
        raise NotMember(_("%(name)s has left before.") % {"name": member.name})
    member.refresh_from_db()
    return member


def leave_all(*, members: Sequence[Member], now: datetime, actor: Actor) -> int:
    """Note that people have left, all of them or none.

    Returns:
        How many had not left before.
    """
    with writing():
        fresh = list(
            Member.objects.filter(pk__in=[member.pk for member in members])
            .exclude(state=Member.State.LEFT)
            .select_related("account")
            .order_by("pk")
        )
        _end_invitations(fresh, now)
        held: list[int] = []
        # One after another: each end is a posted period and an entry in the audit chain.
        for member in fresh:
            _become(member, member.state, Member.State.LEFT, left_at=now)
            held += _end_account(member, now, actor)
            audit.record(now=now, actor=actor, action="member.left", subject=member.code)
        devices.refresh_all(subscriptions=held, now=now)
    return len(fresh)


def check(reference: str, name: str) -> None:
    """Refuse a reference or name that the list cannot hold.

    Raises:
        MemberWrong: Empty, too long, or with control characters.
    """
    fits = 0 < len(reference) <= LONGEST_REFERENCE and 0 < len(name) <= LONGEST_NAME
    if not fits or not (reference + name).isprintable():
        raise MemberWrong(
            _(
                "A person needs a name (at most %(name)d characters) and a personnel or member "
                "reference (at most %(reference)d)."
            )
            % {"name": LONGEST_NAME, "reference": LONGEST_REFERENCE}
        )


def _begin(member: Member, account: Account, now: datetime, actor: Actor) -> None:
    """Make a person active and grant what their service gives."""
    _become(member, Member.State.INVITED, Member.State.ACTIVE, account=account, active_at=now)
    # A closed service has one subscription for each of its people, however often they come back.
    held = several.subscriptions_to(account, member.closed.service)
    plans.grant(
        account=account,
        plan=member.closed.plan,
        subscription=held[0] if held else None,
        starts_at=now,
        ends_at=None,
        reason=f"Named person of {member.closed.service.name}",
        source_code=member.code,
        now=now,
        actor=actor,
    )


def _account_of(member: Member, place: str, now: datetime, actor: Actor) -> accounts.OpenedAccount:
    """Return a new account, or the one that the person had, under a new number."""
    if member.account is None:
        return accounts.open_account(
            now=now,
            actor=actor,
            account_class=member.closed.customer_class,
            invited=True,
            place=place,
            label=member.name,
            language=member.language,
        )
    accounts.declare_place(account=member.account, place=place, now=now, actor=actor)
    return accounts.reopen_account(account=member.account, label=member.name, now=now, actor=actor)


def _end_account(member: Member, now: datetime, actor: Actor) -> list[int]:
    """End the member's account and rights; return the subscriptions to refresh."""
    if member.account is None:
        return []
    accounts.close_account(account=member.account, now=now, actor=actor)
    subscriptions = plan_queries.subscriptions_of(member.account)
    for subscription in subscriptions:
        waiting = list(subscription.lapses.filter(ended_at=None))
        if waiting:
            plans.thaw(lapses=waiting, outcome="ended", now=now, actor=actor)
        if not plan_queries.subscription_end(subscription).is_over(now):
            plans.end_at(subscription=subscription, at=now, reason="Left", now=now, actor=actor)
    return [subscription.pk for subscription in subscriptions]


def _end_invitations(members: Sequence[Member], now: datetime) -> None:
    Invitation.objects.filter(member__in=members, used_at=None, expires_at__gt=now).update(
        expires_at=now
    )


def _become(member: Member, old: str, new: str, **values: object) -> None:
    changed = Member.objects.filter(pk=member.pk, state=old).update(state=new, **values)
    if changed != 1:
        raise StaleState(_("Somebody else changed this first."), _("Look again and repeat."))
