"""The second person from outside: a link that shows one record and takes one answer.

A shop that one person runs has nobody else to look at what they entered. The link is signed, works
once, ends after a week, and reaches nothing but that record and its evidence. Whoever holds it may
answer; that this is not the person who entered the record is their word, given with name, relation
and what they looked at, and kept for everybody who asks later.

Source: docs/explanation/register.md
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User
from django.core import signing
from django.utils.translation import gettext_lazy as _

from ferriage.approvals import queries
from ferriage.approvals.actions import clockrepairs
from ferriage.approvals.actions.steps import end_links, fresh
from ferriage.approvals.actions.verification import SamePerson, check_verifiable, confirm
from ferriage.approvals.models import Approval, ClockRepair, OutsideAnswer, OutsideLink, Party
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.hashing import hash_secret, new_token

if TYPE_CHECKING:
    from datetime import datetime

LINK_LENGTH: Final = timedelta(days=7)


class OutsideLinkGone(FerriageError):
    """The link was used, has run out, or what it showed has changed."""

    slug = "outside-link"
    status = 410


class AnswerIncomplete(FerriageError):
    """Name, relation, what was looked at, or the reason of a no is missing."""

    slug = "outside-answer"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the outside person wrote. `reason` may be empty only when `confirmed`."""

    name: str
    relation: str
    looked_at: str
    confirmed: bool
    reason: str = ""


def create_outside_link(*, subject: Approval | ClockRepair, now: datetime, actor: Actor) -> str:
    """Make a link for one record and return its token; a link made before ends.

    Raises:
        NotInThisState: The approval is not granted, or the repair not open.
        EvidenceMissing: There is no file to look at.
        StaleState: It was verified already.
    """
    token = signing.Signer(salt=queries.OUTSIDE_SALT, sep=".").sign(new_token())
    with writing():
        if isinstance(subject, Approval):
            subject = fresh(subject)
            check_verifiable(subject)
            end_links(subject, now)
        else:
            clockrepairs.check_open(subject)
            OutsideLink.objects.filter(repair=subject, used_at=None, expires_at__gt=now).update(
                expires_at=now
            )
        OutsideLink.objects.create(
            token_hash=hash_secret(queries.OUTSIDE_SALT, token),
            approval=subject if isinstance(subject, Approval) else None,
            repair=subject if isinstance(subject, ClockRepair) else None,
            made_by=str(actor),
            created_at=now,
            expires_at=now + LINK_LENGTH,
        )
        audit.record(now=now, actor=actor, action="outside_link.made", subject=subject.code)
    return token


def answer_outside_link(*, token: str, answer: Answer, now: datetime) -> OutsideAnswer:
    """Record what an outside person answered; a yes verifies the record in the same transaction.

    Raises:
        OutsideLinkGone: Used, run out, unknown, or the record changed since.
        AnswerIncomplete: Something that they must write down is missing; the link stays usable.
        SamePerson: The name is that of the operator or of somebody of the house; likewise.
    """
    answer = _stripped(answer)
    _check_whole(answer)
    with writing():
        link = queries.outside_link(token, now)
        if link is None:
            raise _gone()
        _check_other_person(answer.name, link)
        used = OutsideLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now)
        if used != 1:
            raise _gone()
        given = OutsideAnswer.objects.create(
            link=link,
            approval=link.approval,
            repair=link.repair,
            name=answer.name,
            relation=answer.relation,
            looked_at=answer.looked_at,
            confirmed=answer.confirmed,
            reason=answer.reason,
            at=now,
        )
        _record_answer(given, now)
    return given


def _record_answer(given: OutsideAnswer, now: datetime) -> None:
    actor = Actor("outside", given.name)
    subject = given.approval or given.repair
    assert subject is not None  # noqa: S101 -- the database holds exactly one
    said = {"relation": given.relation, "looked_at": given.looked_at, "reason": given.reason}
    verb = "confirmed" if given.confirmed else "declined"
    audit.record(now=now, actor=actor, action=f"outside_link.{verb}", subject=subject.code, **said)
    if not given.confirmed:
        return
    if isinstance(subject, Approval):
        confirm(subject, now, actor)
    else:
        clockrepairs.confirm(subject, now, actor)


def _stripped(answer: Answer) -> Answer:
    return Answer(
        name=" ".join(answer.name.split()),
        relation=answer.relation.strip(),
        looked_at=answer.looked_at.strip(),
        confirmed=answer.confirmed,
        reason=answer.reason.strip(),
    )


def _check_whole(answer: Answer) -> None:
    if not bare(answer.name):
        raise AnswerIncomplete(_("Write your name."))
    if not answer.relation:
        raise AnswerIncomplete(_("Write what you are to the operator."))
    if not answer.looked_at:
        raise AnswerIncomplete(_("Write what you looked at."))
    if not answer.confirmed and not answer.reason:
        raise AnswerIncomplete(_("Write why you do not confirm it."))


def bare(name: str) -> str:
    """Return a name without case, accents' encoding, spaces and signs: how names are compared."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(char for char in plain if char.isalnum())


def _check_other_person(name: str, link: OutsideLink) -> None:
    """Refuse names of the house. It stops mistakes and makes a lie one in writing."""
    subject = link.approval or link.repair
    entered = link.approval.entered_by if link.approval else ""
    proposed = link.repair.proposed_by if link.repair else ""
    people = (link.made_by, entered, proposed)
    names = {bare(person.partition(":")[2] or person) for person in people}
    for first, last, login in User.objects.values_list("first_name", "last_name", "username"):
        names |= {bare(login), bare(f"{first} {last}"), bare(f"{last} {first}")}
    names |= {bare(party) for party in Party.objects.values_list("name", flat=True)}
    if bare(name) in names:
        raise SamePerson(
            _("This name belongs to the operator or to somebody who works there."),
            _("The record %s is confirmed by a person from outside, under their own name.")
            % (subject.code if subject else ""),
        )


def _gone() -> OutsideLinkGone:
    return OutsideLinkGone(
        _("This link was used, has run out, or what it showed has changed since."),
        _("Ask whoever sent it for a new one."),
    )
