"""What the register knows about one line, as plain values that `evaluate` judges.

No Django, no clock, no database: whoever holds these values can repeat the judgement.

Source: docs/explanation/register.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from datetime import date, datetime

Role = Literal["operate", "enter", "exit", "cross", "sell"]
CustomerClass = Literal["public", "enterprise", "own_staff"]
Use = Literal["resale", "internal_office"]
Answer = Literal["required", "notify", "not_required", "not_obtainable", "unknown"]
Grade = Literal["own", "counsel"]
ApprovalState = Literal[
    "draft", "lodged", "granted", "suspended", "revoked", "surrendered", "refused"
]

ROLES: Final[tuple[Role, ...]] = ("operate", "enter", "exit", "cross", "sell")
"""In the order in which reasons are given."""
CUSTOMER_CLASSES: Final[tuple[CustomerClass, ...]] = ("public", "enterprise", "own_staff")
USES: Final[tuple[Use, ...]] = ("resale", "internal_office")


@dataclass(frozen=True, slots=True)
class PartyFacts:
    """A legal person: its `pty_` code and the ISO 3166 code of where it sits."""

    code: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFacts:
    """A line as its operator wrote it down.

    `enter` is the place of the gateway that ends the customer's tunnel, `exit` the place where
    traffic leaves to the internet, `sell_places` every place whose customers it may serve.
    """

    code: str
    operator: PartyFacts
    enter: str
    exit: str
    sell_places: tuple[str, ...]
    customer_class: CustomerClass
    use: Use


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFacts:
    """An authority's recorded permission.

    `counts_from` is the instant since which the register lets it count: its verification, or
    its lodging where business may begin with that. `valid_from` and `valid_to` are days of the
    authority's own calendar, both inclusive; only what is lodged may lack a first day. `lines`
    are the `ln_` codes of its scope.
    """

    code: str
    kind: str
    holder: str
    state: ApprovalState
    counts_from: datetime | None
    valid_from: date | None
    valid_to: date | None
    lines: frozenset[str]
    has_number: bool
    has_evidence: bool
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeterminationFacts:
    """The operator's recorded conclusion on one question that the rule pack leaves unknown.

    It is `party`'s alone, and speaks of one line when `line` is set, else of every line. `kinds`
    are the approvals it finds necessary when its answer is `required` or `notify`.
    """

    code: str
    party: str
    place: str
    role: Role
    customer_class: CustomerClass
    use: Use
    answer: Answer
    grade: Grade
    made_at: datetime
    review_by: date
    line: str | None = None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything one judgement rests on, besides the packs and the instant.

    `customer_place` is None when the permit of the line is asked for, which must hold for every
    place written on it.
    """

    line: LineFacts
    customer_place: str | None
    approvals: tuple[ApprovalFacts, ...] = ()
    determinations: tuple[DeterminationFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One thing the law of one place must answer. `place` is the jurisdiction's code."""

    role: Role
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one question is answered as it is: a slug, the clause and where it can be read.

    `params` fill the sentence that `texts.toml` holds for the slug in each language. `source`
    is the title of the document as its authority issued it.
    """

    role: Role
    place: str
    slug: str
    clause: str = ""
    source: str = ""
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a line may be open, or sold in a place, at one instant.

    `reasons` say what is missing and are empty when it is allowed; `grounds` say what each
    question that passed rests on. `valid_until` is the first instant at which an allowed
    verdict could turn to deny with the same facts and packs; a denial holds from the instant it
    was asked for, which is then its `valid_until`.
    """

    allowed: bool
    reasons: tuple[Reason, ...]
    grounds: tuple[Reason, ...]
    valid_until: datetime
