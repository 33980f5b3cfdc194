"""What do I need, and the way there: nothing is opened that the register refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals.models import Approval, Determination, Party
from ferriage.fleet.models import Line
from ferriage.web.backoffice import wizard

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client

    from yard import Yard

pytestmark = pytest.mark.django_db

WORDS = {
    "words": "The act asks operators of this size for nothing, as we read it.",
    "source_clause": "Lag (2022:482), chapter 2",
    "source_read_on": "2026-02-27",
    "author_name": "Olga Andersson",
    "statement": "on",
}


def _asked(client: Client, **changes: str) -> Any:
    thought = {
        "operate": "CN",
        "enter": "cn",
        "exit": "JP",
        "sell": "CN",
        "customer_class": "public",
        "use": "resale",
    }
    return client.get(reverse("staff-needs"), {**thought, **changes})


def _planned(client: Client, place: str, exit_: str = "", sell: str = "") -> Line:
    """Take a line through the first two steps."""
    typed = {"name": f"Seller of {place}", "place": place}
    second = client.post(reverse("staff-wizard-start"), typed).headers["Location"]
    form = client.get(second).context["form"]
    typed = {
        "name": "First line",
        "party": str(form.initial["party"].pk),
        "enter_place": place,
        "exit_place": exit_ or place,
        "sell_places": sell or place,
        "customer_class": "public",
        "use": "resale",
    }
    client.post(second, typed)
    return Line.objects.get()


def _states(client: Client, line: Line) -> dict[str, str]:
    page = client.get(reverse("staff-wizard", args=[line.code]), follow=True)
    return {step.slug: step.state for step in page.context["way"].steps}


def test_answer_names_the_notice_and_the_item_and_writes_nothing(olga: Client) -> None:
    answer = _asked(olga)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert "It cannot be obtained" in text
    assert "二(二)4, " in text
    assert "工信部信管函〔2017〕32号" in text
    assert "read in quotation on 2026-11-24" in text
    assert "This line can never be opened" in text
    assert (Party.objects.count(), Line.objects.count()) == (0, 0)


def test_answer_for_a_leased_line_says_who_gives_what_and_how_long(olga: Client) -> None:
    answer = _asked(olga, customer_class="own_staff", use="internal_office")

    crossing = next(row for row in answer.context["rows"] if row.kinds and row.need.answer)
    assert crossing.kinds[0].name.endswith("[CN-INTL-LINE-LEASE]")
    assert crossing.kinds[0].url == "https://www.miit.gov.cn/"
    assert "Ministry of Industry" in crossing.kinds[0].authority
    assert crossing.lasting == ("It has a last day, which must be recorded.",)
    assert crossing.upload == "The document that the authority issued, with its number and dates."


def test_place_without_a_pack_is_unknown_throughout(olga: Client) -> None:
    answer = _asked(olga, operate="NO", enter="NO", exit="NO", sell="NO")

    assert {row.need.answer for row in answer.context["rows"]} == {"unknown"}
    assert "There is no rule pack for this place." in answer.content.decode()


@pytest.mark.parametrize("changes", [{"operate": "Q"}, {"sell": "SE, SWEDEN"}, {"use": "none"}])
def test_what_is_no_place_is_asked_for_again(olga: Client, changes: dict[str, str]) -> None:
    answer = _asked(olga, **changes)

    assert "rows" not in answer.context
    assert answer.context["form"].errors


def test_thought_is_carried_into_the_form_of_the_line(olga: Client, yard: Yard) -> None:
    query = "?operate=XD&enter=XD&exit=SE&sell=XD&customer_class=enterprise&use=resale"

    answer = olga.post(reverse("staff-wizard-start") + query, {"party": yard.party.pk})
    form = olga.get(answer.headers["Location"]).context["form"]

    assert Party.objects.count() == 1
    assert form.initial == {
        "party": yard.party,
        "enter_place": "XD",
        "exit_place": "SE",
        "sell_places": "XD",
        "customer_class": "enterprise",
        "use": "resale",
    }


@pytest.mark.parametrize("typed", [{}, {"name": "Nobody"}, {"place": "SE"}])
def test_operator_is_one_on_record_or_a_whole_new_one(olga: Client, typed: dict[str, str]) -> None:
    answer = olga.post(reverse("staff-wizard-start"), typed)

    assert answer.status_code == 422
    assert not Party.objects.exists()


def test_way_of_a_line_within_sweden_ends_in_service(olga: Client) -> None:
    line = _planned(olga, "SE")
    before = _states(olga, line)
    page = olga.get(reverse("staff-wizard", args=[line.code]), follow=True)
    keys = [key for key, _text in page.context["questions"]]
    address = reverse("staff-determination-new", args=[line.code])
    query = "?way=1&q=" + "&q=".join(keys)

    form = olga.get(address + query).context["form"]
    concluded = olga.post(address + query, WORDS)
    between = _states(olga, line)
    olga.post(reverse("staff-line-service", args=[line.code]))

    assert before == {
        "operator": "done",
        "line": "done",
        "law": "done",
        "approvals": "done",
        "conclusions": "next",
        "service": "blocked",
    }
    assert keys == ["operate:SE", "enter:SE", "exit:SE", "sell:SE"]
    assert len(form.fields) == 5
    assert concluded.headers["Location"] == reverse("staff-wizard", args=[line.code])
    assert (between["conclusions"], between["service"]) == ("done", "next")
    assert set(_states(olga, line).values()) == {"done"}
    assert Line.objects.get().state == Line.State.IN_SERVICE


def test_way_of_a_line_out_of_china_is_blocked_for_good(olga: Client) -> None:
    line = _planned(olga, "CN", "JP")
    address = reverse("staff-wizard-step", args=[line.code, "conclusions"])

    page = olga.get(reverse("staff-wizard", args=[line.code]), follow=True)
    questions = olga.get(address).context.get("questions")

    assert _states(olga, line) == {
        "operator": "done",
        "line": "done",
        "law": "blocked",
        "approvals": "done",
        "conclusions": "blocked",
        "service": "blocked",
    }
    text = page.content.decode()
    assert page.context["step"].slug == "law"
    assert "二(二)4, " in text
    assert "工信部信管函〔2017〕32号" in text
    assert questions is None
    assert not Determination.objects.exists()


def test_approvals_are_recorded_on_the_way_and_verified_by_another(
    olga: Client, yard: Yard
) -> None:
    line = yard.plan()
    draft = reverse("staff-wizard-draft", args=[line.code])
    step = reverse("staff-wizard-step", args=[line.code, "approvals"])
    offered = [kind for kind, _name in olga.get(step).context["missing"]]

    wrong = olga.post(draft, {"kind": "CN-INTL-LINE-LEASE"})
    begun = olga.post(draft, {"kind": "XD-PUBLIC-VPN"})
    again = olga.post(draft, {"kind": "XD-PUBLIC-VPN"})
    approval = Approval.objects.get()
    drafted = _states(olga, line)
    document = {"number": "XD-1", "valid_from": "2026-01-01", "valid_to": "2026-12-31"}
    paper = SimpleUploadedFile("licence.pdf", b"%PDF-1.7", content_type="application/pdf")
    olga.post(
        reverse("staff-approval-grant", args=[approval.code]),
        {**document, "original_at": "", "file": paper},
    )
    granted = _states(olga, line)
    viktor = logged_in(make_staff("viktor", "owner"))
    viktor.post(reverse("staff-approval-verify", args=[approval.code]))

    assert offered == ["XD-PUBLIC-VPN"]
    assert (wrong.status_code, again.status_code) == (404, 404)
    assert begun.headers["Location"] == reverse("staff-approval", args=[approval.code])
    assert (approval.state, approval.holder) == ("draft", yard.party)
    assert [row.line_code for row in approval.lines.all()] == [line.code]
    assert (drafted["approvals"], granted["approvals"]) == ("next", "next")
    assert _states(olga, line)["service"] == "next"


def test_nothing_is_ticked_and_nothing_is_filled_in(olga: Client) -> None:
    line = _planned(olga, "SE")

    page = olga.get(reverse("staff-wizard-step", args=[line.code, "conclusions"]))
    form = olga.get(
        reverse("staff-determination-new", args=[line.code]) + "?way=1&q=enter:SE"
    ).context["form"]

    text = page.content.decode()
    assert text.count('type="checkbox"') == 4
    assert " checked" not in text
    assert not any(form[name].initial for name in form.fields)


def test_auditor_sees_the_way_without_its_buttons(yard: Yard) -> None:
    line = yard.plan()
    auditor = logged_in(make_staff("ada", "auditor"))

    page = auditor.get(reverse("staff-wizard-step", args=[line.code, "approvals"]))

    assert page.status_code == 200
    assert "Begin its record" not in page.content.decode()


@pytest.mark.parametrize("stop", ["held", "closed"])
def test_line_that_staff_stopped_is_blocked_at_the_end(
    yard: Yard, now: datetime, stop: str
) -> None:
    line = yard.open_line()
    line.state = stop

    found = wizard.way(line, at=now)

    assert found.steps[-1].state == "blocked"


def test_queries_of_a_step_do_not_grow_with_the_lines(olga: Client, yard: Yard) -> None:
    def counted(line: Line) -> int:
        with CaptureQueriesContext(connection) as queries:
            olga.get(reverse("staff-wizard-step", args=[line.code, "approvals"]))
        return len(queries)

    line = yard.open_line("one")
    one = counted(line)
    for name in ("two", "three"):
        yard.open_line(name)

    assert counted(line) == one
