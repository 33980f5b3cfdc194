"""The verdict as a tree, the history of a line, and the diagram of all."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals import actions as approvals
from ferriage.approvals.actions import Asked, Conclusion
from ferriage.approvals.facts import Question
from ferriage.approvals.models import Approval
from ferriage.approvals.site import packs_in_force
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions as fleet
from ferriage.web.backoffice import history
from yard import OWNER

if TYPE_CHECKING:
    from django.test import Client

    from ferriage.fleet.models import Line
    from yard import Yard

pytestmark = pytest.mark.django_db


def _count(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def _conclude(yard: Yard, *, line_code: str = "") -> None:
    approvals.record_determination(
        party=yard.party,
        asked=Asked(
            questions=(Question("enter", "SE"),),
            customer_class="public",
            use="resale",
            line_code=line_code,
        ),
        conclusion=Conclusion(
            words="Nothing is asked of us, as we read it.",
            source_clause="2 kap. 1 §",
            source_read_on=date(2026, 2, 27),
            author_name="Olga Andersson",
            statement=True,
        ),
        packs=packs_in_force(),
        now=yard.now,
        actor=OWNER,
    )


# --- the verdict ------------------------------------------------------------------------------


def test_verdict_says_of_each_question_what_is_asked_and_found(olga: Client, yard: Yard) -> None:
    line = yard.open_line()

    answer = olga.get(reverse("staff-line-verdict", args=[line.code]), {"customer": "xd"})

    licence = "Licence to run a public VPN (invented) [XD-PUBLIC-VPN]"
    found = [(passed, asked) for passed, _found, asked in answer.context["branches"]]
    assert found == [
        (True, f"asked: an approval, {licence}"),
        (True, f"asked: an approval, {licence}"),
        (True, f"asked: an approval, {licence}"),
        (True, "asked: nothing"),
    ]
    assert f"ferriage approvals explain --line {line.code} --customer XD" in answer.content.decode()


def test_verdict_at_another_instant_is_judged_for_it(olga: Client, yard: Yard) -> None:
    address = reverse("staff-line-verdict", args=[yard.open_line().code])

    last = olga.get(address, {"at": "2027-02-28T23:59:59"}).context["verdict"]
    after = olga.get(address, {"at": "2027-03-01T00:00:00"})

    assert last.allowed
    assert not after.context["verdict"].allowed
    assert "has lapsed" in after.content.decode()
    assert "--at 2027-03-01T00:00:00Z" in after.content.decode()


def test_verdict_on_a_place_off_the_line_says_so(olga: Client, yard: Yard) -> None:
    address = reverse("staff-line-verdict", args=[yard.open_line().code])

    answer = olga.get(address, {"customer": "SE"})

    assert [(passed, asked) for passed, _found, asked in answer.context["branches"]] == [
        (False, "")
    ]


@pytest.mark.parametrize("at", ["soon", "0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_instant_that_no_law_reaches_is_asked_for_again(olga: Client, yard: Yard, at: str) -> None:
    answer = olga.get(reverse("staff-line-verdict", args=[yard.plan().code]), {"at": at})

    assert answer.status_code == 200
    assert "verdict" not in answer.context


# --- the history ------------------------------------------------------------------------------


def _told(line: Line) -> list[str]:
    _page, events = history.page(line, None)
    return [event.title for event in events]


def test_history_tells_the_whole_life_of_a_line(yard: Yard) -> None:
    line = yard.open_line()
    hour = timedelta(hours=1)
    fleet.hold_line(line=line, reason="Fibre cut", now=yard.now + hour, actor=OWNER)
    fleet.release_line(line=line, now=yard.now + 2 * hour, actor=OWNER)
    approval = Approval.objects.get()
    fleet.revoke_approval(approval=approval, now=yard.now + 3 * hour, actor=OWNER)

    told = _told(line)

    # At one instant permits come before Decisions and these before what people did.
    assert told == [
        "Permit 5: held",
        "Decision 5: denied",
        "A revocation was noted",
        "Permit 4: open until 2027-03-01 00:00:00 UTC",
        "Decision 4: allowed",
        "Staff ended the hold",
        "Permit 3: held",
        "Decision 3: allowed",
        "Staff held the line",
        "Permit 2: open until 2027-03-01 00:00:00 UTC",
        "Permit 1: closed",
        "Decision 2: allowed",
        "Decision 1: denied",
        "The line was put in service",
        "The approval was verified",
        "A grant was entered",
        "A file of evidence was added",
        "A draft of an approval was recorded",
        "The line was planned",
    ]


def test_history_gives_the_reasons_and_who_did_it(yard: Yard) -> None:
    line = yard.open_line()
    fleet.hold_line(line=line, reason="Fibre cut", now=yard.now, actor=OWNER)

    _page, events = history.page(line, None)

    by_title = {event.title: event for event in events}
    assert by_title["Permit 3: held"].said == ("Fibre cut",)
    assert by_title["Staff held the line"].who == "staff:olga"
    assert by_title["Staff held the line"].said == ("reason: Fibre cut",)
    denied = by_title["Decision 1: denied"].said
    assert len(denied) == 3
    assert "needs an approval that is not recorded" in denied[0]


def test_history_takes_in_conclusions_and_leaves_other_lines_out(yard: Yard) -> None:
    line, other = yard.plan("one"), yard.plan("two")
    _conclude(yard)
    yard.approve(other)

    told = _told(line)

    assert told == [
        "Permit 1: closed",
        "Decision 1: denied",
        "A conclusion was recorded",
        "The line was planned",
    ]


def test_history_is_paged_and_its_queries_do_not_grow(olga: Client, yard: Yard) -> None:
    line = yard.open_line()
    address = reverse("staff-line-history", args=[line.code])
    few = _count(olga, address)
    for number in range(30):
        at = yard.now + timedelta(minutes=number)
        fleet.hold_line(line=line, reason="Fibre cut", now=at, actor=OWNER)
        fleet.release_line(line=line, now=at, actor=OWNER)

    many = _count(olga, address)
    first = olga.get(address)
    last = olga.get(address, {"page": "9999"})

    assert many <= few
    assert len(first.context["events"]) == 50
    assert first.context["events"][0].title == "Permit 62: open until 2027-03-01 00:00:00 UTC"
    assert last.context["events"][-1].title == "The line was planned"
    # What people did to line and approval, each permit and its Decision: nothing is lost.
    entries = AuditEntry.objects.exclude(action__in=["permit.written", "party.created"])
    assert first.context["page"].paginator.count == entries.count() + 2 * 62


@pytest.mark.parametrize("name", ["staff-line-verdict", "staff-line-history", "staff-wizard"])
def test_page_of_a_line_that_is_none_is_not_found(olga: Client, name: str) -> None:
    assert olga.get(reverse(name, args=["ln_NONE"])).status_code == 404


# --- the diagram ------------------------------------------------------------------------------


def _drawn(client: Client) -> tuple[Any, str]:
    answer = client.get(reverse("staff-lines-diagram"))
    text = answer.content.decode()
    picture = re.search(r'<svg class="reg-map".*?</svg>', text, re.DOTALL)
    assert picture is not None
    ET.fromstring(picture[0])  # noqa: S314 -- our own page: is it well-formed?
    return answer.context["diagram"], text


def test_diagram_draws_every_line_and_says_the_same_in_words(olga: Client, yard: Yard) -> None:
    yard.plan("Planned <b>")
    line = yard.open_line("Open")
    held = yard.open_line("Held")
    fleet.hold_line(line=held, reason="Fibre cut", now=yard.now, actor=OWNER)

    drawn, text = _drawn(olga)

    assert [(row.standing.line.name, row.standing.state) for row in drawn.rows] == [
        ("Open", "open"),
        ("Held", "held"),
        ("Planned <b>", "planned"),
    ]
    first = drawn.rows[0].first_end
    assert (first.at, first.text) == (datetime(2027, 3, 1, tzinfo=UTC), "XD-PUBLIC-VPN XD-2026-17")
    assert "Held by staff: Fibre cut" in text
    assert "does not name this line" in text
    assert "Planned &lt;b&gt;" in text
    assert reverse("staff-line", args=[line.code]) in text


def test_diagram_marks_the_borders_that_traffic_crosses(olga: Client, yard: Yard) -> None:
    for name, enter, leave, sell in (
        ("a", "SE", "SE", ["SE"]),
        ("b", "DE", "DE", ["SE"]),
        ("c", "SE", "US", ["SE"]),
        ("d", "SE", "SE", ["SE", "DE"]),
        ("e", "CN-31", "CN", ["CN"]),
    ):
        fleet.create_line(
            name=name,
            party=yard.party,
            enter_place=enter,
            exit_place=leave,
            sell_places=sell,
            customer_class="public",
            use="resale",
            now=yard.now,
            actor=OWNER,
        )

    drawn, _text = _drawn(olga)

    borders = [tuple(arrow.border for arrow in row.arrows) for row in drawn.rows]
    assert borders == [(False, False), (True, False), (False, True), (True, False), (False, False)]


def test_diagram_keeps_its_boxes_apart_and_inside(olga: Client, yard: Yard) -> None:
    for name in ("one", "two", "three"):
        yard.plan(name)

    drawn, _text = _drawn(olga)

    boxes = [(box.x, box.y) for row in drawn.rows for box in row.boxes]
    assert len(set(boxes)) == 12
    assert all(x + 185 <= drawn.width and y + 34 <= drawn.height for x, y in boxes)
    assert all(arrow.x1 < arrow.x2 for row in drawn.rows for arrow in row.arrows)


@pytest.mark.parametrize("name", ["staff-lines-diagram", "staff-reports"])
def test_queries_do_not_grow_with_the_lines(olga: Client, yard: Yard, name: str) -> None:
    yard.open_line("one")
    one = _count(olga, reverse(name))
    for other in ("two", "three"):
        yard.open_line(other)
        _conclude(yard, line_code=other)

    assert _count(olga, reverse(name)) == one


def test_auditor_reads_all_of_it(yard: Yard) -> None:
    line = yard.open_line()
    auditor = logged_in(make_staff("ada", "auditor"))

    answers = [
        auditor.get(reverse("staff-lines-diagram")),
        *(
            auditor.get(reverse(name, args=[line.code]))
            for name in ("staff-line", "staff-line-verdict", "staff-line-history")
        ),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
