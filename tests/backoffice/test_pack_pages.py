"""Rule packs in the back office: what waits, what it changes, and the owner's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals.models import PackAcceptance, Party
from ferriage.core.models import AuditEntry
from ferriage.web.backoffice import checklist
from gate_world import SwedishYard
from lawbook import NEWER, everyday, newer, receive, shipped, stricter
from yard import last_permit

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django.fixtures import DjangoAssertNumQueries

    from yard import Yard

pytestmark = pytest.mark.django_db


def test_list_names_what_is_in_force_and_nothing_waits(olga: Client, yard: Yard) -> None:
    del yard
    page = olga.get(reverse("staff-packs")).content.decode()

    assert "China (mainland) [CN]" in page
    assert page.count("staff:olga") == len(list(everyday()))
    assert "See what it changes" not in page


def test_waiting_pack_is_told_on_the_start_page_and_shown_with_what_it_turns(
    olga: Client, yard: Yard, now: datetime
) -> None:
    line = yard.open_line("Harbour line")
    calm = len(checklist.work(now=now))
    receive(stricter(), at=now)

    start = olga.get(reverse("staff-start")).content.decode()
    listed = olga.get(reverse("staff-packs")).content.decode()
    page = olga.get(reverse("staff-pack", args=["XD"])).content.decode()

    assert len(checklist.work(now=now)) == calm + 1
    assert "XD: what the newer version denies is held by itself from 2026-03-08 12:00" in start
    assert reverse("staff-pack", args=["XD"]) in listed
    assert f"{shipped('XD').version} → {NEWER}" in page
    assert page.count(f'href="{reverse("staff-line", args=[line.code])}"') == 2
    assert "No approval can be obtained for this. (section 1, Demoland Lines Act" in page
    assert "<del>required</del> → <ins>not_obtainable</ins>" in page
    assert '<time datetime="2026-03-08T12:00:00Z"' in page


def test_owner_lets_it_take_effect_and_the_line_is_held_at_once(
    olga: Client, yard: Yard, now: datetime
) -> None:
    line = yard.open_line()
    pack = stricter()
    receive(pack, at=now)

    answer = olga.post(reverse("staff-pack-accept", args=["XD", pack.digest]), follow=True)

    accepted = PackAcceptance.objects.latest("pk")
    assert "The rule pack is in force." in answer.content.decode()
    assert (accepted.pack.version, accepted.accepted_by) == (NEWER, "staff:olga")
    assert AuditEntry.objects.filter(action="pack.accepted", actor_code="olga").count() == 1
    assert last_permit(line).state == "held"


def test_pack_that_was_not_the_one_shown_is_not_accepted(
    olga: Client, yard: Yard, now: datetime
) -> None:
    del yard
    shown = stricter()
    receive(shown, newer("XD", version="2099-01-01.2"), at=now)

    answer = olga.post(reverse("staff-pack-accept", args=["XD", shown.digest]))

    assert answer.status_code == 409
    assert "came meanwhile" in answer.content.decode()


def test_auditor_sees_the_difference_and_no_button(yard: Yard, now: datetime) -> None:
    del yard
    receive(stricter(), at=now)

    page = logged_in(make_staff("arne", "auditor")).get(reverse("staff-pack", args=["XD"]))

    assert "not_obtainable" in page.content.decode()
    assert "Let it take effect now" not in page.content.decode()


def test_page_names_conclusions_that_become_void(olga: Client, yard: Yard, now: datetime) -> None:
    olga.post(reverse("staff-party-new"), {"name": "Harbour AB", "place": "SE"})
    SwedishYard(Party.objects.get(place="SE"), yard.store, now).open_line("SE line")
    readable = ('read = "nothing"', 'read = "text"\nread_on = 2026-11-25')
    receive(newer("SE", readable, ('"unknown"', '"not_required"')), at=now)

    page = olga.get(reverse("staff-pack", args=["SE"])).content.decode()

    assert "Determinations that it makes void" in page
    assert page.count("Olga Harbour") == 4


def test_page_asks_as_often_for_three_lines_as_for_one(
    olga: Client,
    yard: Yard,
    now: datetime,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    receive(stricter(), at=now)
    address = reverse("staff-pack", args=["XD"])
    yard.plan("Line 0")
    olga.get(address)
    with django_assert_max_num_queries(24) as one:
        olga.get(address)
    for number in (1, 2):
        yard.plan(f"Line {number}")

    with django_assert_max_num_queries(len(one)):
        olga.get(address)


def test_place_where_nothing_waits_has_no_such_page(olga: Client) -> None:
    answer = olga.get(reverse("staff-pack", args=["CN"]))

    assert answer.status_code == 404
    assert "No newer rule pack for CN waits." in answer.content.decode()
