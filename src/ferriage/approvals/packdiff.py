"""What two versions of a rule pack say differently: rows by the questions they answer, and parts.

Rows have no names, and one question may be answered by another row of another shape; so each
combination of role, class and use is compared, and what changed alike is said together.

Source: docs/reference/packs.md
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ferriage.approvals.facts import CUSTOMER_CLASSES, ROLES, USES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ferriage.approvals.facts import CustomerClass, Role, Use
    from ferriage.approvals.packfile import Key, Row
    from ferriage.approvals.packs import Pack

_QUESTION: Final = {"roles", "customer_classes", "uses"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a row or part that differs, as the file writes it; empty where it is absent."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that came (`before` is None), went (`after` is None) or says something else.

    It speaks of every combination of the roles, classes and uses that it lists.
    """

    roles: tuple[Role, ...]
    customer_classes: tuple[CustomerClass, ...]
    uses: tuple[Use, ...]
    before: Row | None
    after: Row | None
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChange:
    """A kind, an authority, a source or the head of the pack that came, went or differs."""

    part: str
    code: str
    is_new: bool
    is_gone: bool
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that differs; `old` is None where no pack spoke for the place."""

    old: Pack | None
    new: Pack
    rows: tuple[RowChange, ...]
    parts: tuple[PartChange, ...]

    def __bool__(self) -> bool:
        return bool(self.rows or self.parts)


def compare(old: Pack | None, new: Pack) -> Difference:
    """Return what a version says differently from another; the version itself is not compared."""
    return Difference(
        old=old, new=new, rows=tuple(_row_changes(old, new)), parts=tuple(_part_changes(old, new))
    )


# --- rows -------------------------------------------------------------------------------------

_Pair = tuple["Row | None", "Row | None"]


def _row_changes(old: Pack | None, new: Pack) -> Iterator[RowChange]:
    """Yield the changes, each for a block of questions that changed alike."""
    alike: defaultdict[bytes, dict[Key, _Pair]] = defaultdict(dict)
    before, after = _by_key(old), _by_key(new)
    for key in sorted({*before, *after}, key=_order):
        for pair in _pairs(before.get(key, []), after.get(key, []), old, new):
            said = [_content(row, pack) for row, pack in zip(pair, (old, new), strict=True)]
            alike[msgspec.json.encode(said)][key] = pair
    for keys in alike.values():
        for roles, classes, uses in _blocks(keys):
            first = keys[roles[0], classes[0], uses[0]]
            yield RowChange(
                roles=roles,
                customer_classes=classes,
                uses=uses,
                before=first[0],
                after=first[1],
                fields=_fields(_content(first[0], old), _content(first[1], new)),
            )


def _by_key(pack: Pack | None) -> dict[Key, list[Row]]:
    found: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in sorted(pack.rows, key=lambda row: row.effective_from) if pack else ():
        for key in row.answers():
            found[key].append(row)
    return found


def _pairs(
    before: Sequence[Row], after: Sequence[Row], old: Pack | None, new: Pack
) -> Iterator[_Pair]:
    """Match one question's rows by their first day; a single one that is left has moved."""
    days = {row.effective_from: row for row in after}
    gone, same_day = [], set()
    for row in before:
        twin = days.get(row.effective_from)
        if twin is None:
            gone.append(row)
            continue
        same_day.add(row.effective_from)
        if _content(row, old) != _content(twin, new):
            yield row, twin
    come = [row for row in after if row.effective_from not in same_day]
    if len(gone) == len(come) == 1:
        yield gone[0], come[0]
        return
    yield from ((row, None) for row in gone)
    yield from ((None, row) for row in come)


def _content(row: Row | None, pack: Pack | None) -> dict[str, Any]:
    """Return what a row says, with its source's title, which outlives the source's key."""
    if row is None or pack is None:
        return {}
    said = {key: value for key, value in _plain(row).items() if key not in _QUESTION}
    return {**said, "source": pack.sources[row.source].title}


def _blocks(
    keys: Iterable[Key],
) -> Iterator[tuple[tuple[Role, ...], tuple[CustomerClass, ...], tuple[Use, ...]]]:
    """Yield the questions as few blocks, of each of which every combination is among them."""
    uses: defaultdict[tuple[Role, CustomerClass], list[Use]] = defaultdict(list)
    for role, customer_class, use in sorted(keys, key=_order):
        uses[role, customer_class].append(use)
    classes: defaultdict[tuple[Role, tuple[Use, ...]], list[CustomerClass]] = defaultdict(list)
    for (role, customer_class), found in uses.items():
        classes[role, tuple(found)].append(customer_class)
    roles: defaultdict[tuple[tuple[CustomerClass, ...], tuple[Use, ...]], list[Role]]
    roles = defaultdict(list)
    for (role, found_uses), found_classes in classes.items():
        roles[tuple(found_classes), found_uses].append(role)
    for (found_classes_, found_uses), found_roles in roles.items():
        yield tuple(found_roles), found_classes_, found_uses


def _order(key: Key) -> tuple[int, int, int]:
    role, customer_class, use = key
    return ROLES.index(role), CUSTOMER_CLASSES.index(customer_class), USES.index(use)


# --- the rest of a pack -----------------------------------------------------------------------


def _part_changes(old: Pack | None, new: Pack) -> Iterator[PartChange]:
    yield from _parts("pack", _head(old), _head(new))
    for part in ("kinds", "authorities", "sources"):
        before: Mapping[str, msgspec.Struct] = getattr(old, part) if old else {}
        after: Mapping[str, msgspec.Struct] = getattr(new, part)
        yield from _parts(
            {"kinds": "kind", "authorities": "authority", "sources": "source"}[part],
            {code: _plain(struct) for code, struct in before.items()},
            {code: _plain(struct) for code, struct in after.items()},
        )


def _head(pack: Pack | None) -> dict[str, dict[str, Any]]:
    if pack is None:
        return {}
    return {pack.place: {"time_zone": pack.zone.key, "names": dict(pack.names)}}


def _parts(
    part: str, before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]
) -> Iterator[PartChange]:
    for code in dict.fromkeys((*before, *after)):
        fields = _fields(before.get(code, {}), after.get(code, {}))
        if fields:
            yield PartChange(
                part=part,
                code=code,
                is_new=code not in before,
                is_gone=code not in after,
                fields=fields,
            )


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Field, ...]:
    return tuple(
        Field(name=name, before=_text(before.get(name)), after=_text(after.get(name)))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    )


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(struct)
    return found


def _text(value: object) -> str:
    """Return a value of the file in one line."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return " ".join(str(value).split())
