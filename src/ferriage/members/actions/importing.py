"""Taking over a list of people from a file: all of it, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.accounts import actions as accounts
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.members import queries
from ferriage.members.actions.membership import invite_all, leave_all
from ferriage.members.models import Member

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.members.models import ClosedService
    from ferriage.members.userfile import Planned, Report


class FileWrong(FerriageError):
    """A file with a fault, of which nothing was taken over; `report` names the lines."""

    slug = "user-file"
    status = 422

    def __init__(self, report: Report) -> None:
        first = report.faults[0]
        super().__init__(
            _("Line %(line)d: %(fault)s") % {"line": first.line, "fault": first.text},
            _("Nothing was changed. Mend the file and hand it in again."),
        )
        self.report = report


@dataclass(frozen=True, slots=True)
class Imported:
    """What was done. `tokens` are invitations of those who joined, by member, if asked for."""

    joined: int
    renamed: int
    left: int
    tokens: tuple[tuple[Member, str], ...]


def import_file(
    *,
    closed: ClosedService,
    text: str,
    languages: Iterable[str],
    digest: str,
    leave_missing: bool,
    with_invitations: bool,
    now: datetime,
    actor: Actor,
) -> Imported:
    """Do what the report of a file said: enter and rename people and, if told, let some leave.

    Args:
        digest: That of the report which was looked at.
        leave_missing: The file is the whole list: whoever is not in it has left.
        with_invitations: Make an invitation for everybody who joins.

    Raises:
        FileWrong: A line has a fault; nothing was changed.
        StaleState: List or file are not those of the report.
    """
    with writing():
        report = queries.report_on(closed=closed, text=text, languages=languages)
        if report.faults:
            raise FileWrong(report)
        if report.digest != digest:
            raise StaleState(
                _("The list was changed since this report was made."), _("Look at a new report.")
            )
        joined = _join(closed, report, now)
        renamed = _rename(report)
        left = leave_all(members=report.missing, now=now, actor=actor) if leave_missing else 0
        audit.record(
            now=now,
            actor=actor,
            action="members.imported",
            subject=closed.service.code,
            joined=len(joined),
            renamed=renamed,
            left=left,
        )
        tokens = invite_all(members=joined, now=now, actor=actor) if with_invitations else []
    return Imported(len(joined), renamed, left, tuple(zip(joined, tokens, strict=False)))


def _join(closed: ClosedService, report: Report, now: datetime) -> list[Member]:
    made = Member.objects.bulk_create(
        [
            Member(
                closed=closed,
                reference=planned.row.reference,
                name=planned.row.name,
                language=planned.row.language or "en",
                entered_at=now,
            )
            for planned in report.planned
            if planned.change == "new"
        ],
        batch_size=500,
    )
    back = [_renamed(planned) for planned in report.planned if planned.change == "returns"]
    for member in back:
        member.state, member.active_at, member.left_at = Member.State.INVITED, None, None
    fields = ["name", "state", "active_at", "left_at"]
    Member.objects.bulk_update(back, fields, batch_size=500)
    return [*made, *back]


def _rename(report: Report) -> int:
    changed = [_renamed(planned) for planned in report.planned if planned.change == "renamed"]
    Member.objects.bulk_update(changed, ["name"], batch_size=500)
    accounts.relabel_all(
        labels={member.account_id: member.name for member in changed if member.account_id}
    )
    return len(changed)


def _renamed(planned: Planned) -> Member:
    assert planned.member is not None  # noqa: S101 -- only a new person has none
    planned.member.name = planned.row.name
    return planned.member
