"""Lists of people as CSV: read line by line, taken over whole or not at all, written harmless."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry
from ferriage.members import actions, queries, userfile
from ferriage.members.models import Member
from ferriage.members.userfile import Entry
from yard import OWNER

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from closed_office import Office
    from ferriage.members.userfile import Report

LANGUAGES = ("en", "zh-hans")
DAY = timedelta(days=1)


def report(office: Office, text: str) -> Report:
    return queries.report_on(closed=office.closed, text=text, languages=LANGUAGES)


def imported(
    office: Office,
    text: str,
    *,
    digest: str | None = None,
    leave_missing: bool = False,
    with_invitations: bool = False,
) -> actions.Imported:
    return actions.import_file(
        closed=office.closed,
        text=text,
        languages=LANGUAGES,
        digest=report(office, text).digest if digest is None else digest,
        leave_missing=leave_missing,
        with_invitations=with_invitations,
        now=office.now + DAY,
        actor=OWNER,
    )


def states() -> dict[str, str]:
    return dict(Member.objects.order_by("reference").values_list("reference", "state"))


@pytest.mark.django_db
def test_report_says_what_each_line_would_do_and_changes_nothing(office: Office) -> None:
    office.listed("P-1", "Ann")
    office.listed("P-2", "Bo")
    gone = office.active("P-3", "Cy").member
    actions.leave(member=gone, now=office.now, actor=OWNER)
    office.listed("P-9", "Not named")
    before = list(Member.objects.values())

    found = report(office, "name,reference\nAnn,P-1\nBob,P-2\nCy,P-3\nDi,P-4\n")

    planned = [(plan.row.line, plan.row.reference, plan.change) for plan in found.planned]
    assert planned == [
        (2, "P-1", "same"),
        (3, "P-2", "renamed"),
        (4, "P-3", "returns"),
        (5, "P-4", "new"),
    ]
    assert [member.reference for member in found.missing] == ["P-9"]
    assert found.faults == ()
    assert list(Member.objects.values()) == before


@pytest.mark.django_db
def test_reported_file_is_taken_over(office: Office) -> None:
    accepted = office.active("P-2", "Bo")
    text = "reference,name,language\nP-2,Bob,\nP-4,林美,zh-hans\n"

    done = imported(office, text, with_invitations=True)

    assert (done.joined, done.renamed, done.left) == (1, 1, 0)
    assert states() == {"P-2": "active", "P-4": "invited"}
    lin = Member.objects.get(reference="P-4")
    assert (lin.name, lin.language) == ("林美", "zh-hans")
    accepted.account.refresh_from_db()
    assert accepted.account.label == "Bob"
    ((member, token),) = done.tokens
    assert member == lin
    actions.accept(token=token, place="XD", now=office.now + DAY, actor=CUSTOMER)
    assert states()["P-4"] == "active"


@pytest.mark.django_db
@pytest.mark.parametrize(("tick", "after"), [(False, "active"), (True, "left")])
def test_missing_people_leave_only_when_told_so(office: Office, tick: bool, after: str) -> None:  # noqa: FBT001 -- a case
    office.active("P-1", "Ann")
    office.active("P-2", "Bo")

    done = imported(office, "reference,name\nP-2,Bo\n", leave_missing=tick)

    assert done.left == int(tick)
    assert states() == {"P-1": after, "P-2": "active"}


@pytest.mark.django_db
def test_file_with_one_fault_changes_nothing(office: Office) -> None:
    office.active("P-1", "Ann")

    with pytest.raises(actions.FileWrong, match="Line 3") as refused:
        imported(office, "reference,name\nP-2,Bo\n,Nobody\n", leave_missing=True)

    assert [fault.line for fault in refused.value.report.faults] == [3]
    assert states() == {"P-1": "active"}


@pytest.mark.django_db
def test_report_of_yesterday_is_not_done_today(office: Office) -> None:
    text = "reference,name\nP-2,Bo\n"
    digest = report(office, text).digest
    office.listed("P-7", "Came meanwhile")

    with pytest.raises(StaleState):
        imported(office, text, digest=digest, leave_missing=True)
    with pytest.raises(StaleState):
        imported(office, "reference,name\nP-3,Other\n", digest=digest)

    assert states() == {"P-7": "invited"}


@pytest.mark.django_db
def test_person_who_returns_accepts_anew(office: Office) -> None:
    member = office.active("P-1", "Ann").member
    actions.leave(member=member, now=office.now, actor=OWNER)

    imported(office, "reference,name\nP-1,Ann\n")

    assert states() == {"P-1": "invited"}


@pytest.mark.django_db
def test_long_list_is_written_with_a_fixed_number_of_statements(
    office: Office, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    short = "reference,name\n" + "".join(f"A-{number},Name\n" for number in range(2))
    long = "reference,name\n" + "".join(f"B-{number},Name\n" for number in range(300))
    with django_assert_max_num_queries(60) as few:
        imported(office, short, with_invitations=True)

    with django_assert_max_num_queries(len(few)):
        imported(office, long, with_invitations=True)

    assert Member.objects.count() == 302
    entry = AuditEntry.objects.filter(action="members.imported").latest("sequence")
    assert (entry.subject, entry.details["joined"]) == (office.plan.service.code, 300)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [1]),
        ("reference,name\n", [1]),
        ("name\nAnn\n", [1]),
        ("reference,name,salary\nP-1,Ann,1\n", [1]),
        ("reference,reference,name\nP-1,P-1,Ann\n", [1]),
        ("reference,name\nP-1,\n", [2]),
        ("reference,name\nP-1,Ann,more\n", [2]),
        (f"reference,name\n{'P' * 61},Ann\n", [2]),
        (f"reference,name\nP-1,{'A' * 101}\n", [2]),
        ("reference,name\nP-1,Ann\n\nP-1,Bo\n", [4]),
        ("reference,name,language\nP-1,Ann,tlh\n", [2]),
        ('reference,name\nP-1,"Ann\nLee"\nP-2,\n', [2, 4]),
        ('reference,name\nP-1,"Ann\n', [2]),
        ("reference,name\nP-1,An\x00n\n", [2]),
    ],
    ids=repr,
)
def test_fault_is_named_by_its_line(text: str, lines: list[int]) -> None:
    found = userfile.report(text=text, members=[], languages=LANGUAGES)

    assert [fault.line for fault in found.faults] == lines


def test_spreadsheets_mark_semicolons_and_blank_lines_are_read() -> None:
    text = "\ufeffReference;Name\r\n P-1 ; Ann \r\n;\r\n\r\nP-2;Bo\r\n"

    rows, faults = userfile.read(text, LANGUAGES)

    assert faults == []
    assert [(row.line, row.reference, row.name) for row in rows] == [
        (2, "P-1", "Ann"),
        (5, "P-2", "Bo"),
    ]


def test_too_many_people_are_refused() -> None:
    many = "".join(f"P-{number},A\n" for number in range(userfile.MOST_ROWS + 1))

    found = userfile.report(text=f"reference,name\n{many}", members=[], languages=LANGUAGES)

    assert len(found.faults) == 1


NAMES = st.text(min_size=1, max_size=60).filter(lambda t: t.strip() == t and t.isprintable())


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), NAMES)
def test_exported_file_reads_back_and_holds_no_formula(references: list[str], name: str) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    members = [
        Member(reference=text, name=name, state="invited", entered_at=at) for text in references
    ]

    text = userfile.export(Entry(member, 0) for member in members)

    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.lstrip()[:1] in {"=", "+", "-", "@"}]
    rows, faults = userfile.read(text, LANGUAGES)
    assert faults == []
    assert [(row.reference, row.name) for row in rows] == [(text, name) for text in references]


@pytest.mark.django_db
def test_export_says_who_since_when_and_until_when(office: Office, now: datetime) -> None:
    accepted = office.active("P-1", "=cmd|' /C calc'!A0")
    office.device(accepted)
    actions.leave(member=accepted.member, now=now + DAY, actor=OWNER)
    office.listed("P-2", "Bo")

    text = userfile.export(queries.entries(list(Member.objects.order_by("reference"))))

    today, tomorrow = "2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z"
    assert text.splitlines() == [
        "reference,name,language,state,entered,active_since,left,devices",
        f"P-1,'=cmd|' /C calc'!A0,en,left,{today},{today},{tomorrow},1",
        f"P-2,Bo,en,invited,{today},,,0",
    ]
