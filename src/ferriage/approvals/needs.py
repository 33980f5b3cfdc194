"""What the law of each place asks of a line, before anything is recorded. Pure, like `evaluate`.

It answers "what do I need?" for a line that nobody has planned yet, from the packs alone.

Source: docs/explanation/register.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ferriage.approvals.evaluate import questions
from ferriage.approvals.facts import ROLES, Answer, LineFacts, PartyFacts, Question

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.facts import CustomerClass, Use
    from ferriage.approvals.packfile import Authority, Kind, Source
    from ferriage.approvals.packs import Packs


@dataclass(frozen=True, slots=True)
class KindNeeded:
    """One kind of approval that would satisfy a question, and who gives it."""

    kind: Kind
    authority: Authority
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one question is answered, and what that answer rests on.

    `clause` and `source` are empty where no pack speaks; `sources` are what can be read there.
    Any one of `kinds` is enough.
    """

    question: Question
    answer: Answer
    clause: str = ""
    source: Source | None = None
    sources: tuple[Source, ...] = ()
    kinds: tuple[KindNeeded, ...] = ()
    note: str = ""
    pack_version: str = ""


def needs(line: LineFacts, packs: Packs, at: datetime) -> tuple[Need, ...]:
    """Return what is asked of a line and of its sale in each place written on it, in order."""
    asked = every_question(line, packs)
    ordered = sorted(asked, key=lambda question: (ROLES.index(question.role), question.place))
    return tuple(need(question, line, packs, at) for question in ordered)


def every_question(line: LineFacts, packs: Packs) -> frozenset[Question]:
    """Return what the law is asked about a line: for its permit and for every sale on it."""
    return frozenset(
        question
        for place in (None, *line.sell_places)
        for question in questions(line, customer_place=place, packs=packs)
    )


def imagined(
    *,
    operate: str,
    enter: str,
    exit_: str,
    sell: tuple[str, ...],
    customer_class: str,
    use: str,
) -> LineFacts:
    """Return a line that nobody has planned, so that the packs can be asked about it."""
    return LineFacts(
        code="",
        operator=PartyFacts("", operate),
        enter=enter,
        exit=exit_,
        sell_places=sell,
        customer_class=cast("CustomerClass", customer_class),
        use=cast("Use", use),
    )


def need(question: Question, line: LineFacts, packs: Packs, at: datetime) -> Need:
    """Return what one question about a line is answered at an instant."""
    pack = packs.by_place.get(question.place)
    row = pack.row((question.role, line.customer_class, line.use), at) if pack else None
    if pack is None or row is None:
        sources = tuple(pack.sources.values()) if pack else ()
        version = pack.version if pack else ""
        return Need(question=question, answer="unknown", sources=sources, pack_version=version)
    return Need(
        question=question,
        answer=row.answer,
        clause=row.clause,
        source=pack.sources[row.source],
        sources=tuple(pack.sources.values()),
        kinds=tuple(_kind(code, packs) for code in row.kinds),
        note=row.note.strip(),
        pack_version=pack.version,
    )


def _kind(code: str, packs: Packs) -> KindNeeded:
    kind = packs.kinds[code]
    pack = packs.by_place[packs.kind_places[code]]
    return KindNeeded(kind, pack.authorities[kind.authority], pack.sources[kind.source])
