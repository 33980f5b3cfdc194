"""The pages of the clock guard: what is wrong, who proposes, who confirms."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.approvals.actions import ClockBehind, check_clock
from ferriage.approvals.models import ClockRepair
from ferriage.fleet import actions as fleet
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from yard import Yard

pytestmark = pytest.mark.django_db

TYPED = {"first_sequence": "3", "reason": "The host showed next year until NTP set it."}


@pytest.fixture
def ahead(yard: Yard) -> Yard:
    """A shop whose clock showed next year for a while: one Decision, the third, is of then."""
    yard.open_line()
    fleet.refresh_permits(now=yard.now + timedelta(days=380), actor=OWNER)
    return yard


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def behind(now: datetime) -> bool:
    try:
        check_clock(now=now)
    except ClockBehind:
        return True
    return False


def test_two_owners_repair_the_clock(olga: Client, ahead: Yard) -> None:
    page = text(olga.get(reverse("staff-clock")))
    form = olga.get(reverse("staff-clock-propose")).context["form"]
    olga.post(reverse("staff-clock-propose"), TYPED)
    repair = ClockRepair.objects.get()
    alone = olga.post(reverse("staff-clock-confirm", args=[repair.code]))
    waiting = behind(ahead.now)
    viktor = logged_in(make_staff("viktor", "owner"))
    viktor.post(reverse("staff-clock-confirm", args=[repair.code]))

    assert "behind its own records" in page
    assert form.initial == {"first_sequence": 3}
    assert (alone.status_code, waiting, behind(ahead.now)) == (403, True, False)
    assert "viktor" in text(olga.get(reverse("staff-clock-repair", args=[repair.code])))
    assert "The clock is not behind" in text(olga.get(reverse("staff-clock")))


def test_somebody_outside_repairs_the_clock_of_a_one_person_shop(olga: Client, ahead: Yard) -> None:
    olga.post(reverse("staff-clock-propose"), TYPED)
    repair = ClockRepair.objects.get()
    made = text(olga.post(reverse("staff-clock-outside", args=[repair.code])))
    found = re.search(r"http://shop\.example:8000(/verify/[^<\s]+/)", made)
    assert found is not None
    karin = Client(enforce_csrf_checks=True)

    page = text(karin.get(found[1]))
    written = {
        "name": "Karin Öberg",
        "relation": "Bookkeeper",
        "looked_at": "My own watch.",
        "verdict": "confirm",
    }
    done = karin.post(found[1], written)

    assert TYPED["reason"] in page
    assert "number 3, written as of 2027-03-16 12:00:00 UTC" in page
    assert (done.status_code, behind(ahead.now), len(karin.cookies)) == (200, False, 0)
    assert "My own watch." in text(olga.get(reverse("staff-clock-repair", args=[repair.code])))


@pytest.mark.parametrize(
    "typed", [{"first_sequence": "9"}, {"reason": ""}, {"first_sequence": "0"}]
)
def test_wrong_proposal_is_refused_with_what_was_typed(
    olga: Client, ahead: Yard, typed: dict[str, str]
) -> None:
    answer = olga.post(reverse("staff-clock-propose"), {**TYPED, **typed})

    assert (answer.status_code, behind(ahead.now)) == (422, True)
    assert not ClockRepair.objects.exists()


def test_nothing_is_offered_while_the_clock_is_right(olga: Client, yard: Yard) -> None:
    yard.open_line()

    assert reverse("staff-clock-propose") not in text(olga.get(reverse("staff-clock")))
    assert olga.post(reverse("staff-clock-propose"), TYPED).status_code == 409


def test_proposal_is_taken_back(olga: Client, ahead: Yard) -> None:
    olga.post(reverse("staff-clock-propose"), TYPED)
    repair = ClockRepair.objects.get()

    olga.post(reverse("staff-clock-drop", args=[repair.code]))

    viktor = logged_in(make_staff("viktor", "owner"))
    late = viktor.post(reverse("staff-clock-confirm", args=[repair.code]))
    assert (late.status_code, behind(ahead.now)) == (409, True)
