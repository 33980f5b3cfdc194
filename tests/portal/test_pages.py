"""Pages that anybody may see: what they say, in which language, under which headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import path

from ferriage.fleet import actions as fleet
from ferriage.web import urls as site_urls
from ferriage.web.shared import refusals
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse
    from pytest_django import DjangoAssertNumQueries

    from shop import Shop

HUNDRED_KILOBYTES = 100_000

pytestmark = pytest.mark.usefixtures("shop")


def test_landing_shows_every_term_with_its_price(shop: Shop) -> None:
    shop.approve_for_years()
    text = Client().get("/").content.decode()

    prices = re.findall(r'tabular-nums">([^<]+)<', text)
    assert prices == ["10 CNY", "50 CNY", "90 CNY", "120 CNY"]
    assert [price.code in text for price in shop.prices.values()] == [True] * 4


def test_landing_says_what_a_longer_term_saves() -> None:
    text = Client().get("/").content.decode()

    assert re.findall(r"save (\d+) %", text) == ["16", "25", "50"]


def test_landing_is_light_and_names_no_other_host() -> None:
    client = Client()
    page = client.get("/")
    text = page.content.decode()
    linked = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
    weight = len(page.content)
    for address in linked:
        weight += len(b"".join(client.get(address)))

    assert weight < HUNDRED_KILOBYTES
    assert re.findall(r'(?:href|src|action)="(?!/|#|data:image/png)[^"]*"', text) == []


def test_page_allows_no_inline_script_or_style() -> None:
    policy = Client().get("/")["Content-Security-Policy"]

    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


def test_language_is_chosen_with_one_button(shop: Shop) -> None:
    shop.approve_for_years()
    client = Client()

    answer = client.post("/language/", {"language": "zh-hans", "next": "/"})
    page = client.get("/").content.decode()

    assert answer.status_code == 302
    assert '<html lang="zh-Hans">' in page
    assert "套餐与价格" in page
    assert "购买 12 个月" in page


@pytest.mark.parametrize(
    ("before", "back"),
    [
        ("http://testserver/buy/prc_1/?a=1", "/buy/prc_1/?a=1"),
        ("http://testserver//evil.example/", "/evil.example/"),
        ("https://evil.example/buy/", "/"),
        ("", "/"),
    ],
)
def test_language_of_a_refused_form_leads_to_its_page(before: str, back: str) -> None:
    refused = Client().post("/nowhere/", headers={"referer": before})

    assert refused.status_code == 404
    assert re.findall(r'name="next" value="([^"]*)"', refused.content.decode()) == [back]


def test_address_of_a_form_is_a_page_for_people_and_empty_for_programs() -> None:
    client = Client()

    person = client.get("/orders/", headers={"accept": "text/html,*/*;q=0.8"})
    program = client.get("/orders/", headers={"accept": "*/*"})

    text = person.content.decode()
    assert [answer.status_code for answer in (person, program)] == [405, 405]
    assert [answer.headers["Allow"] for answer in (person, program)] == ["POST", "POST"]
    assert "It only takes what a form sends." in text
    assert re.findall(r'name="next" value="([^"]*)"', text) == ["/orders/"]
    assert program.content == b""


def test_browsers_language_is_taken_at_the_first_visit() -> None:
    page = Client(headers={"accept-language": "zh-CN,zh;q=0.9"}).get("/").content.decode()

    assert '<html lang="zh-Hans">' in page


def test_line_page_names_what_the_line_rests_on(shop: Shop) -> None:
    text = Client().get(f"/lines/{shop.line.code}/").content.decode()

    for said in ("XD-2026-17", "XD-PUBLIC-VPN", "2026-03-01 – 2027-02-28", shop.line.party.name):
        assert said in text
    assert "gives no legal advice" in text
    assert "invented place" in text


def test_line_page_of_a_refused_line_gives_reasons_with_their_clause(shop: Shop) -> None:
    line = shop.yard.plan("Without papers")

    text = Client().get(f"/lines/{line.code}/").content.decode()

    assert "This line may not be opened or sold:" in text
    assert "section 1, Demoland Lines Act (invented)" in text


def test_closed_service_has_no_public_page(shop: Shop, now: datetime) -> None:
    line = fleet.create_line(
        name="Staff only",
        party=shop.yard.party,
        enter_place="XD",
        exit_place="XD",
        sell_places=["XD"],
        customer_class="own_staff",
        use="internal_office",
        now=now,
        actor=OWNER,
    )

    assert Client().get(f"/lines/{line.code}/").status_code == 404
    assert "Staff only" not in Client().get("/").content.decode()


def test_landing_asks_as_often_for_three_lines_as_for_one(
    shop: Shop, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = Client()
    with django_assert_max_num_queries(18) as one:
        client.get("/")
    for name in ("second", "third"):
        shop.add_plan(name, shop.yard.open_line(name))

    with django_assert_max_num_queries(len(one)):
        client.get("/")


def test_favicon_leads_to_the_picture_of_the_pages() -> None:
    answer = Client().get("/favicon.ico")

    assert (answer.status_code, answer["Location"]) == (302, "/static/ferriage/mark.svg")
    assert answer["Cache-Control"] == "public, max-age=86400"
    assert finders.find("ferriage/mark.svg") is not None


def test_health_is_plain() -> None:
    answer = Client().get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_missing_page_is_ours() -> None:
    answer = Client().get("/nothing-here/")

    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def _broken(request: HttpRequest) -> HttpResponse:
    del request
    raise ZeroDivisionError


urlpatterns = [*site_urls.urlpatterns, path("broken/", _broken)]
handler500 = refusals.server_error


@pytest.mark.urls(__name__)
def test_bug_gets_a_page_that_needs_no_database() -> None:
    answer = Client(raise_request_exception=False).get("/broken/")

    assert answer.status_code == 500
    assert "no payment is lost" in answer.content.decode()
