from __future__ import annotations

import html
from datetime import date
from typing import TYPE_CHECKING

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals.models import Approval, Determination, Party
from ferriage.core.models import AuditEntry
from ferriage.fleet.models import Line
from ferriage.fleet.queries import judge_line
from tampering import harmed

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from yard import Yard

pytestmark = pytest.mark.django_db


def _party(olga: Client, place: str) -> Party:
    olga.post(reverse("staff-party-new"), {"name": f"Seller of {place}", "place": place})
    return Party.objects.get(place=place)


def _line(olga: Client, party: Party, enter: str, leave: str, sell: str) -> Line:
    typed = {
        "name": f"{enter} to {leave}",
        "party": party.pk,
        "enter_place": enter.lower(),
        "exit_place": leave,
        "sell_places": sell,
        "customer_class": "public",
        "use": "resale",
    }
    olga.post(reverse("staff-line-new"), typed)
    return Line.objects.get()


def _paper(name: str = "licence.pdf") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"%PDF-1.7 paper", content_type="application/pdf")


def _granted(**changes: str) -> dict[str, object]:
    document = {"number": "XD-1", "valid_from": "2026-01-01", "valid_to": "2026-12-31"}
    return {**document, "original_at": "", "file": _paper(), **changes}


def test_line_of_the_story_is_refused_with_notice_and_item(olga: Client) -> None:
    line = _line(olga, _party(olga, "CN"), "CN", "JP", "CN")

    answer = olga.post(reverse("staff-line-service", args=[line.code]))
    page = olga.get(reverse("staff-line", args=[line.code])).content.decode()

    line.refresh_from_db()
    assert answer.status_code == 409
    assert "工信部信管函〔2017〕32号" in answer.content.decode()
    assert "工信部信管函〔2017〕32号" in page
    assert line.state == Line.State.PLANNED


def test_refused_line_is_shown_with_the_way_to_its_open_questions(olga: Client) -> None:
    line = _line(olga, _party(olga, "SE"), "SE", "SE", "SE")

    answer = olga.post(reverse("staff-line-service", args=[line.code]))

    assert (answer.status_code, answer.context["line"]) == (409, line)
    page = answer.content.decode()
    assert 'role="alert"' in page
    assert 'href="#questions"' in page
    assert '<section class="panel stack" id="questions">' in page
    assert [key for key, _text in answer.context["questions"]] != []


def test_refused_line_without_open_questions_leads_to_none(olga: Client, yard: Yard) -> None:
    line = yard.plan()

    page = olga.post(reverse("staff-line-service", args=[line.code])).content.decode()

    assert 'role="alert"' in page
    assert "#questions" not in page


def test_hold_that_cannot_be_ended_is_said_on_the_page_of_the_line(
    olga: Client, yard: Yard
) -> None:
    line = yard.open_line()

    answer = olga.post(reverse("staff-line-release", args=[line.code]))

    assert (answer.status_code, answer.context["line"]) == (409, line)
    assert "This cannot be done: the line is in service." in answer.content.decode()


def test_approval_counts_after_a_second_person_verified_it(
    olga: Client, yard: Yard, now: datetime
) -> None:
    line = yard.plan()
    typed = {"kind": "XD-PUBLIC-VPN", "holder": yard.party.pk, "lines": [line.pk], "conditions": ""}
    olga.post(reverse("staff-approval-new"), typed)
    approval = Approval.objects.get()
    olga.post(reverse("staff-approval-grant", args=[approval.code]), _granted())

    by_herself = olga.post(reverse("staff-approval-verify", args=[approval.code]))
    before = judge_line(line=line, at=now).allowed
    viktor = logged_in(make_staff("viktor", "owner"))
    by_another = viktor.post(reverse("staff-approval-verify", args=[approval.code]))
    opened = olga.post(reverse("staff-line-service", args=[line.code]))

    line.refresh_from_db()
    assert (by_herself.status_code, before) == (403, False)
    assert (by_another.status_code, opened.status_code) == (302, 302)
    assert line.state == Line.State.IN_SERVICE
    chain = AuditEntry.objects.filter(subject=approval.code).values_list("action", "actor_code")
    assert [*chain.order_by("sequence")] == [
        ("approval.recorded", "olga"),
        ("evidence.added", "olga"),
        ("approval.granted", "olga"),
        ("approval.verified", "viktor"),
    ]


def test_evidence_comes_back_as_it_was_handed_in(olga: Client, yard: Yard) -> None:
    typed = {"kind": "XD-PUBLIC-VPN", "holder": yard.party.pk, "lines": [yard.plan().pk]}
    olga.post(reverse("staff-approval-new"), typed)
    approval = Approval.objects.get()
    olga.post(reverse("staff-approval-grant", args=[approval.code]), _granted())

    file = olga.get(reverse("staff-evidence", args=[approval.evidence.get().pk]))

    assert b"".join(file.streaming_content) == b"%PDF-1.7 paper"  # type: ignore[attr-defined]
    said = {
        name: file.headers[name]
        for name in ("Content-Disposition", "Content-Type", "X-Content-Type-Options")
    }
    assert said == {
        "Content-Disposition": 'attachment; filename="licence.pdf"',
        "Content-Type": "application/pdf",
        "X-Content-Type-Options": "nosniff",
    }
    assert "no-store" in file.headers["Cache-Control"]


def test_altered_evidence_is_not_handed_out(olga: Client, yard: Yard) -> None:
    typed = {"kind": "XD-PUBLIC-VPN", "holder": yard.party.pk, "lines": [yard.plan().pk]}
    olga.post(reverse("staff-approval-new"), typed)
    approval = Approval.objects.get()
    olga.post(reverse("staff-approval-grant", args=[approval.code]), _granted())
    found = approval.evidence.get()

    with harmed(found):
        answer = olga.get(reverse("staff-evidence", args=[found.pk]))

    assert answer.status_code == 503
    assert "was altered, so it is not shown" in answer.content.decode()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"number": ""}, 422),
        ({"valid_from": "soon"}, 422),
        ({"valid_to": "2025-01-01"}, 422),
    ],
)
def test_wrong_grant_is_refused_and_nothing_changes(
    olga: Client, yard: Yard, changes: dict[str, str], status: int
) -> None:
    typed = {"kind": "XD-PUBLIC-VPN", "holder": yard.party.pk, "lines": [yard.plan().pk]}
    olga.post(reverse("staff-approval-new"), typed)
    approval = Approval.objects.get()

    answer = olga.post(reverse("staff-approval-grant", args=[approval.code]), _granted(**changes))

    approval.refresh_from_db()
    assert answer.status_code == status
    assert (approval.state, approval.number) == ("draft", "")


def test_revocation_holds_the_line_at_once(olga: Client, yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    approval = Approval.objects.get()

    olga.post(reverse("staff-approval-change", args=[approval.code, "revoke"]))

    approval.refresh_from_db()
    assert approval.state == "revoked"
    assert not judge_line(line=line, at=now).allowed


def test_wizard_asks_five_fields_and_opens_the_line(olga: Client) -> None:
    line = _line(olga, _party(olga, "SE"), "SE", "SE", "SE")
    page = olga.get(reverse("staff-line", args=[line.code]))
    keys = [key for key, _text in page.context["questions"]]
    address = reverse("staff-determination-new", args=[line.code]) + "?q=" + "&q=".join(keys)
    typed = {
        "words": "The act asks operators of this size for nothing, as we read it.",
        "source_clause": "Lag (2022:482), chapter 2",
        "source_read_on": "2026-02-27",
        "author_name": "Olga Andersson",
        "statement": "on",
    }

    form = olga.get(address).context["form"]
    answer = olga.post(address, typed)

    assert len(form.fields) == 5
    assert not any(form[name].initial for name in form.fields), "nothing is filled in beforehand"
    assert answer.status_code == 302
    assert Determination.objects.count() == len(keys) > 0
    assert olga.post(reverse("staff-line-service", args=[line.code])).status_code == 302


@pytest.mark.parametrize("left_out", ["words", "source_clause", "author_name", "statement"])
def test_conclusion_without_one_of_its_parts_is_refused(olga: Client, left_out: str) -> None:
    line = _line(olga, _party(olga, "SE"), "SE", "SE", "SE")
    key = olga.get(reverse("staff-line", args=[line.code])).context["questions"][0][0]
    typed = {
        "words": "The act asks operators of this size for nothing, as we read it.",
        "source_clause": "Lag (2022:482), chapter 2",
        "source_read_on": "2026-02-27",
        "author_name": "Olga Andersson",
        "statement": "on",
    }
    del typed[left_out]

    answer = olga.post(reverse("staff-determination-new", args=[line.code]) + f"?q={key}", typed)

    assert answer.status_code == 422
    assert not Determination.objects.exists()


def test_wizard_is_closed_where_the_law_answers(olga: Client) -> None:
    line = _line(olga, _party(olga, "CN"), "CN", "JP", "CN")
    address = reverse("staff-determination-new", args=[line.code])

    answer = olga.post(address + "?q=cross:CN", {"words": "It is fine, we think so."})

    assert answer.headers["Location"] == reverse("staff-line", args=[line.code])
    assert not Determination.objects.exists()


def test_place_that_is_none_keeps_what_was_typed(olga: Client) -> None:
    answer = olga.post(reverse("staff-party-new"), {"name": "Nobody", "place": "QQQ"})

    assert answer.status_code == 422
    assert 'value="Nobody"' in answer.content.decode()
    assert not Party.objects.exists()


def test_hold_and_release_by_staff(olga: Client, yard: Yard) -> None:
    line = yard.open_line()

    olga.post(reverse("staff-line-hold", args=[line.code]), {"reason": "Fibre cut"})
    held = Line.objects.get().state, Line.objects.get().hold_reason
    olga.post(reverse("staff-line-release", args=[line.code]))

    assert held == ("held", "Fibre cut")
    assert Line.objects.get().state == "in_service"


def test_correction_goes_through_the_pages_and_shows_both_versions(
    olga: Client, yard: Yard
) -> None:
    line = yard.open_line()
    former = Approval.objects.get()
    form = olga.get(reverse("staff-approval-correct", args=[former.code])).context["form"]
    typed = {
        "reason": "The end date was read wrongly.",
        "kind": form.initial["kind"],
        "holder": form.initial["holder"].pk,
        "lines": [found.pk for found in form.initial["lines"]],
    }

    olga.post(reverse("staff-approval-correct", args=[former.code]), typed)
    version = Approval.objects.get(supersedes=former)
    prefilled = olga.get(reverse("staff-approval-grant", args=[version.code])).context["form"]
    document = _granted(number=prefilled.initial["number"], valid_to="2026-08-31")
    olga.post(reverse("staff-approval-grant", args=[version.code]), document)
    viktor = logged_in(make_staff("viktor", "owner"))
    viktor.post(reverse("staff-approval-verify", args=[version.code]))

    former.refresh_from_db()
    page = olga.get(reverse("staff-approval", args=[former.code])).content.decode()
    public = olga.get(reverse("line", args=[line.code])).content.decode()
    assert (former.state, former.valid_to) == ("superseded", date(2027, 2, 28))
    assert "The end date was read wrongly." in page
    assert reverse("staff-approval", args=[version.code]) in page
    assert ("2026-08-31" in public, "2027-02-28" in public) == (True, False)


def test_stopped_approval_offers_no_correction(olga: Client, yard: Yard) -> None:
    yard.open_line()
    approval = Approval.objects.get()
    address = reverse("staff-approval-correct", args=[approval.code])
    offered = [
        address in olga.get(reverse("staff-approval", args=[approval.code])).content.decode()
    ]

    olga.post(reverse("staff-approval-change", args=[approval.code, "suspend"]))
    offered.append(
        address in olga.get(reverse("staff-approval", args=[approval.code])).content.decode()
    )

    assert offered == [True, False]


def test_lawyers_opinion_is_recorded_for_a_year_and_handed_out_to_staff(olga: Client) -> None:
    line = _line(olga, _party(olga, "SE"), "SE", "SE", "SE")
    page = olga.get(reverse("staff-line", args=[line.code]))
    keys = [key for key, _text in page.context["questions"]]
    query = "?q=" + "&q=".join(keys)
    own = olga.get(reverse("staff-determination-new", args=[line.code]) + query)
    address = html.unescape(own.context["other"])
    typed = {
        "file": _paper("opinion.pdf"),
        "author_name": "Astrid Lund",
        "source_read_on": "2026-02-27",
        "words": "The act asks operators of this size for nothing.",
        "source_clause": "Lag (2022:482), chapter 2",
        "statement": "on",
    }

    answer = olga.post(address, typed)

    rows = Determination.objects.all()
    assert answer.status_code == 302
    assert {(row.grade, row.author_name, row.review_by) for row in rows} == {
        ("counsel", "Astrid Lund", date(2027, 2, 27))
    }
    assert len(rows) == len(keys)
    listed = olga.get(reverse("staff-determinations")).content.decode()
    file = reverse("staff-evidence", args=[rows[0].evidence.get().pk])
    assert file in listed
    assert olga.get(file).status_code == 200


@pytest.mark.parametrize("left_out", ["file", "author_name", "source_read_on", "statement"])
def test_opinion_without_one_of_its_parts_is_refused(olga: Client, left_out: str) -> None:
    line = _line(olga, _party(olga, "SE"), "SE", "SE", "SE")
    key = olga.get(reverse("staff-line", args=[line.code])).context["questions"][0][0]
    typed: dict[str, object] = {
        "file": _paper("opinion.pdf"),
        "author_name": "Astrid Lund",
        "source_read_on": "2026-02-27",
        "words": "The act asks operators of this size for nothing.",
        "source_clause": "Lag (2022:482), chapter 2",
        "statement": "on",
    }
    del typed[left_out]

    answer = olga.post(reverse("staff-opinion-new", args=[line.code]) + f"?q={key}", typed)

    assert (answer.status_code, Determination.objects.exists()) == (422, False)


def test_leased_line_names_its_lessor_and_only_staff_see_the_contract(olga: Client) -> None:
    typed = {
        "name": "Leased",
        "party": _party(olga, "SE").pk,
        "enter_place": "SE",
        "exit_place": "SE",
        "sell_places": "SE",
        "customer_class": "public",
        "use": "resale",
        "lessor": "Carrier AB",
        "lease_contract": "L-2026-7 of 2026-01-15",
        "capacity": "100 Mbit/s",
    }
    olga.post(reverse("staff-line-new"), typed)
    line = Line.objects.get()

    staff = olga.get(reverse("staff-line", args=[line.code])).content.decode()
    public = olga.get(reverse("line", args=[line.code])).content.decode()

    shown = ("Carrier AB", "L-2026-7", "100 Mbit/s")
    assert [part in staff for part in shown] == [True, True, True]
    assert [part in public for part in shown] == [True, False, True]


def test_renewal_names_the_one_before_and_leaves_it(olga: Client, yard: Yard) -> None:
    line = yard.open_line()
    former = Approval.objects.get()
    typed = {
        "kind": former.kind,
        "holder": former.holder.pk,
        "lines": [line.pk],
        "renews": former.pk,
    }

    olga.post(reverse("staff-approval-new"), typed)

    renewal = Approval.objects.get(supersedes=former)
    former.refresh_from_db()
    page = olga.get(reverse("staff-approval", args=[former.code])).content.decode()
    assert (renewal.is_correction, former.state) == (False, "granted")
    assert "Renewal" in page


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1899-12-31"])
def test_day_that_nobody_can_mean_is_refused(olga: Client, yard: Yard, day: str) -> None:
    line = yard.plan()
    typed = {"kind": "XD-PUBLIC-VPN", "holder": yard.party.pk, "lines": [line.pk]}
    olga.post(reverse("staff-approval-new"), typed)
    approval = Approval.objects.get()

    answer = olga.post(
        reverse("staff-approval-grant", args=[approval.code]), _granted(valid_to=day)
    )

    approval.refresh_from_db()
    assert (answer.status_code, approval.state) == (422, "draft")
    assert "between 1900 and 2999" in answer.content.decode()


def test_keys_larger_than_the_database_takes_are_no_fault_of_ours(olga: Client, yard: Yard) -> None:
    huge = "9" * 26
    typed = {"kind": "XD-PUBLIC-VPN", "holder": yard.party.pk, "lines": [huge]}

    refused = olga.post(reverse("staff-approval-new"), typed)
    nobody = olga.get(reverse("staff-role", args=[int(huge)]))

    assert (refused.status_code, nobody.status_code) == (422, 404)


def test_step_on_a_verified_approval_from_a_stale_page_is_refused(olga: Client, yard: Yard) -> None:
    approval = yard.approve(yard.plan())

    answer = olga.post(reverse("staff-approval-grant", args=[approval.code]), _granted())

    assert answer.status_code == 409
    assert approval.evidence.count() == 1
