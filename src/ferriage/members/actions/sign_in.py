"""Coming in by the organisation's identity provider: remembered on the way, judged on the return.

Source: docs/decisions/0019-named-people.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from ferriage.accounts import actions as accounts
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.hashing import hash_secret
from ferriage.members import queries
from ferriage.members.actions.membership import MemberWrong, check, enter, invite, leave_all
from ferriage.members.models import Member, SignInAttempt
from ferriage.members.provider import SignInRefused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.config import SignInConfig
    from ferriage.core.actors import Actor
    from ferriage.members.models import ClosedService
    from ferriage.members.provider import Errand, Identity

ATTEMPT_LENGTH: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class CameIn:
    """An active member. `account` is theirs."""

    member: Member
    account: Account


@dataclass(frozen=True, slots=True)
class MustAccept:
    """Somebody who may come in once they have accepted; `token` is their invitation."""

    member: Member
    token: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Somebody who may not come in. What was found out about them is kept: see `sign_in`."""

    message: object
    remedy: object


def begin_sign_in(*, errand: Errand, now: datetime) -> None:
    """Remember a browser that goes to the identity provider, for ten minutes."""
    with writing():
        SignInAttempt.objects.filter(expires_at__lte=now).delete()
        SignInAttempt.objects.create(
            state_hash=hash_secret("sign-in", errand.state),
            nonce=errand.nonce,
            verifier=errand.verifier,
            expires_at=now + ATTEMPT_LENGTH,
        )


def take_attempt(*, state: str, now: datetime) -> SignInAttempt:
    """Return what was remembered of a browser that comes back, and forget it: it works once.

    Raises:
        SignInRefused: Nothing was remembered, it was used before, or it took too long.
    """
    with writing():
        rows = SignInAttempt.objects.filter(
            state_hash=hash_secret("sign-in", state), expires_at__gt=now
        )
        attempt = rows.first()
        if attempt is None or rows.delete()[0] != 1:
            raise SignInRefused(
                _("This sign-in was finished before, took too long, or was not begun here."),
                _("Begin it anew."),
            )
    return attempt


def sign_in(
    *, closed: ClosedService, identity: Identity, rules: SignInConfig, now: datetime, actor: Actor
) -> CameIn | MustAccept | TurnedAway:
    """Let in whom the provider names, if they are on the list or the claims alone suffice.

    Whether the person may come in is asked each time. A member of whom the provider says that they
    may not any more is marked as left, so their devices are held although they are turned away.
    """
    with writing():
        reference = _text(identity.claims, rules.reference_claim)
        member = _find(closed, identity, reference)
        if isinstance(member, TurnedAway):
            return member
        missing = _missing(identity.claims, rules)
        if missing:
            if member is not None and member.state == Member.State.ACTIVE:
                leave_all(members=[member], now=now, actor=actor)
            return missing
        if member is None:
            member = _new(closed, identity, rules, reference, now, actor)
        if isinstance(member, TurnedAway):
            return member
        if member.state == Member.State.LEFT:
            return TurnedAway(
                _("You have left %(service)s.") % {"service": closed.service.name},
                _("If that is not so, ask its operator to invite you back."),
            )
        _bind(member, identity, now, actor)
        if member.account is None or member.state == Member.State.INVITED:
            token = invite(member=member, now=now, actor=actor, by_sign_in=True)
            return MustAccept(member, token)
        return CameIn(member, member.account)


def _find(closed: ClosedService, identity: Identity, reference: str) -> Member | TurnedAway | None:
    """Return who signed in before, or who is on the list by that reference and never has."""
    known = queries.known_by(closed, issuer=identity.issuer, subject=identity.subject)
    if known is not None:
        return known
    listed = Member.objects.filter(closed=closed, reference=reference).first()
    if listed is not None and listed.subject:
        return TurnedAway(
            _("Somebody else has signed in as %(reference)s before.") % {"reference": reference},
            _("Ask the operator of this service to look into it."),
        )
    return listed


def _new(
    closed: ClosedService,
    identity: Identity,
    rules: SignInConfig,
    reference: str,
    now: datetime,
    actor: Actor,
) -> Member | TurnedAway:
    if rules.listed_only:
        return TurnedAway(
            _("You are not on the list of %(service)s.") % {"service": closed.service.name},
            _("Ask its operator to enter you."),
        )
    name = _text(identity.claims, rules.name_claim)
    try:
        check(reference, name)
    except MemberWrong as wrong:
        return TurnedAway(
            _("The identity provider does not say who you are."),
            f"{wrong.message} ({rules.reference_claim}, {rules.name_claim})",
        )
    return enter(closed=closed, reference=reference, name=name, now=now, actor=actor)


def _bind(member: Member, identity: Identity, now: datetime, actor: Actor) -> None:
    """Tie a member to the provider's name for them. Their number opens nothing from now on."""
    if member.subject:
        return
    Member.objects.filter(pk=member.pk, subject="").update(
        issuer=identity.issuer, subject=identity.subject
    )
    member.issuer, member.subject = identity.issuer, identity.subject
    if member.account is not None:
        accounts.withdraw_number(account=member.account, now=now, actor=actor)
    audit.record(now=now, actor=actor, action="member.bound", subject=member.code)


def _missing(claims: Mapping[str, Any], rules: SignInConfig) -> TurnedAway | None:
    """Return what the provider does not say of somebody whom it should let in."""
    if rules.active_claim and claims.get(rules.active_claim) not in (True, "true"):
        return TurnedAway(
            _("Your organisation does not say that you are active."),
            _("Ask whoever looks after its accounts."),
        )
    if rules.required_claim and not _holds(claims.get(rules.required_claim), rules.required_value):
        return TurnedAway(
            _("Your organisation has not given you this service."),
            _("Ask whoever looks after its accounts."),
        )
    return None


def _holds(claim: object, value: str) -> bool:
    """Tell whether a claim is a value, or holds it among others; without one, whether it is set."""
    if isinstance(claim, list):
        return value in claim if value else bool(claim)
    return str(claim) == value if value and claim is not None else bool(claim)


def _text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim as text; empty where it is none that could name somebody."""
    claim = claims.get(name, "")
    is_number = isinstance(claim, int) and not isinstance(claim, bool)
    return str(claim).strip() if isinstance(claim, str) or is_number else ""
