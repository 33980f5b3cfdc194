"""The calendar as staff see it, the row on the start page, and the feed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from icalendar import Calendar
from people import logged_in, make_staff

from ferriage.accounts.models import CalendarFeed
from ferriage.approvals.models import Approval, Fulfilment, Incident, TaskTick
from ferriage.core.actors import Actor
from ferriage.core.models import AuditEntry
from ferriage.web.backoffice.roles import set_role
from yard import ISSUED, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.fleet.models import Line
    from yard import Yard

LAPSE = datetime(2027, 3, 1, tzinfo=UTC)
T30 = LAPSE - timedelta(days=30)
ENDS = "The approval ends: Licence to run a public VPN (invented) [XD-PUBLIC-VPN]"
FEE = "Fee for the licence (invented) [XD-LICENCE-FEE]"

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(yard: Yard) -> Line:
    return yard.open_line()


@pytest.fixture
def a_month_before(line: Line) -> Iterator[None]:  # noqa: ARG001 -- it is what ends
    """Let the pages see the thirtieth day before the approval of a line ends."""
    with time_machine.travel(T30 + timedelta(hours=9), tick=True):
        yield


def text(client: Client, name: str = "staff-calendar") -> str:
    return client.get(reverse(name)).content.decode()


def table(page: str, title: str) -> str:
    """Return one part of the page, without tags."""
    found = re.search(f">{title}</(?:caption|h2)>(.*?)</section>", page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def press(client: Client, page: str, last: str) -> int:
    """Press the first button or follow the first link whose address ends so."""
    found = re.search(f'(?:action|href)="([^"]*/{last})"', page)
    assert found is not None
    return client.post(found[1]).status_code


@pytest.mark.usefixtures("a_month_before")
def test_task_is_on_start_page_and_calendar_until_it_is_ticked_off(olga: Client) -> None:
    page = text(olga)
    assert ENDS in text(olga, "staff-start")
    assert f"{ENDS} XD-2026-17 · last day 2027-02-28 (UTC) 30 days before the end" in table(
        page, "Due now"
    )

    assert press(olga, page, "tick/30/") == 302

    after = text(olga)
    assert ENDS not in table(after, "Due now")
    assert f"{ENDS} XD-2026-17 2027-02-28 UTC 2027-02-15 olga, 2027-01-30" in table(after, "Next")
    assert ENDS not in text(olga, "staff-start")
    assert [row.ticked_by for row in TaskTick.objects.all()] == ["olga"]
    assert press(olga, page, "tick/30/") == 409


@pytest.mark.usefixtures("line")
def test_shop_without_anything_due_shows_no_row(olga: Client, now: datetime) -> None:
    with time_machine.travel(now, tick=True):
        fee = table(text(olga), "Due now")
    assert FEE in fee  # it falls due within 30 days, so its task has begun

    deadline = re.search(r'href="([^"]*XD-LICENCE-FEE[^"]*/done/)"', text(olga))
    assert deadline is not None
    olga.post(deadline[1], {"note": "Paid"})
    report = re.search(r'href="([^"]*XD-ANNUAL-REPORT[^"]*/done/)"', text(olga))
    assert report is not None
    olga.post(report[1], {"note": "Sent"})

    assert table(text(olga), "Due now") == "✓ Nothing is due."
    assert "What is due" not in text(olga, "staff-start")


@pytest.mark.usefixtures("line")
def test_duty_is_noted_with_a_file_and_taken_back_with_a_reason(olga: Client) -> None:
    found = re.search(r'href="([^"]*XD-LICENCE-FEE[^"]*)/done/"', text(olga))
    assert found is not None
    address = found[1]
    form = olga.get(f"{address}/done/").content.decode()
    assert "section 6, Demoland Lines Act (invented). Last day 2026-03-31." in form

    empty = olga.post(f"{address}/done/", {"note": ""})
    paper = SimpleUploadedFile("receipt.pdf", b"%PDF-1.7 fee", content_type="application/pdf")
    noted = olga.post(f"{address}/done/", {"note": "Paid", "file": paper})

    assert (empty.status_code, noted.status_code) == (422, 302)
    row = Fulfilment.objects.get()
    assert row.evidence is not None
    assert (row.noted_by, row.evidence.title) == ("olga", "receipt.pdf")
    assert FEE in table(text(olga), "Duties done")

    back = olga.post(f"{address}/undone/", {"reason": "Wrong account"})

    assert back.status_code == 302
    assert FEE not in table(text(olga), "Duties done")
    assert FEE in table(text(olga), "Due now")


def test_incident_brings_a_duty_with_its_hour(olga: Client, line: Line, now: datetime) -> None:
    noticed = now - timedelta(hours=2)
    typed = {
        "line": line.pk,
        "noticed_at": f"{noticed:%Y-%m-%dT%H:%M:%S}",
        "words": "Cable cut",
    }

    answer = olga.post(reverse("staff-incident-new"), typed)

    assert answer.status_code == 302
    assert Incident.objects.get().line_code == line.code
    assert "[XD-INCIDENT-NOTICE]" in table(text(olga), "Due now")


@pytest.mark.usefixtures("line")
def test_duty_that_ferriage_fulfils_is_shown_without_a_button(olga: Client) -> None:
    assert table(text(olga), "Duties without a day") == (
        "What Public record of lines and their licences (invented) [XD-RECORD-OF-LINES] "
        "XD-2026-17 Ferriage does this"
    )
    key = f"{Approval.objects.get().code}~XD-RECORD-OF-LINES~open"
    assert olga.get(reverse("staff-duty-done", args=[key])).status_code == 404


@pytest.mark.usefixtures("line")
def test_key_that_is_on_no_calendar_is_not_found(olga: Client) -> None:
    approval = Approval.objects.get()

    answers = [
        olga.post(reverse("staff-task-tick", args=["apr_1~~open", 30])),
        olga.get(reverse("staff-duty-done", args=[f"{approval.code}~~20270301T000000000000"])),
        olga.get(reverse("staff-duty-undone", args=["none"])),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


def test_calendar_costs_the_same_queries_for_one_line_and_three(
    olga: Client,
    yard: Yard,
    line: Line,  # noqa: ARG001 -- is the first
) -> None:
    text(olga)
    with CaptureQueriesContext(connection) as for_one:
        text(olga)
    for name in ("Second", "Third"):
        yard.open_line(name)
    with CaptureQueriesContext(connection) as for_three:
        text(olga)

    assert len(for_three) == len(for_one)


# --- the feed ---------------------------------------------------------------------------------


def make_feed(client: Client) -> str:
    """Press the button and return the path of the address that is shown."""
    page = client.post(reverse("staff-feed-new")).content.decode()
    found = re.search(r"(/staff/calendar/[^/]+/ferriage\.ics)", page)
    assert found is not None
    return found[1]


def events(address: str) -> list[tuple[date, str]]:
    """Read the feed as a calendar program does, without a log-in."""
    answer = Client().get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    file = Calendar.from_ical(answer.content)
    assert len({event["UID"] for event in file.events}) == len(file.events)
    assert {event.end - event.start for event in file.events} == {timedelta(days=1)}
    return [(event.start, str(event["SUMMARY"])) for event in file.events]


@pytest.mark.usefixtures("a_month_before")
def test_feed_holds_every_task_that_is_left_as_a_day(olga: Client) -> None:
    found = [event for event in events(make_feed(olga)) if "XD-PUBLIC-VPN" in event[1]]

    assert found == [
        (date(2027, 2, 15), f"{ENDS} (14 days before the end)"),
        (date(2027, 2, 22), f"{ENDS} (7 days before the end)"),
        (date(2027, 2, 28), f"{ENDS} (1 day before the end)"),
        (date(2027, 1, 30), f"{ENDS} (30 days before the end)"),
        (date(2027, 2, 28), f"Last day: {ENDS}"),
    ]


@pytest.mark.usefixtures("a_month_before")
def test_feed_shows_what_is_late_today_and_not_what_is_done(olga: Client) -> None:
    address = make_feed(olga)
    assert (date(2027, 1, 30), f"Late: {FEE}") in events(address)

    found = re.search(r'href="([^"]*XD-LICENCE-FEE[^"]*/done/)"', text(olga))
    assert found is not None
    olga.post(found[1], {"note": "Paid"})

    assert [event for event in events(address) if FEE in event[1]] == []


@pytest.mark.usefixtures("line")
def test_feed_is_read_only_and_its_token_is_kept_as_a_hash(olga: Client) -> None:
    address = make_feed(olga)
    token = address.split("/")[-2]

    answers = [getattr(Client(), how)(address).status_code for how in ("post", "put", "delete")]

    assert answers == [405, 405, 405]
    assert token not in str(list(CalendarFeed.objects.values()))
    assert token not in str(list(AuditEntry.objects.values()))
    assert Client().head(address).status_code == 200
    assert "no-cache" in Client().get(address)["Cache-Control"]


@pytest.mark.usefixtures("line")
def test_feed_ends_with_a_new_one_with_its_button_and_with_the_role(now: datetime) -> None:
    make_staff("olga", "owner")
    user = make_staff("vera", "auditor")
    vera = logged_in(user)
    first = make_feed(vera)
    second = make_feed(vera)
    statuses = [Client().get(address).status_code for address in (first, second)]
    assert statuses == [404, 200]

    vera.post(reverse("staff-feed-end"))
    assert Client().get(second).status_code == 404

    third = make_feed(vera)
    set_role(user=user, role="support", now=now, actor=OWNER)
    assert Client().get(third).status_code == 404
    set_role(user=user, role="auditor", now=now, actor=OWNER)
    assert Client().get(third).status_code == 200
    set_role(user=user, role="", now=now, actor=OWNER)
    assert Client().get(third).status_code == 404
    chain = AuditEntry.objects.filter(action__startswith="calendar_feed.")
    assert list(chain.order_by("sequence").values_list("action", "actor_code")) == [
        ("calendar_feed.made", "vera"),
        ("calendar_feed.made", "vera"),
        ("calendar_feed.ended", "vera"),
        ("calendar_feed.made", "vera"),
    ]


def test_feed_of_somebody_does_not_end_with_anothers(olga: Client) -> None:
    hers = make_feed(olga)
    make_feed(logged_in(make_staff("vera", "owner")))

    assert Client().get(hers).status_code == 200
    assert CalendarFeed.objects.filter(ended_at=None).count() == 2


@pytest.mark.usefixtures("a_month_before")
def test_feed_names_approval_and_line_but_nobody_who_holds_them(olga: Client, yard: Yard) -> None:
    yard.approve(yard.plan("Second"), replace(ISSUED, number="XD-2026-18"))

    answer = Client().get(make_feed(olga))
    file = answer.content.decode().replace("\r\n ", "")

    assert "XD-2026-17" in file
    assert "XD-2026-18" in file
    assert yard.party.name not in file
    assert str(Actor("staff", "olga")) not in file
