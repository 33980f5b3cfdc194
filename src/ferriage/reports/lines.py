"""How each line stands: what it is now, until when, and when what it rests on ends."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, cast

from ferriage.approvals.facts import Question
from ferriage.approvals.models import Approval, Determination
from ferriage.approvals.needs import every_question
from ferriage.approvals.packs import end_of
from ferriage.approvals.queries import determination_facts, load_register
from ferriage.approvals.site import packs_in_force
from ferriage.approvals.spans import determination_end
from ferriage.fleet.models import Line, Permit
from ferriage.fleet.queries import is_open, line_facts, newest_permits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.approvals.facts import Role, Verdict
    from ferriage.approvals.packs import Packs

State = Literal["open", "held", "planned", "closed"]

ENDED_FOR: Final = timedelta(days=90)
"""How long an end stays on the calendar once it has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A line now. `until` is when its permit ends, and None unless it is open.

    `by_staff` tells a hold by staff from one by the register.
    """

    line: Line
    state: State
    until: datetime | None
    verdict: Verdict
    by_staff: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The instant at which something that lines rest on ends, with those lines.

    `question` is what a determination answers. A line that is closed for good rests on nothing.
    """

    at: datetime
    what: Literal["approval", "determination", "permit"]
    code: str
    text: str
    lines: tuple[Line, ...]
    renew_from: datetime | None = None
    question: Question | None = None


def standings(lines: Iterable[Line], *, now: datetime) -> list[Standing]:
    """Return how each line stands, with four queries however many there are.

    Args:
        lines: With their party at hand.
    """
    found = list(lines)
    register = load_register()
    permits = newest_permits(found)
    return [
        standing(
            line,
            verdict=register.judge(line=line_facts(line), at=now),
            permit=permits.get(line.pk),
            now=now,
        )
        for line in found
    ]


def standing(line: Line, *, verdict: Verdict, permit: Permit | None, now: datetime) -> Standing:
    """Return how one line stands. What gateways were told counts, not what they should be told."""
    open_now = line.state == Line.State.IN_SERVICE and is_open(permit, at=now)
    state: State = "held"
    if open_now:
        state = "open"
    elif line.state == Line.State.PLANNED:
        state = "planned"
    elif line.state == Line.State.CLOSED:
        state = "closed"
    return Standing(
        line=line,
        state=state,
        until=permit.open_until if permit and open_now else None,
        verdict=verdict,
        by_staff=line.state == Line.State.HELD,
    )


def ends(found: Iterable[Standing], *, now: datetime) -> list[End]:
    """Return when approvals, determinations and permits end, soonest first.

    Each authority's last day is over at midnight in its own zone. What nothing in force rests on
    (drafts, what was revoked, what was taken back) has no end to wait for.
    """
    packs = packs_in_force()
    every = [item for item in found if item.state != "closed"]
    by_code = {item.line.code: item.line for item in every}
    all_ends = (*_approvals(by_code, packs), *_determinations(every, packs), *_permits(every))
    return sorted(
        (end for end in all_ends if end.at > now - ENDED_FOR),
        key=lambda end: (end.at, end.what, end.text),
    )


def _approvals(lines: dict[str, Line], packs: Packs) -> Iterable[End]:
    rows = Approval.objects.filter(
        state__in=[Approval.State.GRANTED, Approval.State.SUSPENDED], valid_to__isnull=False
    )
    for row in rows.prefetch_related("lines"):
        kind, place = packs.kinds.get(row.kind), packs.kind_places.get(row.kind, "")
        if row.valid_to is None:
            continue
        at = end_of(row.valid_to, packs.zone(place))
        lead = timedelta(days=kind.renewal_lead_days) if kind else timedelta()
        yield End(
            at=at,
            what="approval",
            code=row.code,
            text=str(row),
            lines=_by_name(
                lines[scope.line_code] for scope in row.lines.all() if scope.line_code in lines
            ),
            renew_from=at - lead if lead else None,
        )


def concerned(row: Determination, line: Line, packs: Packs) -> bool:
    """Tell whether a conclusion of a line's operator answers a question about this line."""
    if row.line_code not in {"", line.code}:
        return False
    if (row.customer_class, row.use) != (line.customer_class, line.use):
        return False
    return _question(row, packs) in every_question(line_facts(line), packs)


def _question(row: Determination, packs: Packs) -> Question:
    return Question(cast("Role", row.role), packs.jurisdiction(row.place))


def _determinations(found: list[Standing], packs: Packs) -> Iterable[End]:
    by_party: defaultdict[str, list[Line]] = defaultdict(list)
    for item in found:
        by_party[item.line.party.code].append(item.line)
    for row in Determination.objects.filter(ended_at=None).select_related("party"):
        yield End(
            at=determination_end(determination_facts(row), packs),
            what="determination",
            code=row.code,
            text=f"{row.role} {row.place}",
            lines=_by_name(
                line for line in by_party[row.party.code] if concerned(row, line, packs)
            ),
            question=_question(row, packs),
        )


def _permits(found: list[Standing]) -> Iterable[End]:
    for item in found:
        if item.until is not None:
            yield End(
                at=item.until,
                what="permit",
                code=item.line.code,
                text=item.line.name,
                lines=(item.line,),
            )


def _by_name(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda line: (line.name, line.pk)))
