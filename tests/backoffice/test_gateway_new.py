"""A gateway is added by its page as by the command: line and endpoint may be left out."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from ferriage.core import clock
from ferriage.core.models import AuditEntry
from ferriage.fleet import actions
from ferriage.fleet.models import EnrolToken, Gateway, PoolGateway
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django.fixtures import SettingsWrapper

    from shop import Shop
    from yard import Yard

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("law")]

TYPED = {"name": "beta", "place": "XD", "line": "", "endpoint_host": "", "endpoint_port": "51820"}
NOTHING = "beta serves nothing until it is given a line."


@pytest.fixture(autouse=True)
def far(settings: SettingsWrapper) -> None:
    """Let other hosts reach the hub too."""
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, hub=replace(config.hub, url="http://hub.example:8001"))


def test_page_asks_what_the_command_asks(olga: Client) -> None:
    page = olga.get(reverse("staff-gateway-new")).content.decode()

    asked = re.findall(r'<(?:input|select)[^>]* name="(\w+)"', page)
    assert [name for name in asked if name in TYPED] == list(TYPED)
    assert re.findall(r'name="(\w+)"[^>]* required', page) == ["name", "place", "endpoint_port"]
    assert "it serves nothing until it is given a line, on its page under “Serve a line”" in page


def test_place_that_no_country_has_is_refused_as_by_the_command(olga: Client, yard: Yard) -> None:
    yard.plan()

    answer = olga.post(reverse("staff-gateway-new"), TYPED | {"place": "XX"})

    assert answer.status_code == 422
    assert "XX is a code that no country has." in answer.content.decode()
    assert not Gateway.objects.exists()


def test_gateway_without_line_and_endpoint_says_what_comes_of_it(olga: Client, yard: Yard) -> None:
    yard.plan()

    page = olga.post(reverse("staff-gateway-new"), TYPED).content.decode()

    gateway = Gateway.objects.get()
    assert (gateway.endpoint_host, gateway.memberships.count()) == ("", 0)
    assert NOTHING in page
    assert f'href="{reverse("staff-gateway-assign", args=[gateway.code])}"' in page
    assert "files will name the address with which the host reaches the internet" in unescape(page)
    own = olga.get(reverse("staff-gateway", args=[gateway.code])).content.decode()
    assert "None yet: a gateway serves nothing until it is given a line." in own


def test_gateway_serves_the_line_that_was_chosen(olga: Client, yard: Yard) -> None:
    line = yard.plan()
    typed = {**TYPED, "line": str(line.pk), "endpoint_host": "vpn.example"}

    page = olga.post(reverse("staff-gateway-new"), typed).content.decode()

    member = PoolGateway.objects.get()
    assert (member.gateway.name, member.pool.line) == ("beta", line)
    assert NOTHING not in page
    assert "reaches the internet" not in page
    entries = AuditEntry.objects.filter(subject=member.gateway.code).order_by("sequence")
    assert list(entries.values_list("action", flat=True)) == ["gateway.created", "gateway.assigned"]


def test_only_lines_that_may_be_served_are_offered(olga: Client, yard: Yard, now: datetime) -> None:
    planned, closed = yard.plan("Here"), yard.plan("Gone")
    actions.close_line(line=closed, now=now, actor=OWNER)
    abroad = yard.plan("There", "SE")

    page = olga.get(reverse("staff-gateway-new")).content.decode()
    wrong = olga.post(reverse("staff-gateway-new"), {**TYPED, "line": str(abroad.pk)})
    gone = olga.post(reverse("staff-gateway-new"), {**TYPED, "line": str(closed.pk)})

    assert re.findall(r'<option value="(\d*)"[^>]*>([^<]+)', page) == [
        ("", "none yet"),
        (str(planned.pk), "Here, enters in XD"),
        (str(abroad.pk), "There, enters in SE"),
    ]
    assert (wrong.status_code, gone.status_code) == (409, 422)
    assert "The line enters at SE, but this gateway stands in XD." in wrong.content.decode()
    assert (Gateway.objects.count(), EnrolToken.objects.count()) == (0, 0)


def test_another_token_says_it_too_while_every_line_is_closed(
    olga: Client, yard: Yard, now: datetime
) -> None:
    line = yard.plan()
    gateway = yard.gateway(line, name="beta").row
    address = reverse("staff-gateway-token", args=[gateway.code])

    served = olga.post(address).content.decode()
    actions.close_line(line=line, now=now, actor=OWNER)
    after = olga.post(address).content.decode()

    assert (NOTHING in served, NOTHING in after) == (False, True)


@pytest.mark.parametrize(
    ("site", "hub", "wrong"),
    [
        ("http://localhost:8000", "http://hub.example", "site.url = http://localhost:8000"),
        ("http://shop.example", "http://127.0.0.1:8001", "hub.url = http://127.0.0.1:8001"),
        ("http://[::1]:80", "http://a.localhost", "site.url = http://[::1]:80, hub.url = http://a"),
    ],
)
def test_block_that_leads_nowhere_is_not_shown(
    olga: Client, settings: SettingsWrapper, site: str, hub: str, wrong: str
) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(
        config, site=replace(config.site, url=site), hub=replace(config.hub, url=hub)
    )

    page = olga.post(reverse("staff-gateway-new"), TYPED).content.decode()

    names = ", ".join(re.findall(r"(\w+\.url) =", wrong))
    assert f"would mean that host itself: {wrong}" in page
    assert f"where other hosts reach the shop ({names})" in page
    assert "gateway.sh" not in page
    assert "On the shop's own machine, as root:" in unescape(page)
    assert re.search(r"ferriage agent enrol fe1\.\S+", page) is not None


def test_block_that_leads_to_the_shop_is_shown(olga: Client) -> None:
    page = olga.post(reverse("staff-gateway-new"), TYPED).content.decode()

    assert "gateway.sh" in page
    assert "No block to paste" not in page


def test_new_token_of_an_enrolled_gateway_says_what_ends_with_it(olga: Client, shop: Shop) -> None:
    gateway = shop.gateway.row
    shop.device(shop.holder())

    page = unescape(olga.post(reverse("staff-gateway-token", args=[gateway.code])).content.decode())

    assert "A host that enrols with the token takes its place: from then on the former keys" in page
    assert "each file that names alpha must be made anew; it knows one device." in page


def test_new_token_of_a_gateway_that_waits_ends_the_older_one_alone(
    olga: Client, yard: Yard
) -> None:
    made = actions.create_gateway(
        name="beta",
        place="XD",
        endpoint_host="",
        endpoint_port=51820,
        now=yard.now,
        actor=OWNER,
    )

    page = olga.post(reverse("staff-gateway-token", args=[made.gateway.code])).content.decode()

    assert (made.token in page, "takes its place" in page) == (False, False)
    assert EnrolToken.objects.filter(used_at=None, expires_at__gt=clock.now()).count() == 1


@pytest.mark.parametrize(("addresses", "told"), [((), True), (("192.0.2.7",), False)])
def test_shop_that_other_hosts_do_not_find_says_what_to_set(
    olga: Client, settings: SettingsWrapper, addresses: tuple[str, ...], *, told: bool
) -> None:
    config = settings.FERRIAGE
    settings.FERRIAGE = replace(config, site=replace(config.site, shop_addresses=addresses))

    page = olga.post(reverse("staff-gateway-new"), TYPED).content.decode()

    assert ("only once site.shop_addresses" in page) is told
