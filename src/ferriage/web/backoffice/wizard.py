"""From "I want to sell X in C through a line A → B" to an open line: how far it is, computed.

Nothing is remembered: each step's state follows from what is recorded, so it can be left at any
step and taken up again from the line's page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ferriage.approvals import reasons
from ferriage.approvals.needs import needs
from ferriage.approvals.queries import register_of
from ferriage.fleet.models import Line
from ferriage.fleet.queries import line_facts
from ferriage.web.backoffice import needed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.approvals.facts import Question, Reason
    from ferriage.approvals.needs import Need
    from ferriage.approvals.packs import Packs

State = Literal["done", "next", "blocked"]

TITLES: Final = {
    "operator": gettext_lazy("Who operates it"),
    "line": gettext_lazy("The line"),
    "law": gettext_lazy("What the law rules out"),
    "approvals": gettext_lazy("Approvals"),
    "conclusions": gettext_lazy("Questions without an answer"),
    "service": gettext_lazy("Put in service"),
}
_BARS: Final = frozenset({"not-obtainable", "determined-not-obtainable"})
_BEGUN: Final = frozenset(
    f"approval-{what}"
    for what in (
        "draft",
        "lodged",
        "suspended",
        "unverified",
        "without-evidence",
        "without-number",
        "not-yet-valid",
        "not-counting",
    )
)
"""Flaws of an approval that has a record already: its own page is the way on, not a new draft."""
_UNANSWERED: Final = frozenset({"unknown", "determination-overdue"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what was found, in sentences, and whether it is done, next, or waits."""

    slug: str
    title: str
    state: State
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How far a line is. `missing` are the kinds of approval that have no record yet."""

    line: Line
    steps: tuple[Step, ...]
    rows: tuple[needed.Row, ...]
    questions: tuple[Question, ...]
    missing: tuple[str, ...]

    @property
    def here(self) -> Step:
        """The first step that can be worked on, or else the one that blocks, or the last."""
        by_state = {step.state: step for step in reversed(self.steps)}
        return by_state.get("next") or by_state.get("blocked") or self.steps[-1]

    def step(self, slug: str) -> Step | None:
        """Return a step by its slug."""
        return next((step for step in self.steps if step.slug == slug), None)


def way(line: Line, *, at: datetime) -> Way:
    """Work out how far a line is, for its permit and for the sale in every place on it."""
    facts = line_facts(line)
    register = register_of(facts)
    asked = needs(facts, register.packs, at)
    verdicts = [
        register.judge(line=facts, at=at, customer_place=place)
        for place in (None, *facts.sell_places)
    ]
    open_ = dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons)
    standing = _Standing(line, asked, tuple(open_), register.packs)
    return Way(
        line=line,
        steps=standing.steps(),
        rows=tuple(needed.row_of(need, register.packs) for need in asked),
        questions=standing.questions(),
        missing=standing.missing(),
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stands in the way of a line, sorted by what can be done about it."""

    line: Line
    asked: tuple[Need, ...]
    reasons: tuple[Reason, ...]
    packs: Packs

    @property
    def barred(self) -> tuple[Reason, ...]:
        known = {(need.question.role, need.question.place) for need in self.asked}
        return tuple(
            reason
            for reason in self.reasons
            if reason.slug in _BARS or (reason.role, reason.place) not in known
        )

    @property
    def unanswered(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.slug in _UNANSWERED)

    @property
    def unapproved(self) -> tuple[Reason, ...]:
        others = {*self.barred, *self.unanswered}
        return tuple(reason for reason in self.reasons if reason not in others)

    def questions(self) -> tuple[Question, ...]:
        """Return the questions to conclude on; none where the law rules the line out anyway."""
        left = {(reason.role, reason.place) for reason in self.unanswered}
        return tuple(
            need.question
            for need in self.asked
            if (need.question.role, need.question.place) in left
        )

    def missing(self) -> tuple[str, ...]:
        """Return the codes of the kinds that a record can be begun of, each once."""
        if self._work(self.unapproved) != "next":
            return ()
        new = (reason for reason in self.unapproved if reason.slug not in _BEGUN)
        codes = (dict(reason.params).get("kind", "") for reason in new)
        return tuple(dict.fromkeys(code for text in codes for code in text.split(", ") if code))

    def steps(self) -> tuple[Step, ...]:
        """Return all steps in order."""
        closed = self.line.state == Line.State.CLOSED
        return (
            _step("operator", "done", (f"{self.line.party.name} ({self.line.party.place})",)),
            _step("line", "blocked" if closed else "done", self._line()),
            _step("law", "blocked" if self.barred else "done", self._law()),
            _step("approvals", self._work(self.unapproved), self._approvals()),
            _step("conclusions", self._work(self.unanswered), self._conclusions()),
            self._service(),
        )

    def _work(self, left: tuple[Reason, ...]) -> State:
        if not left:
            return "done"
        return "blocked" if self.barred or self.line.state == Line.State.CLOSED else "next"

    def _line(self) -> tuple[str, ...]:
        said = _("%(enter)s → %(exit)s, for customers in %(places)s") % {
            "enter": self.line.enter_place,
            "exit": self.line.exit_place,
            "places": ", ".join(self.line.sell_places),
        }
        if self.line.state == Line.State.CLOSED:
            return (said, _("It is closed for good. Plan another line."))
        return (said,)

    def _law(self) -> tuple[str, ...]:
        if self.barred:
            return self._sentences(self.barred)
        return (_("Nothing rules this line out for good."),)

    def _approvals(self) -> tuple[str, ...]:
        if self.unapproved:
            return self._sentences(self.unapproved)
        asked = any(need.answer in {"required", "notify"} for need in self.asked)
        return (_("All are recorded and in force.") if asked else _("None is asked for."),)

    def _conclusions(self) -> tuple[str, ...]:
        return self._sentences(self.unanswered) or (_("None is left."),)

    def _service(self) -> Step:
        if self.line.state == Line.State.PLANNED:
            if self.reasons:
                return _step("service", "blocked", (_("It waits for the steps before."),))
            return _step("service", "next", (_("The register allows it now."),))
        if self.line.state == Line.State.CLOSED:
            return _step("service", "blocked", (_("A closed line cannot be opened again."),))
        if self.line.state == Line.State.HELD:
            said = _("It is held by staff: %s") % self.line.hold_reason
            return _step("service", "blocked", (said,))
        if self.reasons:
            return _step("service", "blocked", (_("In service, but the register holds it now."),))
        return _step("service", "done", (_("It is open and may be sold."),))

    def _sentences(self, found: Iterable[Reason]) -> tuple[str, ...]:
        language = get_language() or "en"
        return tuple(reasons.sentence(reason, language, self.packs) for reason in found)


def _step(slug: str, state: State, said: tuple[str, ...]) -> Step:
    return Step(slug=slug, title=str(TITLES[slug]), state=state, said=said)
