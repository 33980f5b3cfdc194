"""What ends or is to be done, and when to think of it: worked out from dates, never stored.

A task begins at midnight, in the authority's time zone, so many days before the first instant
that is too late. Nothing here depends on a job that ran: whoever asks gets the whole calendar.

Source: docs/explanation/calendar.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Final, Literal

from ferriage.approvals.evaluate import questions
from ferriage.approvals.packs import end_of, midnight
from ferriage.approvals.spans import determination_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from ferriage.approvals.facts import ApprovalFacts, DeterminationFacts, LineFacts
    from ferriage.approvals.packfile import Due, Row
    from ferriage.approvals.packs import Packs

LEADS: Final = (180, 90, 60, 30, 14, 7, 1)
"""Days before the end at which a task begins."""

AHEAD: Final = timedelta(days=400)
"""How far yearly duties are looked up; one of each lies within it."""

_FIRST: Final = date(2, 1, 1)
_LAST: Final = date(9000, 1, 1)
_TICK: Final = timedelta(microseconds=1)

About = Literal["approval", "determination", "duty", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFacts:
    """Something on a line that a law may want to be told of."""

    line: str
    noticed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSince:
    """A line that is not closed, and since when it is written down."""

    line: LineFacts
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """All that a calendar is worked out from."""

    packs: Packs
    lines: tuple[LineSince, ...]
    approvals: tuple[ApprovalFacts, ...] = ()
    determinations: tuple[DeterminationFacts, ...] = ()
    incidents: tuple[IncidentFacts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One thing that ends, or is to be done, before an instant.

    `subject` is the code of an approval or determination, or of the line for a duty that a row
    brings; `duty` is the duty's own code. `at` is the first instant that is too late; a duty
    without a day has none, and neither has one that is `kept`: Ferriage fulfils it by itself.
    """

    about: About
    subject: str
    zone: ZoneInfo
    at: datetime | None
    duty: str = ""

    @property
    def last_day(self) -> date | None:
        """The last day in time, of the authority's calendar."""
        return (self.at - _TICK).astimezone(self.zone).date() if self.at else None

    def begins_at(self, lead: int) -> datetime | None:
        """Return the instant at which the task of so many days before begins."""
        day = self.begins_on(lead)
        return midnight(day, self.zone) if day else None

    def begins_on(self, lead: int) -> date | None:
        """Return the day on which the task of so many days before begins."""
        last = self.last_day
        return max(last, _FIRST) + timedelta(days=1 - lead) if last else None

    def lead(self, at: datetime) -> int | None:
        """Return the task that has begun last, by its days before; None when none has."""
        begun = (lead for lead in LEADS if (start := self.begins_at(lead)) and start <= at)
        return min(begun, default=None)

    def leads_after(self, at: datetime) -> tuple[int, ...]:
        """Return the tasks that have not begun, by their days before, soonest first."""
        return tuple(lead for lead in LEADS if (start := self.begins_at(lead)) and start > at)

    def next_lead(self, at: datetime) -> int | None:
        """Return the task that begins next, by its days before; None when all have."""
        return next(iter(self.leads_after(at)), None)

    def is_over(self, at: datetime) -> bool:
        """Tell whether it is too late."""
        return self.at is not None and self.at <= at


def deadlines(recorded: Recorded, at: datetime) -> tuple[Deadline, ...]:
    """Return what ends after an instant, and every duty up to about a year ahead, soonest first.

    Duties of the past are among them: who looks at the calendar knows which were done.
    """
    found = {
        *_approvals_that_end(recorded, at),
        *_determinations_to_review(recorded, at),
        *_duties_of_approvals(recorded, at),
        *_duties_of_rows(recorded, at),
    }
    return tuple(sorted(found, key=_order))


def _order(item: Deadline) -> tuple[bool, float, str, str]:
    """Sort what has no day last."""
    instant = item.at.timestamp() if item.at else 0.0
    return item.at is None, instant, item.subject, item.duty


# --- what ends --------------------------------------------------------------------------------


def _approvals_that_end(recorded: Recorded, at: datetime) -> Iterator[Deadline]:
    for approval in _counting(recorded):
        zone = _zone(recorded.packs, approval)
        if approval.valid_to is None or _is_renewed(approval, recorded):
            continue
        if (end := end_of(approval.valid_to, zone)) > at:
            yield Deadline(about="approval", subject=approval.code, zone=zone, at=end)


def _determinations_to_review(recorded: Recorded, at: datetime) -> Iterator[Deadline]:
    packs = recorded.packs
    operators = {item.line.operator.code for item in recorded.lines}
    codes = {item.line.code for item in recorded.lines}
    for made in recorded.determinations:
        if made.party not in operators or (made.line and made.line not in codes):
            continue
        pack = packs.get(made.place)
        row = pack.row((made.role, made.customer_class, made.use), at) if pack else None
        end = determination_end(made, packs)
        # Where a pack answers meanwhile, the conclusion is void and nothing is to be reviewed.
        if end > at and (row is None or row.answer == "unknown"):
            zone = packs.zone(made.place)
            yield Deadline(about="determination", subject=made.code, zone=zone, at=end)


def _counting(recorded: Recorded) -> Iterator[ApprovalFacts]:
    """Yield the approvals that count, now or from their first day, for a line that is left."""
    codes = {item.line.code for item in recorded.lines}
    for approval in recorded.approvals:
        kind = recorded.packs.kinds.get(approval.kind)
        lodged = kind is not None and kind.counts == "on_lodging"
        states = {"granted", "lodged"} if lodged else {"granted"}
        proven = approval.has_evidence and approval.counts_from is not None
        if kind and proven and approval.state in states and approval.lines & codes:
            yield approval


def _is_renewed(approval: ApprovalFacts, recorded: Recorded) -> bool:
    """Tell whether each line it still serves has a later one of its kind, without a gap."""
    codes = {item.line.code for item in recorded.lines} & approval.lines
    followers = [other for other in _counting(recorded) if _follows(other, approval)]
    return all(any(code in other.lines for other in followers) for code in codes)


def _follows(other: ApprovalFacts, approval: ApprovalFacts) -> bool:
    same = (other.kind, other.holder) == (approval.kind, approval.holder)
    end = approval.valid_to
    if not same or end is None or other.valid_from is None:
        return False
    lasts = other.valid_to is None or other.valid_to > end
    return lasts and other.valid_from - end <= timedelta(days=1)


# --- duties -----------------------------------------------------------------------------------


def _duties_of_approvals(recorded: Recorded, at: datetime) -> Iterator[Deadline]:
    for approval in _counting(recorded):
        zone = _zone(recorded.packs, approval)
        first = approval.valid_from or _day(approval.counts_from, zone)
        incidents = [
            incident
            for incident in recorded.incidents
            if incident.line in approval.lines
            and first <= _day(incident.noticed_at, zone) <= (approval.valid_to or date.max)
        ]
        for code in recorded.packs.brought_by(approval.kind):
            yield from _duty(
                code,
                approval.code,
                recorded.packs,
                span=(first, min(approval.valid_to or date.max, _last_day_ahead(at))),
                incidents=incidents,
            )


def _duties_of_rows(recorded: Recorded, at: datetime) -> Iterator[Deadline]:
    packs = recorded.packs
    for item in recorded.lines:
        incidents = [one for one in recorded.incidents if one.line == item.line.code]
        for place, row in _rows(item.line, packs, at):
            zone = packs.zone(place)
            first = max(row.effective_from, _day(item.since, zone))
            for code in row.obligations:
                span = (first, _last_day_ahead(at))
                yield from _duty(code, item.line.code, packs, span=span, incidents=incidents)


def _rows(line: LineFacts, packs: Packs, at: datetime) -> Iterator[tuple[str, Row]]:
    """Yield the rows that answer for a line and each place it is sold in, with the place."""
    asked = {
        question
        for place in (None, *line.sell_places)
        for question in questions(line, customer_place=place, packs=packs)
    }
    for question in asked:
        pack = packs.by_place.get(question.place)
        row = pack.row((question.role, line.customer_class, line.use), at) if pack else None
        if row is not None:
            yield question.place, row


def _duty(
    code: str,
    subject: str,
    packs: Packs,
    *,
    span: tuple[date, date],
    incidents: Iterable[IncidentFacts],
) -> Iterator[Deadline]:
    """Yield each time that a duty falls due from the first day of a span to its last."""
    duty = packs.obligations[code]
    zone = packs.zone(packs.obligation_places[code])
    if duty.standing == "fulfilled_by_ferriage":
        yield Deadline(about="kept", subject=subject, zone=zone, at=None, duty=code)
    elif duty.standing == "fulfilled_by_operator":
        for instant in _due(duty.due, span, incidents, zone):
            yield Deadline(about="duty", subject=subject, zone=zone, at=instant, duty=code)


def _due(
    due: Due, span: tuple[date, date], incidents: Iterable[IncidentFacts], zone: ZoneInfo
) -> Iterator[datetime | None]:
    first, last = span
    if due.hours_after_incident is not None:
        hours = timedelta(hours=due.hours_after_incident)
        yield from (incident.noticed_at + hours for incident in incidents)
    elif due.days_after_grant is not None:
        yield end_of(min(first, _LAST) + timedelta(days=due.days_after_grant), zone)
    elif due.yearly_on:
        month, day = (int(part) for part in due.yearly_on.split("-"))
        yearly = (date(year, month, day) for year in range(first.year, last.year + 1))
        yield from (end_of(on, zone) for on in yearly if first < on <= last)
    else:
        yield None


def _zone(packs: Packs, approval: ApprovalFacts) -> ZoneInfo:
    return packs.zone(packs.kind_places[approval.kind])


def _day(instant: datetime | None, zone: ZoneInfo) -> date:
    """Return the day of an instant in a zone; only what is lodged or recorded is asked for."""
    return instant.astimezone(zone).date() if instant else date.min


def _last_day_ahead(at: datetime) -> date:
    return (at.astimezone(UTC) + AHEAD).date()
