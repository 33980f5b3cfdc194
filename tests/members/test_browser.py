"""A named person signs in with Debian's Chromium, scripts off, under the site's strict policy."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from playwright.sync_api import expect, sync_playwright

import identity_provider
from closed_office import open_office
from ferriage.config import SignInConfig
from ferriage.core import clock
from ferriage.members.models import Member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from playwright.sync_api import Browser
    from pytest_django.fixtures import SettingsWrapper

    from ferriage.config import Config
    from yard import Yard

pytestmark = pytest.mark.browser

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        """Say nothing."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Chromium before any test takes a database: its loop would hide the connection."""
    # Playwright runs a loop in this thread, which Django would take for an async view.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def address() -> Iterator[str]:
    """Serve the site on loopback, on a connection of its own to the test's own database."""
    ours = connections["default"]
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet)

    def run() -> None:
        mine = connections["default"] = ours.copy()
        server.serve_forever(poll_interval=0.02)
        mine.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_person_signs_in_accepts_and_sees_what_is_kept(
    chromium: Browser,
    own_database: Config,  # noqa: ARG001 -- the site reads it
    make_yard: Callable[[datetime], Yard],
    address: str,
    settings: SettingsWrapper,
    tmp_path: Path,
) -> None:
    office = open_office(make_yard(clock.now()))
    office.listed()
    provider = identity_provider.start(tmp_path, f"{address}/sign-in/back/", ["lin"])
    provider.say(lin={"name": "Lin Mei", "staff_no": "P-17"})
    settings.FERRIAGE = replace(
        settings.FERRIAGE,
        site=replace(settings.FERRIAGE.site, url=address),
        sign_in=SignInConfig(
            issuer=provider.issuer,
            client_id=identity_provider.CLIENT_ID,
            client_secret=identity_provider.SECRET,
            service="office",
            label="Harbour ID",
            reference_claim="staff_no",
        ),
    )
    page = chromium.new_page(java_script_enabled=False, viewport={"width": 360, "height": 740})
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    try:
        page.goto(f"{address}/log-in/")
        page.get_by_role("link", name="Sign in with Harbour ID").click()
        page.locator("input[name=login]").fill("lin")
        page.locator("input[name=password]").fill(identity_provider.PASSWORD)
        page.locator("button[type=submit]").click()
        expect(page.get_by_role("heading", name="You are invited to Office net")).to_be_visible()
        page.get_by_label("Where are you?").select_option("XD")
        page.get_by_label("I am Lin Mei").check()
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_role("heading", name="What is kept about you")).to_be_visible()
        expect(page.get_by_text("P-17")).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth")
    finally:
        page.close()
        provider.close()

    assert (Member.objects.get().state, wide) == ("active", 360)
    assert [line for line in said if "Content Security Policy" in line] == []
