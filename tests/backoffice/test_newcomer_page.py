"""The page of a new gateway, which ticks by itself until nothing is open."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from ferriage import wire
from ferriage.agent import checks
from ferriage.fleet import actions
from ferriage.fleet.models import Gateway, PoolGateway
from ferriage.web.backoffice import newcomer
from yard import report_of, status

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse
    from django.test import Client

    from yard import EnrolledGateway, Yard

pytestmark = pytest.mark.django_db

ONLY_ON_THE_HOST = {"reach-site", "reach-hub", "enrol-anew", "closed", "draining", "start-agent"}
"""What the doctor says when the site cannot be told."""


def _states(answer: HttpResponse) -> dict[str, str]:
    found = re.findall(r'data-step="([a-z0-9]+)" data-state="([a-z]+)"', answer.content.decode())
    return dict(found)


def _page(olga: Client, gateway: EnrolledGateway) -> HttpResponse:
    answer: HttpResponse = olga.get(reverse("staff-gateway", args=[gateway.row.code]))  # type: ignore[assignment]
    return answer


def test_every_remedy_of_an_agent_has_words_on_the_site() -> None:
    assert set(checks.REMEDIES) - ONLY_ON_THE_HOST - set(newcomer.REMEDIES) == set()


def test_page_ticks_until_all_is_right(olga: Client, yard: Yard, now: datetime) -> None:
    gateway = yard.gateway(yard.open_line())
    Gateway.objects.update(enrolled_at=now)
    waiting = _page(olga, gateway)
    pool = PoolGateway.objects.select_related("pool").get().pool.code
    right = tuple(
        wire.Check(slug=slug, state="ok", value="203.0.113.5" if slug == "outside" else "")
        for slug in (
            *("wireguard", "outside", "handshake", "ipv4", "ipv6"),
            *("forwarding", "resolver", "clock", "line"),
        )
    )
    actions.take_report(gateway=gateway.row, report=report_of(status(pool), checks=right), now=now)

    done = _page(olga, gateway)

    assert _states(waiting)["site"] == "ok"
    assert _states(waiting)["clock"] == "waiting"
    assert waiting.headers["Refresh"] == "5"
    assert "This page looks again by itself" in waiting.content.decode()
    assert set(_states(done).values()) == {"ok"}
    assert "Refresh" not in done.headers
    assert "11 of 11 are right" in done.content.decode()


def test_what_is_missing_is_said_in_the_sites_own_words(
    olga: Client, yard: Yard, now: datetime
) -> None:
    gateway = yard.gateway(yard.open_line())
    found = wire.Check(
        slug="forwarding", state="failed", value="ip filter <FORWARD>", remedy="foreign-forward"
    )
    actions.take_report(gateway=gateway.row, report=report_of(checks=(found,)), now=now)

    text = _page(olga, gateway).content.decode()

    assert "ip filter &lt;FORWARD&gt;" in text
    assert "Another firewall drops what passes" in text


def test_slug_of_a_newer_agent_without_words_here_breaks_nothing(
    olga: Client, yard: Yard, now: datetime
) -> None:
    gateway = yard.gateway(yard.open_line())
    found = (
        wire.Check(slug="moon", state="failed"),
        wire.Check(slug="clock", state="failed", value="90", remedy="ask-the-moon"),
    )
    actions.take_report(gateway=gateway.row, report=report_of(checks=found), now=now)

    answer = _page(olga, gateway)

    assert answer.status_code == 200
    assert _states(answer)["clock"] == "failed"


def test_closed_gateway_needs_nothing(olga: Client, yard: Yard) -> None:
    gateway = yard.gateway(yard.open_line())
    Gateway.objects.update(state=Gateway.State.CLOSED)

    answer = _page(olga, gateway)

    assert (_states(answer), "Refresh" in answer.headers) == ({}, False)


def test_old_gateway_does_not_load_itself_again(olga: Client, yard: Yard, now: datetime) -> None:
    gateway = yard.gateway(yard.open_line())
    Gateway.objects.update(enrolled_at=now - timedelta(hours=2))

    assert "Refresh" not in _page(olga, gateway).headers


def test_what_works_with_a_remark_has_the_doctors_sign(
    olga: Client, yard: Yard, now: datetime
) -> None:
    gateway = yard.gateway(yard.open_line())
    found = wire.Check(slug="ipv6", state="ok", value="none", remedy="no-ipv6")
    actions.take_report(gateway=gateway.row, report=report_of(checks=(found,)), now=now)

    text = _page(olga, gateway).content.decode()

    shown = text.partition('data-step="ipv6"')[2].partition("</li>")[0]
    assert '<span aria-hidden="true">!</span>' in shown
    assert "works, with a remark" in shown


@pytest.mark.parametrize(("seen", "said"), [("ok", False), ("unknown", True)])
def test_port_is_not_called_silent_beside_a_handshake_that_was_seen(
    olga: Client, yard: Yard, now: datetime, seen: wire.CheckState, *, said: bool
) -> None:
    gateway = yard.gateway(yard.open_line())
    pool = PoolGateway.objects.select_related("pool").get().pool.code
    check = wire.Check(slug="handshake", state=seen, value="", remedy="")
    report = report_of(status(pool), checks=(check,))
    actions.take_report(gateway=gateway.row, report=report, now=now)
    Gateway.objects.update(probe="silent")
    PoolGateway.objects.update(probe="silent")

    page = _page(olga, gateway).content.decode()

    shown = re.findall(r'data-label="Port">\d+<br><span class="muted">(.*?)</span>', page)
    tunnels = "tunnels come up; the shop's own try got no answer"
    assert [html.unescape(one) for one in shown] == ["silent" if said else tunnels]
