"""The wizard in Debian's Chromium, scripts off: from nothing to an open line, or to the notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff
from playwright.sync_api import expect
from real_browser import chromium, page, serving

from ferriage.core import clock
from ferriage.fleet.models import Line
from ferriage.fleet.queries import judge_line
from yard import prepare_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from ferriage.config import Config

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser


@pytest.fixture
def house(own_database: Config) -> None:
    """An empty shop."""
    del own_database
    prepare_site()


def _log_in(page: Page, site: str) -> None:
    """Let Olga's browser in; logging in itself is another test's story."""
    client = logged_in(make_staff("olga", "owner"))
    for cookie in client.cookies.values():
        page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site}])


def _tick(page: Page, place: str) -> None:
    customers = page.get_by_role("group", name="Where its customers may be")
    customers.locator(f'input[value="{place}"]').check()


def _think(page: Page, site: str, *, place: str, exit_: str) -> None:
    page.goto(site + reverse("staff-needs"))
    page.get_by_label("Where the operator sits").select_option(place)
    page.get_by_label("Where tunnels enter").select_option(place)
    page.get_by_label("Where traffic leaves to the internet").select_option(exit_)
    _tick(page, place)
    page.get_by_role("button", name="Show what is asked").click()
    page.wait_for_load_state()


def _plan(page: Page, site: str, *, place: str, exit_: str) -> None:
    page.goto(site + reverse("staff-wizard-start"))
    page.get_by_label("Or a new one: its legal name").fill(f"Seller of {place}")
    page.get_by_label("Where it sits").fill(place)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Name").fill("First line")
    page.get_by_label("Where tunnels enter").select_option(place)
    page.get_by_label("Where traffic leaves to the internet").select_option(exit_)
    _tick(page, place)
    page.get_by_role("button", name="Go on").click()


@pytest.mark.usefixtures("house")
def test_operator_within_sweden_walks_from_nothing_to_an_open_line(page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    with serving() as site:
        _log_in(page, site)
        _think(page, site, place="SE", exit_="SE")
        asked = page.locator(".reg-answer").all_inner_texts()
        expect(page.get_by_role("link", name="Lag (2022:482)").first).to_have_count(0)
        _plan(page, site, place="SE", exit_="SE")
        before = judge_line(line=Line.objects.get(), at=clock.now()).allowed
        boxes = page.get_by_role("checkbox").all()
        ticked = [box.is_checked() for box in boxes]
        for box in boxes:
            box.check()
        page.get_by_role("button", name="Conclude on these").click()
        fields = page.locator("form.staff-form :is(input:not([type=hidden]), textarea)")
        filled = [field.input_value() for field in fields.all()[:-1]]
        words = page.get_by_label("Why nothing has to be asked for, in your own words")
        words.fill("We run no electronic communications service of our own, as we read it.")
        page.get_by_label("The clause or source you read").fill("2 kap. 1 §")
        page.get_by_label("The day you read it").fill("2026-02-27")
        page.get_by_label("Your own name").fill("Olga Andersson")
        page.get_by_label("I have read the source above").check()
        page.get_by_role("button", name="Record our conclusion").click()
        page.get_by_role("button", name="Put in service").click()
        expect(page.get_by_text("The line is in service.")).to_be_visible()

    line = Line.objects.get()
    assert len(asked) == 4
    assert {text.split(".")[0] for text in asked} == {"Not known"}
    assert (before, judge_line(line=line, at=clock.now()).allowed) == (False, True)
    assert ticked == [False] * 4
    assert filled == [""] * 4
    assert line.state == Line.State.IN_SERVICE
    assert complaints == []


@pytest.mark.usefixtures("house")
def test_the_same_form_is_refused_for_china_with_notice_and_item(page: Page) -> None:
    with serving() as site:
        _log_in(page, site)
        _think(page, site, place="CN", exit_="JP")
        thought = page.locator("main").inner_text()
        offered = page.get_by_role("link", name="Sell on such a line, step by step").count()
        _plan(page, site, place="CN", exit_="JP")
        said = page.locator("main").inner_text()
        boxes = page.get_by_role("checkbox").count()
        opening = page.get_by_role("button", name="Put in service").count()

    for text in (thought, said):
        assert "二(二)4" in text
        assert "工信部信管函〔2017〕32号" in text
    assert "Nothing can be recorded that would open this line." in said
    assert (offered, boxes, opening) == (0, 0, 0)
    assert Line.objects.get().state == Line.State.PLANNED


@pytest.mark.usefixtures("house")
def test_pages_of_the_way_fit_a_telephone(page: Page) -> None:
    widths = {}
    with serving() as site:
        _log_in(page, site)
        _think(page, site, place="CN", exit_="JP")
        widths["needs"] = page.evaluate("document.documentElement.scrollWidth")
        _plan(page, site, place="CN", exit_="JP")
        line = Line.objects.get()
        for slug in ("operator", "line", "law", "approvals", "conclusions", "service"):
            page.goto(site + reverse("staff-wizard-step", args=[line.code, slug]))
            widths[slug] = page.evaluate("document.documentElement.scrollWidth")

    assert {name: width for name, width in widths.items() if width > 360} == {}
