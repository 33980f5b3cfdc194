"""The file format of rule packs, and what makes a file unusable.

Unknown keys, missing sources and rows that let someone pass without a primary source are
faults: a pack that is half understood would open lines.

Source: docs/reference/packs.md
"""

from __future__ import annotations

import re
from datetime import date  # noqa: TC003 -- msgspec reads the annotations
from typing import TYPE_CHECKING, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ferriage.approvals.facts import Answer, CustomerClass, Role, Use

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PLACE: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_USER_ASSIGNED: Final = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ")

LONGEST_VERSION: Final = 40

Key = tuple[Role, CustomerClass, Use]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Authority(_Struct, frozen=True):
    """Who grants approvals; `name` in its own script."""

    code: str
    name: str
    names: dict[str, str] = {}
    url: str = ""
    register_url: str = ""


class Source(_Struct, frozen=True):
    """A document that rows cite.

    `read` says what was read on `read_on`: its own text, only a quotation of it, or nothing yet
    (then it is named for the operator to read).
    """

    key: str
    title: str
    standing: Literal["primary", "secondary"]
    read: Literal["text", "quotation", "nothing"]
    read_on: date | None = None
    url: str = ""
    note: str = ""


class Kind(_Struct, frozen=True):
    """A kind of approval, and what an approval of this kind can cover."""

    code: str
    names: dict[str, str]
    authority: str
    roles: tuple[Role, ...]
    customer_classes: tuple[CustomerClass, ...]
    uses: tuple[Use, ...]
    clause: str
    source: str
    open_ended: bool = False
    counts: Literal["on_grant", "on_lodging"] = "on_grant"
    renewal_lead_days: int = 0
    note: str = ""


class Row(_Struct, frozen=True):
    """One answer, for every combination of the roles, classes and uses it lists.

    Any one of `kinds` satisfies a row that asks for an approval. The row holds from the start
    of `effective_from` in the authority's time zone until a later row for the same question.
    """

    roles: tuple[Role, ...]
    customer_classes: tuple[CustomerClass, ...]
    uses: tuple[Use, ...]
    answer: Answer
    clause: str
    source: str
    effective_from: date
    kinds: tuple[str, ...] = ()
    note: str = ""

    def answers(self) -> Iterable[Key]:
        """Yield each question the row answers."""
        for role in self.roles:
            for customer_class in self.customer_classes:
                for use in self.uses:
                    yield role, customer_class, use


class Document(_Struct, frozen=True):
    """A whole pack as its file says it; `invented` marks a place that no country has."""

    schema: Literal[1]
    place: str
    version: str
    time_zone: str
    names: dict[str, str]
    authorities: tuple[Authority, ...]
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]
    kinds: tuple[Kind, ...] = ()
    invented: bool = False


def is_place(text: str) -> bool:
    """Tell whether a text has the form of an ISO 3166 code, with or without subdivision."""
    return _PLACE.fullmatch(text) is not None


def is_user_assigned(place: str) -> bool:
    """Tell whether ISO 3166 leaves this country code to users, so that no country has it."""
    return _USER_ASSIGNED.fullmatch(place[:2]) is not None


# --- what makes a pack unusable ---------------------------------------------------------------


def faults(document: Document, *, allow_user_assigned: bool) -> Iterable[str]:
    """Yield every fault of a pack in words that name the row or kind."""
    yield from _head_faults(document, allow_user_assigned=allow_user_assigned)
    sources = {item.key: item for item in document.sources}
    authorities = {item.code for item in document.authorities}
    kinds = {item.code: item for item in document.kinds}
    for kind in document.kinds:
        yield from _kind_faults(document.place, kind, authorities, sources)
    for number, row in enumerate(document.rows, start=1):
        yield from (f"row {number}: {fault}" for fault in _row_faults(row, kinds, sources))
    yield from _doubles(document.rows)


def _head_faults(document: Document, *, allow_user_assigned: bool) -> Iterable[str]:
    place = document.place
    if not is_place(place):
        yield f"place {place!r} is not an ISO 3166 code"
    if is_user_assigned(place) != document.invented:
        yield f"`invented` must say whether {place} is a code that no country has"
    if is_user_assigned(place) and not allow_user_assigned:
        yield (
            f"{place} is an invented place; it serves demos and shops tried out locally, "
            "never a site on a public address"
        )
    try:
        ZoneInfo(document.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"time_zone {document.time_zone!r} is not known"
    if "en" not in document.names:
        yield "names has no `en`"
    if not 0 < len(document.version) <= LONGEST_VERSION:
        yield f"version must have 1 to {LONGEST_VERSION} characters"


def _kind_faults(
    place: str, kind: Kind, authorities: set[str], sources: Mapping[str, Source]
) -> Iterable[str]:
    if not kind.code.startswith(f"{place}-"):
        yield f"kind {kind.code} must begin with {place}-"
    if kind.authority not in authorities:
        yield f"kind {kind.code}: authority {kind.authority} is not listed"
    if kind.source not in sources:
        yield f"kind {kind.code}: source {kind.source} is not listed"
    if "en" not in kind.names:
        yield f"kind {kind.code}: names has no `en`"


def _row_faults(
    row: Row, kinds: Mapping[str, Kind], sources: Mapping[str, Source]
) -> Iterable[str]:
    if not (row.roles and row.customer_classes and row.uses):
        yield "roles, customer_classes and uses must each name something"
    if bool(row.kinds) != (row.answer in {"required", "notify"}):
        yield f"answer {row.answer} and kinds do not go together"
    for code in row.kinds:
        yield from _coverage_faults(row, code, kinds.get(code))
    if row.source not in sources:
        yield f"source {row.source} is not listed"
    else:
        yield from _source_faults(row, sources[row.source])


def _coverage_faults(row: Row, code: str, kind: Kind | None) -> Iterable[str]:
    if kind is None:
        yield f"kind {code} is not listed"
        return
    pairs = (
        (set(row.roles), set(kind.roles)),
        (set(row.customer_classes), set(kind.customer_classes)),
        (set(row.uses), set(kind.uses)),
    )
    if not all(asked <= covered for asked, covered in pairs):
        yield f"kind {code} does not cover every role, class and use of the row"
    if (kind.counts == "on_lodging") != (row.answer == "notify"):
        yield f"answer {row.answer}, but kind {code} counts {kind.counts}"


def _source_faults(row: Row, source: Source) -> Iterable[str]:
    """Yield why a source cannot carry an answer.

    A quotation may carry an answer that stops or asks for more; an answer that lets business
    begin must rest on a primary source whose own text was read.
    """
    if row.answer == "unknown":
        return
    if source.standing != "primary" or source.read == "nothing" or source.read_on is None:
        yield f"answer {row.answer} needs a primary source that was read, with the date"
    elif row.answer in {"not_required", "notify"} and source.read != "text":
        yield f"answer {row.answer} needs a source whose own text was read"
    if not row.clause:
        yield f"answer {row.answer} needs a clause"


def _doubles(rows: Iterable[Row]) -> Iterable[str]:
    seen: set[tuple[Key, date]] = set()
    for number, row in enumerate(rows, start=1):
        for key in row.answers():
            if (key, row.effective_from) in seen:
                yield f"row {number}: {' '.join(key)} is answered twice from the same day"
            seen.add((key, row.effective_from))
