"""The calendar: which tasks there are and when each begins, from dates and zones alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register_cases import (
    AT,
    BUILTIN,
    DEMO,
    DEMO_LINE,
    EVERY_ROLE,
    approval,
    determination,
    lease,
    line,
    office_line,
    row,
    write_pack,
)

from ferriage.approvals import packs
from ferriage.approvals.agenda import (
    LEADS,
    Deadline,
    IncidentFacts,
    LineSince,
    Recorded,
    deadlines,
)
from ferriage.approvals.facts import Question

if TYPE_CHECKING:
    from pathlib import Path

    from ferriage.approvals.facts import LineFacts
    from ferriage.approvals.packs import Packs

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARCH = datetime(2027, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def recorded(*lines: LineFacts, law: Packs = DEMO, **more: Any) -> Recorded:
    since = tuple(LineSince(line=subject, since=SINCE) for subject in lines or (DEMO_LINE,))
    return Recorded(packs=law, lines=since, **more)


def ends(found: Recorded, at: datetime = AT) -> list[tuple[str, datetime | None]]:
    """Return the approvals and determinations that end."""
    abouts = {"approval", "determination"}
    return [(item.subject, item.at) for item in deadlines(found, at) if item.about in abouts]


def duties(found: Recorded, at: datetime = AT) -> list[tuple[str, str, datetime | None]]:
    return [
        (item.duty, item.subject, item.at) for item in deadlines(found, at) if item.about == "duty"
    ]


# --- when a task begins -----------------------------------------------------------------------


def deadline(at: datetime, zone: str = "UTC") -> Deadline:
    return Deadline(about="approval", subject="apr_1", zone=ZoneInfo(zone), at=at)


def test_tasks_begin_at_midnight_of_the_authority_so_many_days_before() -> None:
    item = deadline(datetime(2026, 12, 31, 16, tzinfo=UTC), "Asia/Shanghai")

    assert item.last_day == date(2026, 12, 31)
    assert [item.begins_on(lead) for lead in LEADS] == [
        date(2026, 7, 5),
        date(2026, 10, 3),
        date(2026, 11, 2),
        date(2026, 12, 2),
        date(2026, 12, 18),
        date(2026, 12, 25),
        date(2026, 12, 31),
    ]
    assert item.begins_at(30) == datetime(2026, 12, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize("lead", LEADS)
def test_task_is_the_current_one_from_its_first_second(lead: int) -> None:
    item = deadline(MARCH)
    begin = item.begins_at(lead)
    assert begin is not None
    earlier = {180: None, 90: 180, 60: 90, 30: 60, 14: 30, 7: 14, 1: 7}[lead]

    assert (item.lead(begin - SECOND), item.lead(begin)) == (earlier, lead)
    assert item.next_lead(begin - SECOND) == lead


def test_midnights_of_a_zone_with_summer_time_are_counted_in_days() -> None:
    item = deadline(datetime(2026, 11, 30, 23, tzinfo=UTC), "Europe/Stockholm")

    assert item.begins_at(30) == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert item.begins_at(60) == datetime(2026, 10, 1, 22, tzinfo=UTC)


def test_duty_without_a_day_has_no_tasks() -> None:
    item = Deadline(about="duty", subject="apr_1", zone=ZoneInfo("UTC"), at=None, duty="X")

    assert (item.last_day, item.begins_on(30), item.begins_at(30)) == (None, None, None)
    assert (item.lead(AT), item.next_lead(AT), item.is_over(AT)) == (None, None, False)


@settings(deadline=None)
@given(
    end=st.datetimes(datetime(2025, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis adds the zone
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Stockholm", "America/St_Johns"]),
    before=st.timedeltas(timedelta(0), timedelta(days=250)),
)
def test_exactly_one_task_is_current_from_the_first_to_the_end(
    end: datetime, zone: str, before: timedelta
) -> None:
    item = deadline(end, zone)
    at = end - before - timedelta(microseconds=1)
    begun = [lead for lead in LEADS if (start := item.begins_at(lead)) and start <= at]
    coming = [lead for lead in LEADS if lead not in begun]

    assert item.lead(at) == (begun[-1] if begun else None)
    assert item.next_lead(at) == (coming[0] if coming else None)
    assert [*begun, *coming] == list(LEADS)


# --- what ends --------------------------------------------------------------------------------


def test_approval_that_counts_ends_and_one_that_does_not_is_no_task() -> None:
    not_counting = (
        approval(code="apr_2", state="suspended"),
        approval(code="apr_3", state="draft", counts_from=None),
        approval(code="apr_4", counts_from=None, verified=False),
        approval(code="apr_5", has_evidence=False),
        approval(code="apr_6", lines=frozenset({"ln_closed"})),
        approval(code="apr_7", kind="GONE"),
        approval(code="apr_8", valid_to=date(2026, 11, 23)),
    )

    assert ends(recorded(approvals=(approval(), *not_counting))) == [("apr_1", MARCH)]


def test_approval_that_begins_later_has_its_tasks_already() -> None:
    later = approval(valid_from=date(2027, 1, 1), valid_to=date(2027, 12, 31))

    assert ends(recorded(approvals=(later,))) == [("apr_1", datetime(2028, 1, 1, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("renewal", "left"),
    [
        ({}, ["apr_2"]),
        ({"valid_from": date(2027, 3, 2)}, ["apr_1", "apr_2"]),
        ({"valid_from": date(2026, 12, 1), "valid_to": date(2027, 2, 27)}, ["apr_1"]),
        ({"holder": "pty_2"}, ["apr_1", "apr_2"]),
        ({"lines": frozenset({"ln_2"})}, ["apr_1", "apr_2"]),
        ({"counts_from": None}, ["apr_1"]),
    ],
)
def test_renewal_without_a_gap_ends_the_tasks_of_what_it_renews(
    renewal: dict[str, Any], left: list[str]
) -> None:
    values = {"valid_from": date(2027, 3, 1), "valid_to": date(2028, 2, 29), **renewal}
    rows = (approval(), approval(code="apr_2", **values))
    second = replace(DEMO_LINE, code="ln_2")

    found = ends(recorded(DEMO_LINE, second, approvals=rows))

    assert [subject for subject, _at in found] == left


def test_renewal_for_one_of_two_lines_leaves_the_task() -> None:
    both = approval(lines=frozenset({"ln_1", "ln_2"}))
    one = approval(code="apr_2", valid_from=date(2027, 3, 1), valid_to=date(2028, 2, 29))
    second = replace(DEMO_LINE, code="ln_2")

    assert [item for item, _at in ends(recorded(DEMO_LINE, second, approvals=(both, one)))] == [
        "apr_1",
        "apr_2",
    ]
    assert [item for item, _at in ends(recorded(DEMO_LINE, approvals=(both, one)))] == ["apr_2"]


def test_determination_is_reviewed_before_it_lapses_in_the_place_it_speaks_of() -> None:
    subject = line("SE", "SE", "SE")
    made = determination(Question("sell", "SE"), subject)
    others = (
        determination(Question("sell", "SE"), subject, code="det_2", party="pty_other"),
        determination(Question("sell", "SE"), subject, code="det_3", line="ln_closed"),
        determination(Question("cross", "CN"), subject, code="det_4"),  # the pack answers it
    )

    found = recorded(subject, law=BUILTIN, determinations=(made, *others))

    assert ends(found) == [("det_1", datetime(2027, 4, 30, 22, tzinfo=UTC))]
    assert ends(found, datetime(2027, 4, 30, 22, tzinfo=UTC)) == []


# --- duties -----------------------------------------------------------------------------------


def test_duties_of_an_approval_fall_due_by_its_rules() -> None:
    incident = IncidentFacts(line="ln_1", noticed_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC))
    elsewhere = IncidentFacts(line="ln_2", noticed_at=AT)
    before = IncidentFacts(line="ln_1", noticed_at=datetime(2026, 2, 1, tzinfo=UTC))
    long = approval(valid_to=date(2028, 12, 31))

    found = duties(recorded(approvals=(long,), incidents=(incident, elsewhere, before)))

    assert found == [
        ("XD-ANNUAL-REPORT", "apr_1", datetime(2026, 4, 1, tzinfo=UTC)),
        ("XD-LICENCE-FEE", "apr_1", datetime(2026, 4, 1, tzinfo=UTC)),
        ("XD-INCIDENT-NOTICE", "apr_1", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
        ("XD-ANNUAL-REPORT", "apr_1", datetime(2027, 4, 1, tzinfo=UTC)),
    ]


def test_yearly_duty_ends_with_the_approval() -> None:
    found = duties(recorded(approvals=(approval(valid_to=date(2027, 3, 30)),)))

    assert ("XD-ANNUAL-REPORT", "apr_1", datetime(2027, 4, 1, tzinfo=UTC)) not in found
    assert ("XD-ANNUAL-REPORT", "apr_1", datetime(2026, 4, 1, tzinfo=UTC)) in found


def test_duty_without_a_day_stands_once_and_last() -> None:
    office = office_line("CN", "US", "CN", operator="CN")

    found = recorded(office, law=BUILTIN, approvals=(lease(),))

    assert [(item.about, item.duty, item.at) for item in deadlines(found, AT)] == [
        ("approval", "", datetime(2027, 2, 28, 16, tzinfo=UTC)),
        ("duty", "CN-USER-FILE", None),
    ]


def test_duty_of_a_row_is_the_lines_own(tmp_path: Path) -> None:
    rows = row("not_required", roles=EVERY_ROLE, obligations='["JP-REPORT"]')
    duty = """
[[obligations]]
code = "JP-REPORT"
names = { en = "A report" }
duty = "annual_report"
standing = "fulfilled_by_operator"
due = { yearly_on = "06-30" }
clause = "3"
source = "act"
"""
    law = packs.Packs({"JP": packs.load_file(write_pack(tmp_path / "JP.toml", rows=rows + duty))})

    assert duties(recorded(line("JP", "JP", "JP"), law=law)) == [
        ("JP-REPORT", "ln_1", datetime(2026, 6, 30, 15, tzinfo=UTC)),
        ("JP-REPORT", "ln_1", datetime(2027, 6, 30, 15, tzinfo=UTC)),
    ]


def test_duty_that_ferriage_fulfils_is_named_and_never_due() -> None:
    found = deadlines(recorded(approvals=(approval(),)), AT)

    kept = [item for item in found if item.about == "kept"]
    assert [(item.duty, item.subject, item.at) for item in kept] == [
        ("XD-RECORD-OF-LINES", "apr_1", None)
    ]
    assert found[-1] == kept[0]


def test_nothing_recorded_is_an_empty_calendar() -> None:
    assert deadlines(recorded(), AT) == ()
