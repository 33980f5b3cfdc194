"""Which conclusions a newer rule pack makes void: those whose question it answers itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.approvals.models import Determination
from ferriage.approvals.queries import determination_facts, in_use

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.facts import DeterminationFacts
    from ferriage.approvals.packfile import Row
    from ferriage.approvals.packs import Pack, Packs


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided:
    """A conclusion that a pack makes void: the row that answers its question, and since when."""

    determination: Determination
    row: Row
    source: str
    since: datetime


def voided_by(pack: Pack, *, packs: Packs, at: datetime) -> list[Voided]:
    """Return the conclusions in use whose question a pack answers, now or at a day it names.

    Args:
        packs: Those in force together with the pack, which say whose law a place follows.
    """
    found = []
    for made in in_use(Determination.objects.all()):
        if packs.jurisdiction(made.place) != pack.place:
            continue
        answer = _first_answer(pack, determination_facts(made), at)
        if answer is not None:
            since, row = answer
            title = pack.sources[row.source].title
            found.append(Voided(determination=made, row=row, source=title, since=since))
    return found


def _first_answer(
    pack: Pack, made: DeterminationFacts, at: datetime
) -> tuple[datetime, Row] | None:
    """Return from when a pack answers what was concluded on; nothing while it stays unknown."""
    key = (made.role, made.customer_class, made.use)
    instant: datetime | None = at
    while instant is not None:
        row = pack.row(key, instant)
        if row is not None and row.answer != "unknown":
            return instant, row
        instant = pack.next_change(key, instant)
    return None
