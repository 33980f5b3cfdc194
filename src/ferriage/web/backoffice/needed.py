"""What the packs ask of a line, in the words of a table: who gives it, how long, what to upload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import reasons, site
from ferriage.approvals.needs import needs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.approvals.facts import LineFacts, Question
    from ferriage.approvals.needs import KindNeeded, Need
    from ferriage.approvals.packfile import Source
    from ferriage.approvals.packs import Packs

ROLES: Final = {
    "operate": gettext_lazy("operating from %s"),
    "enter": gettext_lazy("taking in traffic in %s"),
    "exit": gettext_lazy("letting traffic out in %s"),
    "cross": gettext_lazy("crossing the border of %s"),
    "sell": gettext_lazy("selling to customers in %s"),
}
ANSWERS: Final = {
    "required": gettext_lazy("An approval is required."),
    "notify": gettext_lazy("A notification is required; business may begin once it is sent."),
    "not_required": gettext_lazy("Nothing is required."),
    "not_obtainable": gettext_lazy("It cannot be obtained, so this line can never be opened."),
    "unknown": gettext_lazy("Not known. Read the law of the place and conclude in your own words."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of approval as a person reads it."""

    name: str
    authority: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `places_pack` is empty where no pack speaks."""

    need: Need
    question: str
    answer: str
    kinds: tuple[Kind, ...]
    lasting: tuple[str, ...]
    upload: str
    reading: tuple[Source, ...]

    @property
    def tone(self) -> str:
        """The colour of its tag."""
        tones = {"not_required": "good", "not_obtainable": "bad", "unknown": "warn"}
        return tones.get(self.need.answer, "")


def rows(line: LineFacts, *, at: datetime) -> tuple[Row, ...]:
    """Return everything asked of a line, planned or only thought of."""
    packs = site.packs_in_force()
    return tuple(row_of(need, packs) for need in needs(line, packs, at))


def row_of(need: Need, packs: Packs) -> Row:
    """Return one need as a row, in the reader's language."""
    language = get_language() or "en"
    return Row(
        need=need,
        question=question_text(need.question),
        answer=str(ANSWERS[need.answer]),
        kinds=tuple(_kind(found, language, packs) for found in need.kinds),
        lasting=_lasting(need),
        upload=_upload(need),
        reading=need.sources if need.answer == "unknown" else (),
    )


def question_text(question: Question) -> str:
    """Return one question in the reader's language, with its place by name."""
    place = reasons.place_name(question.place, get_language() or "en", site.packs_on_file())
    return str(ROLES[question.role] % place)


def versions(found: Iterable[Row]) -> list[tuple[str, str]]:
    """Return the places asked with their packs' versions; an empty version where none speaks."""
    return sorted({(row.need.question.place, row.need.pack_version) for row in found})


def _kind(found: KindNeeded, language: str, packs: Packs) -> Kind:
    code = found.kind.code
    return Kind(
        name=reasons.kind_name(code, language, packs),
        authority=reasons.authority_name(code, language, packs),
        url=found.authority.url,
    )


def _lasting(need: Need) -> tuple[str, ...]:
    if need.answer == "unknown":
        return (_("A conclusion of your own holds for six months."),)
    return tuple(text for found in need.kinds for text in _kind_lasting(found))


def _kind_lasting(found: KindNeeded) -> Iterable[str]:
    kind = found.kind
    if kind.open_ended:
        yield _("It may have no last day.")
    else:
        yield _("It has a last day, which must be recorded.")
    if kind.renewal_lead_days:
        yield _("Renew it %(days)s days before that.") % {"days": kind.renewal_lead_days}


def _upload(need: Need) -> str:
    if need.answer == "required":
        return _("The document that the authority issued, with its number and dates.")
    if need.answer == "notify":
        return _("The authority's acknowledgement, or the proof of sending.")
    if need.answer == "unknown":
        return _("No file: your conclusion, the clause, the day you read it, your name.")
    return ""
