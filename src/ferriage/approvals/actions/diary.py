"""What people note on the calendar. Tasks and due days are worked out; only this is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.evidence import keep_receipt
from ferriage.approvals.agenda import LEADS
from ferriage.approvals.diary import newest_fulfilment
from ferriage.approvals.models import Approval, Fulfilment, Incident, TaskTick
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from ferriage.approvals.actions.evidence import EvidenceFile
    from ferriage.approvals.agenda import Deadline
    from ferriage.approvals.models import Evidence
    from ferriage.core.actors import Actor

LONGEST_NOTE: Final = 500


class TaskNotBegun(FerriageError):
    """There is no such task, or its day has not come."""

    slug = "task-not-begun"


class NotShown(FerriageError):
    """A note without words or a file, or with too many words."""

    slug = "not-shown"
    status = 422


def tick(
    *, deadline: Deadline, days_before: int, note: str = "", now: datetime, actor: Actor
) -> TaskTick:
    """Note that somebody saw to a task; the next one before the same end still comes.

    Args:
        days_before: Which of the tasks, one of `agenda.LEADS`.

    Raises:
        TaskNotBegun: Its day has not come, or it is none.
        NotShown: The note is too long.
        StaleState: It is ticked off already.
    """
    begins_at = deadline.begins_at(days_before) if days_before in LEADS else None
    if deadline.at is None or begins_at is None or begins_at > now:
        raise TaskNotBegun(_("This task has not begun."), _("Look at the calendar again."))
    note = _words(note)
    with writing():
        same = TaskTick.objects.filter(
            subject=deadline.subject,
            duty=deadline.duty,
            due_at=deadline.at,
            days_before=days_before,
        )
        if same.exists():
            raise StaleState(_("This task was ticked off already."))
        row = TaskTick.objects.create(
            subject=deadline.subject,
            duty=deadline.duty,
            due_at=deadline.at,
            days_before=days_before,
            note=note,
            ticked_by=actor.code,
            ticked_at=now,
        )
        _record("task.ticked", deadline, now, actor, days_before=days_before)
    return row


def fulfil(
    *,
    deadline: Deadline,
    note: str,
    file: EvidenceFile | None = None,
    store_dir: Path,
    now: datetime,
    actor: Actor,
) -> Fulfilment:
    """Note that a duty was done, in words or with a file that is kept sealed beside them.

    Raises:
        NotShown: Neither words nor a file, or a file for a duty that no approval brings.
        StaleState: It is noted as done already.
        EvidenceRefused: The file is not one that is kept.
    """
    note = _words(note)
    approval = Approval.objects.filter(code=deadline.subject).first()
    if not note and file is None:
        raise NotShown(_("Say in words what was done, or attach a file that shows it."))
    if file is not None and approval is None:
        raise NotShown(
            _("The law itself brings this duty, so there is no approval to keep a file with."),
            _("Say in words what was done and where the paper lies."),
        )
    with writing():
        evidence = None
        if file is not None and approval is not None:
            evidence = keep_receipt(
                file=file, subject=approval.code, store_dir=store_dir, now=now, actor=actor
            )
        return _note(deadline, done=True, note=note, evidence=evidence, now=now, actor=actor)


def take_back(*, deadline: Deadline, reason: str, now: datetime, actor: Actor) -> Fulfilment:
    """Note that a duty was not done after all; what was noted before stays on record.

    Raises:
        NotShown: No reason.
        StaleState: It is not noted as done.
    """
    if not reason.strip():
        raise NotShown(_("Say why this is taken back."))
    with writing():
        return _note(deadline, done=False, note=_words(reason), now=now, actor=actor)


def note_incident(
    *, line_code: str, noticed_at: datetime, words: str, now: datetime, actor: Actor
) -> Incident:
    """Record that something happened on a line; duties that follow it stand on the calendar.

    Raises:
        NotShown: No words, too many, or an instant that has not come.
    """
    if not words.strip() or noticed_at > now:
        raise NotShown(
            _("Say what happened, and when it was noticed, which is not later than now.")
        )
    with writing():
        incident = Incident.objects.create(
            line_code=line_code,
            noticed_at=noticed_at,
            words=_words(words),
            noted_by=actor.code,
            noted_at=now,
        )
        audit.record(
            now=now, actor=actor, action="incident.noted", subject=incident.code, line=line_code
        )
    return incident


def _note(
    deadline: Deadline,
    *,
    done: bool,
    note: str,
    evidence: Evidence | None = None,
    now: datetime,
    actor: Actor,
) -> Fulfilment:
    newest = newest_fulfilment(deadline)
    if (newest is not None and newest.done) == done:
        raise StaleState(
            _("This duty is noted as done already.") if done else _("This duty is not done.")
        )
    row = Fulfilment.objects.create(
        subject=deadline.subject,
        duty=deadline.duty,
        due_at=deadline.at,
        sequence=newest.sequence + 1 if newest else 1,
        done=done,
        note=note,
        evidence=evidence,
        noted_by=actor.code,
        noted_at=now,
    )
    _record("duty.fulfilled" if done else "duty.taken_back", deadline, now, actor)
    return row


def _words(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_NOTE:
        raise NotShown(_("A note has at most %(longest)d characters.") % {"longest": LONGEST_NOTE})
    return text


def _record(
    action: str, deadline: Deadline, now: datetime, actor: Actor, **details: object
) -> None:
    due = deadline.at.isoformat() if deadline.at else ""
    audit.record(
        now=now,
        actor=actor,
        action=action,
        subject=deadline.subject,
        duty=deadline.duty,
        due=due,
        **details,
    )
