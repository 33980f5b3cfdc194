from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from django.core import signing
from django.db.models import Exists, OuterRef, Q

from ferriage.approvals import chainfile, rows
from ferriage.approvals.evaluate import evaluate, open_questions, rests_until
from ferriage.approvals.facts import (
    ROLES,
    ApprovalFacts,
    CustomerClass,
    DeterminationFacts,
    Facts,
    LineFacts,
    PartyFacts,
    Question,
    Reason,
    Role,
    Use,
    Verdict,
)
from ferriage.approvals.models import (
    Approval,
    ApprovalLine,
    ClockRepair,
    Decision,
    Determination,
    Evidence,
    OutsideLink,
    PackVersion,
)
from ferriage.approvals.onereading import once
from ferriage.approvals.site import packs_in_force
from ferriage.core import chain
from ferriage.core.compiled import Compiled, MadeOf
from ferriage.core.hashing import hash_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.approvals.models import Party
    from ferriage.approvals.packs import Packs

OUTSIDE_SALT: Final = "outside-link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Everything recorded at one moment, read once to judge many lines.

    `approvals` are keyed by line and by holder, so that a refusal can name an approval that
    covers the line for somebody else, or another line for its operator.
    """

    packs: Packs
    approvals: dict[str, tuple[ApprovalFacts, ...]]
    determinations: dict[str, tuple[DeterminationFacts, ...]]
    _judged: dict[tuple[object, ...], Verdict] = field(
        default_factory=dict, repr=False, compare=False
    )
    _facts: dict[tuple[LineFacts, str | None], Facts] = field(
        default_factory=dict, repr=False, compare=False
    )

    def facts(self, line: LineFacts, customer_place: str | None = None) -> Facts:
        """Return what concerns one line, in a fixed order."""
        known = self._facts.get((line, customer_place))
        if known is not None:
            return known
        found = {
            approval.code: approval
            for key in (line.code, line.operator.code)
            for approval in self.approvals.get(key, ())
        }
        facts = self._facts[line, customer_place] = Facts(
            line=line,
            customer_place=customer_place,
            approvals=tuple(found[code] for code in sorted(found)),
            determinations=self.determinations.get(line.operator.code, ()),
        )
        return facts

    def judge(
        self,
        *,
        line: LineFacts,
        at: datetime,
        customer_place: str | None = None,
        begins: bool = False,
    ) -> Verdict:
        """Judge a line; see `ferriage.approvals.evaluate.evaluate`.

        What was read does not change, so each question is judged once, for however many devices
        and offers it is asked.

        Args:
            begins: Something would begin by it, such as a sale. Then what a waiting pack denies
                is denied already, since it would end within days.
        """
        asked = (line, at, customer_place, begins)
        verdict = self._judged.get(asked)
        if verdict is None:
            packs = self.packs.at_once if begins else self.packs
            verdict = evaluate(self.facts(line, customer_place), packs, at)
            self._judged[asked] = verdict
        return verdict

    def rests_until(
        self, *, line: LineFacts, at: datetime, customer_place: str | None = None
    ) -> datetime | None:
        """Return where terms sold on a line now must end; see `evaluate.rests_until`."""
        verdict = self.judge(line=line, at=at, customer_place=customer_place, begins=True)
        facts = self.facts(line, customer_place)
        return rests_until(facts, self.packs.at_once, at, verdict=verdict)


def guarding() -> QuerySet[Decision]:
    """Return the newest Decision that no confirmed clock repair names."""
    repaired = ClockRepair.objects.filter(
        confirmed_at__isnull=False,
        first_sequence__lte=OuterRef("sequence"),
        last_sequence__gte=OuterRef("sequence"),
    )
    return Decision.objects.exclude(Exists(repaired)).order_by("-sequence")[:1]


_GUARDING: Final = Compiled(0, guarding)
_APPROVALS: Final = Compiled(0, lambda: rows.judged(Approval.objects.all()))
_SCOPES: Final = Compiled(0, lambda: rows.scopes(ApprovalLine.objects.all()))
_DETERMINATIONS: Final = Compiled(0, lambda: in_use(Determination.objects.all()))


def load_register(*, packs: Packs | None = None) -> Register:
    """Read the whole register with four queries, however many lines it covers.

    Where the database says what it said last, its rows are not made into facts again.

    Args:
        packs: Judge by these instead of those in force, to see what they would change.
    """
    if packs is not None:
        return _register(_APPROVALS(), _SCOPES(), _DETERMINATIONS(), packs)
    return once(_whole)


def _whole() -> Register:
    read = (_APPROVALS.unchanged(), _SCOPES.unchanged(), _DETERMINATIONS.unchanged())
    made = _REGISTER(*read, packs_in_force())
    # What is judged is kept no longer than whoever asks has it in hand.
    return Register(packs=made.packs, approvals=made.approvals, determinations=made.determinations)


def judge(
    *, line: LineFacts, at: datetime, customer_place: str | None = None, begins: bool = False
) -> Verdict:
    """Judge one line with what is recorded now; use `load_register` for many lines.

    Raises:
        PackError: A rule pack cannot be used.
    """
    register = register_of(line)
    return register.judge(line=line, at=at, customer_place=customer_place, begins=begins)


def register_of(line: LineFacts) -> Register:
    """Read the part of the register that concerns one line, with four queries."""
    named = ApprovalLine.objects.filter(line_code=line.code).values("approval")
    mine = Approval.objects.filter(Q(pk__in=named) | Q(holder__code=line.operator.code))
    return _register(
        rows.judged(mine),
        rows.scopes(ApprovalLine.objects.filter(approval__in=mine.values("pk"))),
        in_use(Determination.objects.filter(party__code=line.operator.code)),
    )


def questions_left(
    *, line: LineFacts, at: datetime, customer_place: str | None = None
) -> tuple[Question, ...]:
    """Return the line's questions that only a determination can answer and none does.

    Without a customer's place these are the permit's questions and the sale to each place that
    is written on the line: everything its operator must settle before selling.
    """
    register = register_of(line)
    places = (None, *line.sell_places) if customer_place is None else (customer_place,)
    left = {
        question
        for place in places
        for question in open_questions(register.facts(line, place), register.packs, at)
    }
    return tuple(sorted(left, key=lambda question: (ROLES.index(question.role), question.place)))


def versions_of(approval: Approval) -> list[Approval]:
    """Return an approval with all that it supersedes and that supersedes it, newest first."""
    found = {approval.pk: approval}
    new = [approval]
    while new:
        rows = Approval.objects.filter(
            Q(pk__in=[row.supersedes_id for row in new if row.supersedes_id])
            | Q(supersedes__in=[row.pk for row in new])
        )
        new = [row for row in rows if row.pk not in found]
        found |= {row.pk: row for row in new}
    return sorted(found.values(), key=lambda row: row.pk, reverse=True)


def outside_link(token: str, now: datetime) -> OutsideLink | None:
    """Return a link from outside that can still be answered, or nothing.

    What it shows must still wait: an approval granted and not verified, a repair not confirmed.
    """
    try:
        signing.Signer(salt=OUTSIDE_SALT, sep=".").unsign(token)
    except signing.BadSignature:
        return None
    waiting = Q(approval__state=Approval.State.GRANTED, approval__verified_by="") | Q(
        repair__confirmed_by="", repair__dropped_at=None, repair__isnull=False
    )
    links = OutsideLink.objects.filter(
        waiting,
        token_hash=hash_secret(OUTSIDE_SALT, token),
        used_at=None,
        expires_at__gt=now,
    )
    return links.select_related("approval__holder", "repair").first()


def party_facts(party: Party) -> PartyFacts:
    """Return a party as the register judges it."""
    return PartyFacts(party.code, party.place)


@lru_cache(maxsize=256)
def inputs_digest(facts: Facts) -> str:
    """Return 64 hex digits that cover every fact of one judgement.

    One sale after the other is judged by the same facts.
    """
    return hashlib.sha256(chain.canonical(facts_as_json(facts)).encode()).hexdigest()


def facts_as_json(facts: Facts) -> dict[str, Any]:
    """Return the facts of one judgement as JSON; their digest is of its canonical text."""
    return cast("dict[str, Any]", _plain(asdict(facts)))


def newest_packs() -> dict[str, PackVersion]:
    """Return the newest version of each place's pack that came to the shop, without its text."""
    return {row.place: row for row in PackVersion.objects.defer("text").order_by("pk")}


def latest_decision() -> Decision | None:
    """Return the newest Decision of the chain."""
    return Decision.objects.order_by("-sequence").first()


def guarding_decision() -> Decision | None:
    """Return the newest Decision that no confirmed clock repair names: the guard's measure."""
    return _GUARDING.first()


def denial_of(subject: str) -> tuple[Reason, ...]:
    """Return why the newest Decision on a subject denied; nothing unless it did."""
    newest = Decision.objects.filter(subject=subject).order_by("-sequence").first()
    return reasons_of(newest) if newest and not newest.allowed else ()


def reasons_of(decision: Decision) -> tuple[Reason, ...]:
    """Return why a Decision denied, as it was judged then."""
    return tuple(
        Reason(**{**reason, "params": tuple(sorted(reason["params"].items()))})
        for reason in decision.reasons
    )


def decision_content(decision: Decision) -> dict[str, Any]:
    """Return what a Decision's hash covers."""
    return {
        "sequence": decision.sequence,
        "at": decision.at.isoformat(),
        "subject": decision.subject,
        "line": decision.line_code,
        "inputs": decision.inputs_digest,
        "packs": decision.packs,
        "allowed": decision.allowed,
        "reasons": decision.reasons,
        "valid_until": decision.valid_until.isoformat(),
    }


def first_broken_decision() -> Decision | None:
    """Walk the whole chain and return the first Decision that does not fit, if any."""
    previous = chain.GENESIS
    decisions = Decision.objects.order_by("sequence").iterator(chunk_size=2000)
    for sequence, decision in enumerate(decisions, start=1):
        fits = decision.sequence == sequence and decision.previous_hash == previous
        if not fits or decision.hash != chain.link(previous, decision_content(decision)):
            return decision
        previous = decision.hash
    return None


def exported_decisions(*, up_to: int | None = None) -> Iterator[str]:
    """Yield the chain as the lines of a file that `chainfile.verify` follows.

    Args:
        up_to: The last sequence to yield; all when None.
    """
    decisions = Decision.objects.order_by("sequence")
    if up_to is not None:
        decisions = decisions.filter(sequence__lte=up_to)
    for decision in decisions.iterator(chunk_size=2000):
        yield chainfile.line(
            decision_content(decision), hash_=decision.hash, previous=decision.previous_hash
        )


# --- rows as facts ----------------------------------------------------------------------------


def _register(
    approvals: Iterable[Approval],
    scopes: Iterable[tuple[Any, ...]],
    determinations: Iterable[Determination],
    packs: Packs | None = None,
) -> Register:
    packs = packs_in_force() if packs is None else packs
    lines: defaultdict[int, set[str]] = defaultdict(set)
    for approval, line in scopes:
        lines[approval].add(line)
    by_key: defaultdict[str, list[ApprovalFacts]] = defaultdict(list)
    for row in approvals:
        found = rows.approval_facts(row, frozenset(lines[row.pk]), packs)
        for key in {found.holder, *found.lines}:
            by_key[key].append(found)
    by_party: defaultdict[str, list[DeterminationFacts]] = defaultdict(list)
    for concluded in determinations:
        by_party[concluded.party.code].append(determination_facts(concluded))
    return Register(
        packs=packs,
        approvals={key: tuple(rows) for key, rows in by_key.items()},
        determinations={key: tuple(rows) for key, rows in by_party.items()},
    )


_REGISTER: Final = MadeOf(_register)


def in_use(determinations: QuerySet[Determination]) -> QuerySet[Determination]:
    """Return those that are not ended, as `determination_facts` takes them."""
    opinions = Evidence.objects.filter(determination=OuterRef("pk"))
    open_ones = determinations.filter(ended_at=None).annotate(has_opinion=Exists(opinions))
    return open_ones.select_related("party").order_by("pk")


def determination_facts(row: Determination) -> DeterminationFacts:
    """Return a conclusion as the register judges it; it must have its party at hand."""
    return DeterminationFacts(
        code=row.code,
        party=row.party.code,
        place=row.place,
        role=cast("Role", row.role),
        customer_class=cast("CustomerClass", row.customer_class),
        use=cast("Use", row.use),
        answer=cast("Any", row.answer),
        # What says that it is a lawyer's, and holds no opinion, lasts as anybody's own.
        grade="counsel" if row.grade == "counsel" and cast("Any", row).has_opinion else "own",
        made_at=row.made_at,
        review_by=row.review_by,
        line=row.line_code or None,
        kinds=tuple(row.kinds),
    )


def _plain(value: object) -> object:
    """Return a value as JSON takes it, sets in order."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return value
