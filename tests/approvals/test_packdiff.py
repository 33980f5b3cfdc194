"""What two versions of a pack say differently."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from register_cases import BUILTIN, DEMO

from ferriage.approvals.facts import CUSTOMER_CLASSES, ROLES, USES
from ferriage.approvals.packdiff import Difference, Field, RowChange, compare
from ferriage.approvals.packfile import Row, Source

if TYPE_CHECKING:
    from ferriage.approvals.packfile import Key
    from ferriage.approvals.packs import Pack

DEMO_PACK = DEMO.by_place["XD"]


def row(answer: str, **more: Any) -> Row:
    values: dict[str, Any] = {
        "roles": ("sell",),
        "customer_classes": ("public",),
        "uses": ("resale",),
        "answer": answer,
        "clause": "section 2",
        "source": "xd-lines",
        "effective_from": date(2026, 1, 1),
    }
    return Row(**{**values, **more})


def pack(*rows: Row, **more: Any) -> Pack:
    return replace(DEMO_PACK, rows=rows, **more)


def question(change: RowChange) -> tuple[tuple[str, ...], ...]:
    return change.roles, change.customer_classes, change.uses


def test_pack_says_the_same_as_itself() -> None:
    assert [bool(compare(one, one)) for one in BUILTIN.by_place.values()] == [False] * len(
        BUILTIN.by_place
    )


def test_changed_answer_is_said_once_with_what_differs() -> None:
    old = pack(row("unknown", roles=("sell", "cross")))
    new = pack(row("not_obtainable", roles=("sell", "cross"), clause="section 9"))

    (change,) = compare(old, new).rows

    assert question(change) == (("cross", "sell"), ("public",), ("resale",))
    assert change.fields == (
        Field(name="answer", before="unknown", after="not_obtainable"),
        Field(name="clause", before="section 2", after="section 9"),
    )


def test_row_of_another_shape_that_answers_alike_is_no_change() -> None:
    whole = pack(row("unknown", roles=("sell", "exit"), uses=("resale", "internal_office")))
    split = pack(
        row("unknown", roles=("exit",), uses=("resale", "internal_office")),
        row("unknown", roles=("sell",), uses=("internal_office",)),
        row("unknown", roles=("sell",), uses=("resale",)),
    )

    assert not compare(whole, split)


def test_rows_that_come_go_and_move_to_another_day_are_told_apart() -> None:
    moved = row("unknown", roles=("exit",))
    old = pack(row("unknown", roles=("operate",)), moved)
    new = pack(
        row("unknown", roles=("enter",)),
        row("unknown", roles=("exit",), effective_from=date(2027, 1, 1)),
    )

    found = {change.roles[0]: change for change in compare(old, new).rows}

    assert (found["operate"].after, found["enter"].before) == (None, None)
    assert found["exit"].fields == (
        Field(name="effective_from", before="2026-01-01", after="2027-01-01"),
    )


def test_source_that_was_read_anew_is_told_once_not_for_each_row() -> None:
    (source,) = DEMO_PACK.sources.values()
    again = Source(**{**_fields(source), "read_on": date(2027, 1, 2)})

    difference = compare(DEMO_PACK, replace(DEMO_PACK, sources={"xd-lines": again}))

    (part,) = difference.parts
    assert (difference.rows, part.part, part.code) == ((), "source", "xd-lines")
    assert part.fields == (Field(name="read_on", before="2026-11-24", after="2027-01-02"),)


def test_first_pack_of_a_place_is_all_new() -> None:
    difference = compare(None, DEMO_PACK)

    assert [change.before for change in difference.rows] == [None] * len(difference.rows)
    assert {part.code for part in difference.parts if part.is_new} == {
        *("XD", "XD-PUBLIC-VPN", "XD-LINE-OFFICE", "xd-lines")
    }


keys = st.sets(st.sampled_from(list(product(ROLES, CUSTOMER_CLASSES, USES))))


@given(before=keys, after=keys)
def test_changes_name_every_question_that_differs_once_and_no_other(
    before: set[Key], after: set[Key]
) -> None:
    difference = compare(_one_row_each(before), _one_row_each(after))

    assert _told(difference, came=True) == sorted(after - before)
    assert _told(difference, came=False) == sorted(before - after)


def _told(difference: Difference, *, came: bool) -> list[Key]:
    changes = [change for change in difference.rows if (change.before is None) is came]
    return sorted(key for change in changes for key in product(*question(change)))  # type: ignore[misc]


def _one_row_each(answered: set[Key]) -> Pack:
    return pack(
        *(
            row("unknown", roles=(role,), customer_classes=(customer_class,), uses=(use,))
            for role, customer_class, use in answered
        )
    )


def _fields(source: Source) -> dict[str, Any]:
    return {name: getattr(source, name) for name in source.__struct_fields__}
