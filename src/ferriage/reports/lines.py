"""How each line stands: what it is now, until when, and when what it rests on ends."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from ferriage.approvals.evaluate import determination_end
from ferriage.approvals.models import Approval, Determination
from ferriage.approvals.packs import end_of
from ferriage.approvals.queries import determination_facts, load_register
from ferriage.approvals.site import packs_in_force
from ferriage.fleet.models import Line, Permit
from ferriage.fleet.queries import is_open, line_facts, newest_permits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ferriage.approvals.facts import Verdict

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
    """The instant at which something that lines rest on ends. `lines` are their names."""

    at: datetime
    what: Literal["approval", "determination", "permit"]
    code: str
    text: str
    lines: tuple[str, ...]
    renew_from: datetime | None = None


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
    every = list(found)
    names = {item.line.code: item.line.name for item in every}
    all_ends = (*_approvals(names), *_determinations(every), *_permits(every))
    return sorted(
        (end for end in all_ends if end.at > now - ENDED_FOR), key=lambda end: (end.at, end.text)
    )


def _approvals(names: dict[str, str]) -> Iterable[End]:
    packs = packs_in_force()
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
            lines=tuple(sorted(names.get(scope.line_code, "") for scope in row.lines.all())),
            renew_from=at - lead if lead else None,
        )


def _determinations(found: list[Standing]) -> Iterable[End]:
    packs = packs_in_force()
    by_party: defaultdict[str, list[Line]] = defaultdict(list)
    for item in found:
        by_party[item.line.party.code].append(item.line)
    for row in Determination.objects.filter(ended_at=None).select_related("party"):
        concerned = [
            line.name
            for line in by_party[row.party.code]
            if row.line_code in {"", line.code}
            and (line.customer_class, line.use) == (row.customer_class, row.use)
        ]
        yield End(
            at=determination_end(determination_facts(row), packs),
            what="determination",
            code=row.code,
            text=f"{row.role} {row.place}",
            lines=tuple(sorted(concerned)),
        )


def _permits(found: list[Standing]) -> Iterable[End]:
    for item in found:
        if item.until is not None:
            yield End(
                at=item.until,
                what="permit",
                code=item.line.code,
                text=item.line.name,
                lines=(item.line.name,),
            )
