"""The register of lines, the calendar of ends and an authority's ledger, as rows of text.

Pages and CSV files are made of the same rows. Words here are codes, not sentences: a file that is
read by programs does not change with a reader's language.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from ferriage.approvals.models import Approval, ApprovalLine
from ferriage.approvals.site import packs_in_force
from ferriage.fleet.models import Line
from ferriage.plans.entitlement import held_stretches
from ferriage.plans.models import Offer, Period
from ferriage.reports import figures, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ferriage.approvals.packs import Packs

LINES_HEADING: Final = (
    *("line", "name", "operator", "register_number", "operate", "enter", "exit", "sell"),
    *("customers", "use", "state", "open_until", "approvals"),
)
ENDS_HEADING: Final = ("at", "what", "code", "text", "renew_from", "lines")
LEDGER_HEADING: Final = ("place", "what", "of", "state", "count")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A line in the operator's register, with the approvals that name it."""

    standing: lines.Standing
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """One row of an authority's ledger; `count` is as it is told, never below ten."""

    what: str
    of: str
    state: str
    count: str


def registered(*, now: datetime) -> list[Registered]:
    """Return every line with its approvals, with five queries however many there are."""
    every = list(Line.objects.select_related("party").order_by("name", "pk"))
    named: defaultdict[str, list[Approval]] = defaultdict(list)
    for scope in ApprovalLine.objects.select_related("approval").order_by("approval"):
        named[scope.line_code].append(scope.approval)
    return [
        Registered(standing=standing, approvals=tuple(named[standing.line.code]))
        for standing in lines.standings(every, now=now)
    ]


def lines_rows(found: Iterable[Registered]) -> Iterator[tuple[str, ...]]:
    """Yield the register of lines, one row a line."""
    for item in found:
        line, standing = item.standing.line, item.standing
        yield (
            *(line.code, line.name, line.party.name, line.party.register_number),
            *(line.party.place, line.enter_place, line.exit_place, " ".join(line.sell_places)),
            *(line.customer_class, line.use, standing.state),
            standing.until.isoformat() if standing.until else "",
            "; ".join(f"{row.kind} {row.number} {row.state}" for row in item.approvals),
        )


def ends_rows(found: Iterable[lines.End]) -> Iterator[tuple[str, ...]]:
    """Yield the calendar of ends, soonest first."""
    for end in found:
        renew = end.renew_from.isoformat() if end.renew_from else ""
        names = "; ".join(line.name for line in end.lines)
        yield (end.at.isoformat(), end.what, end.code, end.text, renew, names)


def places(*, packs: Packs) -> list[str]:
    """Return the jurisdictions whose authority there is a ledger for: packs' and lines'."""
    found = set(packs.by_place)
    for line in Line.objects.select_related("party"):
        found |= _touched(line, packs)
    return sorted(found)


def ledger(place: str, *, now: datetime) -> list[Count]:
    """Return what an authority is told: counts alone, of lines that touch its place.

    The same number of queries whatever there is, besides one pass over the periods sold.
    """
    packs = packs_in_force()
    every = Line.objects.select_related("party").order_by("pk")
    touching = [line for line in every if place in _touched(line, packs)]
    states = Counter(standing.state for standing in lines.standings(touching, now=now))
    kinds = [code for code, where in packs.kind_places.items() if where == place]
    granted = Counter(Approval.objects.filter(kind__in=kinds).values_list("kind", "state"))
    codes = [line.code for line in touching]
    return [
        *(Count("lines", "", state, figures.shown(states[state])) for state in _STATES),
        *(
            Count("approvals", kind, state, figures.shown(granted[kind, state]))
            for kind in sorted(kinds)
            for state in Approval.State.values
        ),
        Count("subscriptions", "", "in_force", figures.shown(_held(touching, now))),
        *_decided(codes, now),
    ]


def ledger_rows(place: str, found: Iterable[Count]) -> Iterator[tuple[str, ...]]:
    """Yield an authority's ledger."""
    for row in found:
        yield (place, row.what, row.of, row.state, row.count)


def as_csv(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table as lines of CSV, with its heading."""
    for row in (heading, *rows):
        line = io.StringIO()
        # A spreadsheet would run what begins like a formula.
        csv.writer(line).writerow(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row)
        yield line.getvalue()


_STATES: Final[tuple[lines.State, ...]] = ("open", "held", "planned", "closed")


def _touched(line: Line, packs: Packs) -> set[str]:
    stops = (line.party.place, line.enter_place, line.exit_place, *line.sell_places)
    return {packs.jurisdiction(stop) for stop in stops}


def _held(touching: Iterable[Line], now: datetime) -> int:
    """Count the subscriptions in force now to plans that were ever offered on these lines."""
    plans = Offer.objects.filter(line__in=[line.pk for line in touching]).values("plan")
    posted = Period.objects.filter(subscription__plan__in=plans).order_by("subscription", "pk")
    by_subscription = groupby(posted.iterator(chunk_size=2000), key=lambda row: row.subscription_id)
    return sum(
        any(start <= now and (end is None or now < end) for start, end in held_stretches(periods))
        for _subscription, periods in by_subscription
    )


def _decided(codes: list[str], now: datetime) -> Iterator[Count]:
    for row in figures.decisions(now=now, lines=codes):
        yield Count("decisions", row.month, "allowed", row.allowed)
        yield Count("decisions", row.month, "denied", row.denied)
