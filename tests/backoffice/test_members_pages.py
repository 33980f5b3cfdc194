"""The back office's pages of closed services: invite, import, export, mark as left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from closed_office import open_office
from ferriage.accounts.models import Account
from ferriage.core.models import AuditEntry
from ferriage.members.models import Member
from ferriage.plans.models import Plan

if TYPE_CHECKING:
    from django.http import HttpResponse

    from closed_office import Office
    from yard import Yard

pytestmark = pytest.mark.django_db


@pytest.fixture
def office(yard: Yard) -> Office:
    return open_office(yard)


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def link_in(answer: HttpResponse) -> str:
    found = re.search(r"http://shop\.example:8000(/invitation/[^/<\"]+/)", text(answer))
    assert found is not None, text(answer)
    return found[1]


def page(name: str, *args: str) -> str:
    return reverse(name, args=args)


def test_invited_person_gets_from_link_to_account(olga: Client, office: Office) -> None:
    service = office.plan.service.code
    form = {"reference": "P-17", "name": "Lin Mei", "language": "en"}
    made = olga.post(page("staff-member-enter", service), form)
    link = link_in(made)
    lin = Client()

    shown = lin.get(link)
    assert ("Lin Mei" in text(shown), "P-17" in text(shown)) == (True, True)
    assert "no-store" in shown["Cache-Control"]
    assert shown["Referrer-Policy"] == "same-origin"
    assert not Account.objects.exists()
    unticked = lin.post(link, {"place": "XD"})
    assert (unticked.status_code, Account.objects.count()) == (422, 0)
    nowhere = lin.post(link, {"place": "moon", "consent": "yes"})
    assert (nowhere.status_code, Account.objects.count()) == (422, 0)
    accepted = lin.post(link, {"place": "XD", "consent": "yes"})

    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", text(accepted))
    account_page = text(lin.get("/account/"))
    assert "Lin Mei" in account_page
    assert "Add a device" in account_page
    assert 'name="price"' not in account_page
    assert lin.get(link).status_code == 410
    listed = text(olga.get(page("staff-members", service)))
    assert (link in listed, "Lin Mei" in listed) == (False, True)


def test_price_of_nothing_is_not_offered_for_renewal(olga: Client, office: Office) -> None:
    form = {"term_months": "1", "amount": "0", "currency": "CNY"}
    olga.post(page("staff-price-set", office.plan.code), form)
    accepted = office.active()
    lin = Client()
    lin.post("/log-in/", {"number": accepted.number})

    assert 'name="price"' not in text(lin.get("/account/"))


def test_leaver_is_marked_after_asking_and_cannot_log_in(olga: Client, office: Office) -> None:
    accepted = office.active()
    lin = Client()
    lin.post("/log-in/", {"number": accepted.number})
    address = page("staff-member-leave", accepted.member.code)

    assert "Mark as left" in text(olga.get(address))
    assert lin.get("/account/").status_code == 200
    olga.post(address)

    assert Member.objects.get().state == "left"
    assert lin.get("/account/").status_code == 302
    assert Client().post("/log-in/", {"number": accepted.number}).status_code == 422
    assert AuditEntry.objects.get(action="member.left").actor_code == "olga"


def test_leaver_is_invited_back(olga: Client, office: Office) -> None:
    accepted = office.active()
    olga.post(page("staff-member-leave", accepted.member.code))

    made = olga.post(page("staff-member-invite", accepted.member.code))
    Client().post(link_in(made), {"place": "XD", "consent": "yes"})

    assert Member.objects.get().state == "active"


def test_file_is_reported_then_taken_over(olga: Client, office: Office) -> None:
    accepted = office.active("P-1", "Ann")
    address = page("staff-members-import", office.plan.service.code)
    file = SimpleUploadedFile("people.csv", "reference,name\r\nP-2,林美\r\n".encode())

    report = olga.post(address, {"file": file})
    assert report.status_code == 200
    assert Member.objects.count() == 1
    hidden = report.context["form"].initial
    done = olga.post(
        address,
        {
            "csv": hidden["csv"].replace("\n", "\r\n"),
            "digest": hidden["digest"],
            "leave_missing": "on",
            "with_invitations": "on",
        },
    )

    assert done.status_code == 200
    states = dict(Member.objects.values_list("reference", "state"))
    assert states == {"P-1": "left", "P-2": "invited"}
    accepted.account.refresh_from_db()
    assert accepted.account.closed_at is not None
    assert Client().get(link_in(done)).status_code == 200
    assert olga.post(address, {"csv": hidden["csv"], "digest": hidden["digest"]}).status_code == 409


def test_file_with_faults_offers_nothing_to_take_over(olga: Client, office: Office) -> None:
    address = page("staff-members-import", office.plan.service.code)

    report = olga.post(address, {"text": "reference,name\nP-1,\n"})

    assert report.status_code == 422
    assert "Take it over" not in text(report)
    assert [fault.line for fault in report.context["report"].faults] == [2]
    not_utf8 = SimpleUploadedFile("people.csv", "reference,name\nP-1,J\u00f6rg\n".encode("latin-1"))
    assert olga.post(address, {"file": not_utf8}).status_code == 422
    assert olga.post(address, {}).status_code == 422
    assert not Member.objects.exists()


def test_user_file_is_exported(olga: Client, office: Office) -> None:
    office.device(office.active())

    answer = olga.get(page("staff-members-export", office.plan.service.code))

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="office-2026-03-01.csv"' in answer["Content-Disposition"]
    assert text(answer).splitlines()[1].startswith("P-17,Lin Mei,en,active,")
    assert text(answer).splitlines()[1].endswith(",,1")


def test_list_is_filtered_and_asks_as_often_for_three_as_for_one(
    olga: Client, office: Office
) -> None:
    address = page("staff-members", office.plan.service.code)
    office.device(office.active("P-1", "Ann"))
    olga.get(address)  # what is asked once in a process is asked here
    with CaptureQueriesContext(connection) as one:
        olga.get(address)
    for number in (2, 3):
        office.device(office.active(f"P-{number}", "Bo"))
    with CaptureQueriesContext(connection) as three:
        olga.get(address)

    assert len(three) == len(one)
    found = olga.get(address, {"text": "bo", "state": "active"}).context["entries"]
    assert [entry.member.reference for entry in found] == ["P-2", "P-3"]


def test_service_is_closed_with_a_plan_of_its_own_line(olga: Client, office: Office) -> None:
    other = Plan.objects.create(service=office.plan.service, name="On no line")

    refused = olga.post(page("staff-closed-new"), {"plan": other.pk})
    assert refused.status_code == 422
    assert "is on no line for own staff" in text(refused)
    closed = olga.post(page("staff-closed-new"), {"plan": office.plan.pk})

    assert closed["Location"] == page("staff-members", office.plan.service.code)


def test_inner_networks_are_set_on_the_page(olga: Client, office: Office) -> None:
    address = page("staff-plan-routes", office.plan.code)

    refused = olga.post(address, {"routes": "10.64.0.0/16"})
    assert refused.status_code == 422
    assert "overlaps the tunnel" in text(refused)
    olga.post(address, {"routes": "10.20.0.0/16\r\nfd20::/64"})

    office.plan.refresh_from_db()
    assert office.plan.routes == ["10.20.0.0/16", "fd20::/64"]
    assert "10.20.0.0/16" in text(olga.get(page("staff-plan", office.plan.code)))
    olga.post(address, {"routes": ""})
    office.plan.refresh_from_db()
    assert office.plan.routes == []


def test_closed_service_stands_on_no_public_page(olga: Client, office: Office) -> None:
    form = {"term_months": "1", "amount": "0", "currency": "CNY"}
    olga.post(page("staff-price-set", office.plan.code), form)
    price = office.plan.prices.get()
    office.listed()
    stranger = Client()

    for address in ("/", "/privacy/", "/log-in/"):
        shown = text(stranger.get(address))
        assert [word for word in ("Office", "Lin Mei", "P-17") if word in shown] == []
    assert stranger.get(f"/lines/{office.line.code}/").status_code == 404
    opened = stranger.post("/open/", {"price": price.code})
    assert (opened.status_code == 200, Account.objects.exists()) == (False, False)
    assert urlsplit(page("staff-closed")).path.startswith("/staff/")
