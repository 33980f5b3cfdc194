"""The operator's own conclusions on what a rule pack leaves unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.approvals.actions.evidence import add_evidence
from ferriage.approvals.models import Determination
from ferriage.approvals.spans import REVIEW_MONTHS, add_months
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from ferriage.approvals.actions.evidence import EvidenceFile
    from ferriage.approvals.facts import Answer, CustomerClass, Grade, Question, Use
    from ferriage.approvals.models import Party
    from ferriage.approvals.packs import Packs
    from ferriage.core.actors import Actor

SHORTEST_REASONING: Final = 20
"""Characters; less is no answer in words."""


class QuestionAnswered(FerriageError):
    """The rule pack answers this question, so nobody may conclude otherwise."""

    slug = "question-answered"


class NotReasoned(FerriageError):
    """A conclusion without its words, source, author or statement."""

    slug = "not-reasoned"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions concluded on; for all of the party's lines when `line_code` is empty."""

    questions: tuple[Question, ...]
    customer_class: CustomerClass
    use: Use
    line_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a person wrote down: nothing in it may be filled in by a program.

    `statement` is "I have read the source above; this is our conclusion, not legal advice".
    `kinds` are the approvals found necessary, when the answer is `required` or `notify`.
    `review_by` is its last day: at most six months on, or twelve after a lawyer's opinion, which
    is also the default.
    """

    words: str
    source_clause: str
    source_read_on: date
    author_name: str
    statement: bool
    source_title: str = ""
    answer: Answer = "not_required"
    kinds: tuple[str, ...] = ()
    review_by: date | None = None


def record_determination(
    *,
    party: Party,
    asked: Asked,
    conclusion: Conclusion,
    packs: Packs,
    now: datetime,
    actor: Actor,
) -> list[Determination]:
    """Record one conclusion of grade `own` on one or several questions, one row for each.

    A former conclusion on the same question ends. All questions are taken, or none.

    Raises:
        QuestionAnswered: A rule pack has an answer to one of the questions.
        NotReasoned: Something that the operator must write down is missing.
    """
    return _conclude(party, asked, conclusion, packs, "own", now, actor)


def record_opinion(
    *,
    party: Party,
    asked: Asked,
    conclusion: Conclusion,
    opinion: EvidenceFile,
    store_dir: Path,
    packs: Packs,
    now: datetime,
    actor: Actor,
) -> list[Determination]:
    """Record a lawyer's opinion: a conclusion of grade `counsel`, with the file that holds it.

    It is good for 12 months from the day of the opinion, `source_read_on`. `author_name` is the
    lawyer's, `words` say what the opinion concludes.

    Raises:
        QuestionAnswered: A rule pack has an answer to one of the questions.
        NotReasoned: Something that must be written down is missing, or the opinion is too old.
        EvidenceRefused: The file is empty, too large or of a type that is not kept.
    """
    with writing():
        rows = _conclude(party, asked, conclusion, packs, "counsel", now, actor)
        for row in rows:
            add_evidence(approval=row, file=opinion, store_dir=store_dir, now=now, actor=actor)
    return rows


def _conclude(
    party: Party,
    asked: Asked,
    conclusion: Conclusion,
    packs: Packs,
    grade: Grade,
    now: datetime,
    actor: Actor,
) -> list[Determination]:
    _check_answer(conclusion, packs)
    _check_words(conclusion, party)
    for question in asked.questions:
        _check_unknown(question, asked, packs, now)
    with writing():
        rows = [
            _row(party, question, asked, conclusion, packs, grade, now)
            for question in asked.questions
        ]
        for row in rows:
            _end_former(row, now)
            row.entered_by = str(actor)
            row.save(force_insert=True)
        audit.record(
            now=now,
            actor=actor,
            action="determination.recorded",
            subject=party.code,
            answer=conclusion.answer,
            grade=grade,
            author=conclusion.author_name,
            determinations=[row.code for row in rows],
        )
    return rows


def end_determination(
    *, determination: Determination, now: datetime, actor: Actor
) -> Determination:
    """Take a conclusion back; any one member of staff may.

    Raises:
        StaleState: It has ended already.
    """
    with writing():
        rows = Determination.objects.filter(pk=determination.pk, ended_at=None)
        if rows.update(ended_at=now) != 1:
            raise StaleState(_("This determination has ended already."))
        determination.refresh_from_db()
        audit.record(now=now, actor=actor, action="determination.ended", subject=determination.code)
    return determination


def _row(
    party: Party,
    question: Question,
    asked: Asked,
    conclusion: Conclusion,
    packs: Packs,
    grade: Grade,
    now: datetime,
) -> Determination:
    made_on = now.astimezone(packs.zone(question.place)).date()
    return Determination(
        party=party,
        place=packs.jurisdiction(question.place),
        role=question.role,
        customer_class=asked.customer_class,
        use=asked.use,
        line_code=asked.line_code,
        answer=conclusion.answer,
        kinds=list(conclusion.kinds),
        grade=grade,
        reasoning=conclusion.words.strip(),
        source_title=conclusion.source_title.strip(),
        source_clause=conclusion.source_clause.strip(),
        source_read_on=conclusion.source_read_on,
        author_name=conclusion.author_name.strip(),
        statement=conclusion.statement,
        made_at=now,
        made_on=made_on,
        review_by=_review_by(conclusion, made_on, grade),
    )


def _review_by(conclusion: Conclusion, made_on: date, grade: Grade) -> date:
    if conclusion.source_read_on > made_on:
        raise NotReasoned(_("The day the source was read lies in the future."))
    # An opinion ages from the day it was given, not from the day it was handed in here.
    begins = conclusion.source_read_on if grade == "counsel" else made_on
    longest = add_months(begins, REVIEW_MONTHS[grade])
    wanted = conclusion.review_by or longest
    if not made_on < wanted <= longest:
        raise NotReasoned(
            _("An opinion is good for twelve months from its day.")
            if grade == "counsel"
            else _("A conclusion of one's own is reviewed within six months.")
        )
    return wanted


def _check_unknown(question: Question, asked: Asked, packs: Packs, now: datetime) -> None:
    pack = packs.get(question.place)
    row = pack.row((question.role, asked.customer_class, asked.use), now) if pack else None
    if pack is None or row is None or row.answer == "unknown":
        return
    where = f"{row.clause}, {pack.sources[row.source].title}"
    raise QuestionAnswered(
        _("The law of %(place)s answers this question itself: %(where)s.")
        % {"place": pack.place, "where": where},
        _("A determination may answer only what the rule pack calls unknown."),
    )


def _check_words(conclusion: Conclusion, party: Party) -> None:
    author = conclusion.author_name.strip()
    if len(conclusion.words.strip()) < SHORTEST_REASONING:
        raise NotReasoned(
            _("Say in your own words why you conclude so, in %(count)s characters or more.")
            % {"count": SHORTEST_REASONING}
        )
    if not conclusion.source_clause.strip():
        raise NotReasoned(_("Name the clause or source you read."))
    if not author or author.casefold() == party.name.casefold():
        raise NotReasoned(_("Name the person who concludes, not the company."))
    if not conclusion.statement:
        raise NotReasoned(
            _("The statement is missing."),
            _("“I have read the source above; this is our conclusion, not legal advice.”"),
        )


def _check_answer(conclusion: Conclusion, packs: Packs) -> None:
    if conclusion.answer not in Determination.Answer.values:
        raise NotReasoned(_("Say whether something is required."))
    if bool(conclusion.kinds) != (conclusion.answer in {"required", "notify"}):
        raise NotReasoned(_("Name the approvals that are necessary, or none if nothing is."))
    if any(kind not in packs.kinds for kind in conclusion.kinds):
        raise NotReasoned(_("No rule pack knows one of these kinds of approval."))


def _end_former(row: Determination, now: datetime) -> None:
    Determination.objects.filter(
        party=row.party,
        place=row.place,
        role=row.role,
        customer_class=row.customer_class,
        use=row.use,
        line_code=row.line_code,
        ended_at=None,
    ).update(ended_at=now)
