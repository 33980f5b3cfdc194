"""Places of a line are chosen by their names; a place that no pack names can still be typed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.http import QueryDict
from django.urls import reverse
from django.utils import translation

from ferriage.approvals.models import Party
from ferriage.fleet.models import Line
from ferriage.web.backoffice.places import known_places
from ferriage.web.backoffice.views.lines import LineForm

if TYPE_CHECKING:
    from django.test import Client

    from yard import Yard

pytestmark = pytest.mark.django_db


def _bound(text: str) -> LineForm:
    return LineForm(QueryDict(text))


def _typed(form: LineForm) -> tuple[object, ...]:
    form.is_valid()
    cleaned = form.cleaned_data
    return cleaned.get("enter_place"), cleaned.get("exit_place"), cleaned.get("sell_places")


def test_names_stand_for_codes_in_the_reader_s_language() -> None:
    names = dict(known_places())

    with translation.override("zh-hans"):
        in_chinese = dict(known_places())

    assert (names["SE"], in_chinese["SE"]) == ("Sweden [SE]", "瑞典 [SE]")
    assert list(names.values()) == sorted(names.values())


def test_line_is_planned_between_chosen_places(olga: Client, yard: Yard) -> None:
    del yard
    typed = {
        "name": "Two seas",
        "party": Party.objects.get().pk,
        "enter_place": "SE",
        "exit_place": "DE",
        "sell_places": ["SE", "DE"],
        "sell_places_other": "is, no",
        "customer_class": "public",
        "use": "resale",
    }

    answer = olga.post(reverse("staff-line-new"), typed)

    line = Line.objects.get()
    assert answer["Location"] == reverse("staff-line", args=[line.code])
    assert (line.enter_place, line.exit_place) == ("SE", "DE")
    assert line.sell_places == ["DE", "IS", "NO", "SE"]  # by code, as every line's


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("enter_place=se&exit_place=DE&sell_places=SE", ("SE", "DE", ["SE"])),
        ("enter_place=&enter_place_other=is&exit_place=DE", ("IS", "DE", None)),
        ("enter_place=SE&enter_place_other=IS&sell_places_other=NO", ("IS", None, ["NO"])),
        ("sell_places=SE&sell_places=DE&sell_places=SE", (None, None, ["SE", "DE"])),
        ("sell_places=SE,DE", (None, None, ["SE", "DE"])),
    ],
)
def test_typed_code_goes_before_the_chosen_one(text: str, expected: tuple[object, ...]) -> None:
    assert _typed(_bound(text)) == expected


def test_what_was_chosen_and_typed_stays_in_a_refused_form() -> None:
    page = str(
        _bound("enter_place=SE&exit_place_other=is&sell_places=DE&sell_places_other=%3Cno").as_div()
    )

    assert re.findall(r'<option value="(\w+)" selected>', page) == ["SE"]
    assert 'name="exit_place_other" value="IS"' in page
    assert re.findall(r'name="sell_places" value="(\w+)" checked>', page) == ["DE"]
    assert 'name="sell_places_other" value="&lt;NO"' in page


def test_places_that_were_thought_of_go_on_to_the_line(olga: Client, yard: Yard) -> None:
    thought = "enter=SE&exit=DE&sell=SE&sell=DE&sell_other=IS"

    answer = olga.post(
        reverse("staff-wizard-start") + f"?{thought}", {"party": yard.party.pk}, follow=True
    )

    chosen = answer.context["form"].initial
    assert (chosen["enter_place"], chosen["exit_place"]) == ("SE", "DE")
    assert chosen["sell_places"] == "SE, DE, IS"


def test_what_was_asked_before_is_chosen_already(olga: Client, yard: Yard) -> None:
    asked = {"party": yard.party.code, "enter": "SE", "exit": "IS", "sell": ["SE", "DE"]}

    page = olga.get(reverse("staff-wizard-line"), asked).content.decode()

    assert '<option value="SE" selected>' in page
    assert 'name="exit_place_other" value="IS"' in page
    assert re.findall(r'name="sell_places" value="(\w+)" checked>', page) == ["DE", "SE"]
