"""The calendar as staff read it: each deadline in words, and as a file for calendar programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from ferriage.approvals import reasons, site
from ferriage.approvals.models import Approval, Determination
from ferriage.fleet.agenda import calendar
from ferriage.fleet.models import Line
from ferriage.web.backoffice.views.determinations import ROLE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    from ferriage.approvals.agenda import Deadline
    from ferriage.approvals.diary import Entry
    from ferriage.approvals.packs import Packs

_REFRESH: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A deadline in words, with where to look and what comes next.

    `key` names it in addresses. `next_on` is the day of the next task, if one is left.
    """

    entry: Entry
    key: str
    title: str
    about: str
    url: str
    next_on: date | None

    @property
    def task(self) -> str:
        """The task that has begun last, in words."""
        return lead_text(self.entry.lead) if self.entry.lead else ""

    @property
    def deadline(self) -> Deadline:
        """What it is."""
        return self.entry.deadline


def rows(*, now: datetime) -> list[Row]:
    """Return the whole calendar in words; as many queries for one deadline as for many."""
    entries = calendar(now=now)
    subjects = [entry.deadline.subject for entry in entries]
    names = _Names(
        packs=site.packs_in_force(),
        approvals={row.code: row for row in Approval.objects.filter(code__in=subjects)},
        determinations={row.code: row for row in Determination.objects.filter(code__in=subjects)},
        lines={row.code: row for row in Line.objects.filter(code__in=subjects)},
    )
    return [_row(entry, names, now) for entry in entries]


def key_of(deadline: Deadline) -> str:
    """Return a deadline's name in addresses."""
    when = f"{deadline.at:%Y%m%dT%H%M%S%f}" if deadline.at else "open"
    return f"{deadline.subject}~{deadline.duty}~{when}"


def lead_text(days: int) -> str:
    """Return a task's days before the end in words."""
    text = ngettext("%(days)d day before the end", "%(days)d days before the end", days)
    return text % {"days": days}


def ical(found: Iterable[Row], *, now: datetime) -> bytes:
    """Return the tasks that are left as an iCalendar file; each is a whole day.

    It names approvals, duties and lines by number and code, and no customer.
    """
    events = [event for row in found for event in _events(row, now)]
    file = Calendar.new(
        name=_("Ferriage: what is due"),
        prodid="-//Ferriage//calendar of the register//EN",
        refresh_interval=_REFRESH,
        subcomponents=events,
    )
    return bytes(file.to_ical())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    packs: Packs
    approvals: dict[str, Approval]
    determinations: dict[str, Determination]
    lines: dict[str, Line]


def _row(entry: Entry, names: _Names, now: datetime) -> Row:
    deadline = entry.deadline
    following = deadline.next_lead(now)
    about, url = _subject(deadline, names)
    return Row(
        entry=entry,
        key=key_of(deadline),
        title=_title(deadline, names),
        about=about,
        url=url,
        next_on=deadline.begins_on(following) if following else None,
    )


def _title(deadline: Deadline, names: _Names) -> str:
    language = get_language() or "en"
    if deadline.duty:
        return reasons.duty_name(deadline.duty, language, names.packs)
    if deadline.about == "approval":
        kind = reasons.kind_name(names.approvals[deadline.subject].kind, language, names.packs)
        return _("The approval ends: %(kind)s") % {"kind": kind}
    made = names.determinations[deadline.subject]
    question = str(ROLE_NAMES[made.role] % made.place)
    return _("The conclusion lapses: %(question)s") % {"question": question}


def _subject(deadline: Deadline, names: _Names) -> tuple[str, str]:
    """Return what a deadline belongs to, and its page."""
    code = deadline.subject
    if code in names.approvals:
        return names.approvals[code].number or code, reverse("staff-approval", args=[code])
    if code in names.lines:
        return names.lines[code].name, reverse("staff-line", args=[code])
    return code, reverse("staff-determinations")


def _events(row: Row, now: datetime) -> Iterator[Event]:
    """Yield the task that is due, those to come, and the last day itself."""
    deadline, last = row.deadline, row.deadline.last_day
    if last is None or row.entry.is_done:
        return
    today = now.astimezone(deadline.zone).date()
    if row.entry.is_over:
        yield _event(row, today, _("Late: %(what)s") % {"what": row.title}, "late", now)
        return
    due = row.entry.lead if row.entry.is_due else None
    for lead in (*deadline.leads_after(now), due):
        begins_on = deadline.begins_on(lead) if lead else None
        if lead and begins_on:
            summary = f"{row.title} ({lead_text(lead)})"
            yield _event(row, max(begins_on, today), summary, str(lead), now)
    yield _event(row, last, _("Last day: %(what)s") % {"what": row.title}, "0", now)


def _event(row: Row, day: date, summary: str, part: str, now: datetime) -> Event:
    return Event.new(
        uid=f"{row.key}~{part}@ferriage",
        stamp=now,
        start=day,
        end=day + timedelta(days=1),
        summary=summary,
        description=_("Last day %(day)s, %(zone)s. %(subject)s")
        % {"day": row.deadline.last_day, "zone": row.deadline.zone.key, "subject": row.about},
    )
