"""The link of an outside verifier: what it shows and takes, and that it reaches nothing else."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals.models import Approval, OutsideAnswer
from ferriage.approvals.site import evidence_dir
from ferriage.fleet.models import Line
from tampering import harmed

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from yard import Yard

pytestmark = pytest.mark.django_db

PAPER = b"%PDF-1.7 paper"
WRITTEN = {
    "name": "Karin Öberg",
    "relation": "Bookkeeper",
    "looked_at": "The licence as a file, and the office's register.",
    "verdict": "confirm",
}


@pytest.fixture
def approval(olga: Client, yard: Yard) -> Approval:
    """An approval that olga, who works alone, has entered."""
    line = yard.plan()
    typed = {
        "kind": "XD-PUBLIC-VPN",
        "holder": yard.party.pk,
        "lines": [line.pk],
        "capacity": "100 Mbit/s",
    }
    olga.post(reverse("staff-approval-new"), typed)
    found = Approval.objects.get()
    paper = SimpleUploadedFile("licence.pdf", PAPER, content_type="application/pdf")
    olga.post(
        reverse("staff-approval-grant", args=[found.code]),
        {"number": "XD-1", "valid_from": "2026-01-01", "valid_to": "2026-12-31", "file": paper},
    )
    found.refresh_from_db()
    return found


@pytest.fixture
def address(olga: Client, approval: Approval) -> str:
    """The link that olga makes, as a path."""
    page = olga.post(reverse("staff-approval-outside", args=[approval.code])).content.decode()
    found = re.search(r"http://shop\.example:8000(/verify/[^<\s]+/)", page)
    assert found is not None
    return found[1]


@pytest.fixture
def karin() -> Client:
    """A browser that keeps no cookie and knows no log-in."""
    return Client(enforce_csrf_checks=True)


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def test_outsider_sees_record_and_evidence_and_verifies_without_a_cookie(
    karin: Client, olga: Client, approval: Approval, address: str
) -> None:
    page = karin.get(address)
    file = karin.get(f"{address}evidence/{approval.evidence.get().pk}/")
    done = karin.post(address, WRITTEN)

    approval.refresh_from_db()
    assert (page.status_code, file.status_code, done.status_code) == (200, 200, 200)
    shown = ("XD-1", "2026-12-31", "100 Mbit/s", approval.holder.name, "licence.pdf")
    assert [part for part in shown if part not in text(page)] == []
    assert b"".join(file.streaming_content) == PAPER  # type: ignore[attr-defined]
    assert approval.verified_by == "outside:Karin Öberg"
    assert len(karin.cookies) == 0
    staff_page = text(olga.get(reverse("staff-approval", args=[approval.code])))
    kept = ("outside:Karin Öberg", "Bookkeeper", WRITTEN["looked_at"].split(",")[0])
    assert [part for part in kept if part not in staff_page] == []


def test_page_leads_nowhere_and_tells_nobody_its_address(
    karin: Client, approval: Approval, address: str
) -> None:
    page = karin.get(address)

    evidence = f"{address}evidence/{approval.evidence.get().pk}/"
    links = set(re.findall(r'(?:href|action)="([^"]*)"', text(page)))
    assert {link for link in links if not link.startswith("/static/")} == {"#main", evidence}
    headers = {name: page.headers[name] for name in ("Referrer-Policy", "X-Robots-Tag")}
    assert headers == {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
    assert "no-store" in page.headers["Cache-Control"]


def test_line_page_does_not_name_the_outsider(karin: Client, olga: Client, address: str) -> None:
    karin.post(address, WRITTEN)
    line = Line.objects.get()
    olga.post(reverse("staff-line-service", args=[line.code]))

    page = text(karin.get(reverse("line", args=[line.code])))

    assert "verified by an outside person" in page
    assert "Karin" not in page


def test_used_link_shows_and_takes_nothing_more(
    karin: Client, approval: Approval, address: str
) -> None:
    karin.post(address, WRITTEN)

    again = [
        karin.get(address),
        karin.post(address, WRITTEN),
        karin.get(f"{address}evidence/{approval.evidence.get().pk}/"),
    ]

    assert [answer.status_code for answer in again] == [410, 410, 410]
    assert [approval.number in text(answer) for answer in again] == [False] * 3
    assert OutsideAnswer.objects.count() == 1


def test_no_is_kept_with_its_reason(
    karin: Client, olga: Client, approval: Approval, address: str
) -> None:
    karin.post(address, {**WRITTEN, "verdict": "decline", "reason": "Another holder is named."})

    approval.refresh_from_db()
    page = text(olga.get(reverse("staff-approval", args=[approval.code])))
    assert (approval.verified_by, "Another holder is named." in page) == ("", True)


@pytest.mark.parametrize("left_out", ["name", "relation", "looked_at", "verdict"])
def test_answer_without_one_of_its_parts_is_refused(
    karin: Client, approval: Approval, address: str, left_out: str
) -> None:
    answer = karin.post(address, {**WRITTEN, left_out: ""})

    approval.refresh_from_db()
    assert (answer.status_code, approval.verified_by) == (422, "")
    assert "Bookkeeper" in text(answer) or left_out == "relation"


@pytest.mark.parametrize("name", ["olga", "Demo Lines Ltd", "OLGA "])
def test_name_of_the_house_is_refused(
    karin: Client, approval: Approval, address: str, name: str
) -> None:
    answer = karin.post(address, {**WRITTEN, "name": name})

    approval.refresh_from_db()
    assert (answer.status_code, approval.verified_by) == (403, "")
    assert "belongs to the operator" in text(answer)


@pytest.mark.parametrize("role", ["owner", "partner", "support", "auditor"])
def test_staff_who_are_logged_in_cannot_use_it(approval: Approval, address: str, role: str) -> None:
    viktor = logged_in(make_staff("viktor", role))

    answers = [viktor.get(address), viktor.post(address, WRITTEN)]

    approval.refresh_from_db()
    assert [answer.status_code for answer in answers] == [403, 403]
    assert (approval.verified_by, OutsideAnswer.objects.count()) == ("", 0)


def test_who_made_it_cannot_use_it_while_logged_in(
    olga: Client, approval: Approval, address: str
) -> None:
    file = olga.get(f"{address}evidence/{approval.evidence.get().pk}/")

    assert (olga.post(address, WRITTEN).status_code, file.status_code) == (403, 403)


def test_evidence_of_another_record_is_not_reached(karin: Client, yard: Yard, address: str) -> None:
    other = yard.approve(yard.plan("other"))

    answer = karin.get(f"{address}evidence/{other.evidence.get().pk}/")

    assert answer.status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "url_name", ["staff-start", "staff-approvals", "staff-evidence", "staff-approval", "account"]
)
def test_link_opens_no_other_page(
    karin: Client, approval: Approval, address: str, url_name: str, method: str
) -> None:
    arguments = {
        "staff-evidence": [approval.evidence.get().pk],
        "staff-approval": [approval.code],
    }
    karin.get(address)

    answer = karin.generic(method, reverse(url_name, args=arguments.get(url_name, [])))

    assert answer.status_code in {302, 403, 405}
    assert approval.number not in text(answer)


def test_unreadable_evidence_says_nothing_of_the_house(
    karin: Client, approval: Approval, address: str
) -> None:
    found = approval.evidence.get()

    with harmed(found):
        answer = karin.get(f"{address}evidence/{found.pk}/")

    assert (answer.status_code, str(evidence_dir()) in text(answer)) == (503, False)


def test_token_is_in_no_log(karin: Client, address: str, caplog: pytest.LogCaptureFixture) -> None:
    token = address.split("/")[2]
    with caplog.at_level(logging.DEBUG):
        karin.get(address)
        karin.get(f"{address}evidence/0/")
        karin.post(address, {**WRITTEN, "name": "olga"})
        karin.post(address, WRITTEN)
        karin.post(address, WRITTEN)

    assert "/verify/<str:token>/" in caplog.text
    assert token not in caplog.text
    assert token.partition(".")[0] not in caplog.text


@pytest.mark.parametrize("token", ["x", "x.y", "a" * 300, "%00", "å"])
def test_address_that_nobody_made_is_a_used_link(karin: Client, token: str) -> None:
    assert karin.get(f"/verify/{token}/").status_code == 410


def test_link_is_gone_after_a_week(karin: Client, address: str, now: datetime) -> None:
    with time_machine.travel(now + timedelta(days=7, hours=1)):
        assert karin.get(address).status_code == 410
