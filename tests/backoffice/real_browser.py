"""Debian's Chromium, as narrow as a telephone and without scripts, and a site for it to visit."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve the site on loopback, on a connection of its own to the test's own database."""
    ours = connections["default"]
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet)

    def run() -> None:
        mine = connections["default"] = ours.copy()
        server.serve_forever(poll_interval=0.02)
        mine.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
def page(chromium: Browser) -> Iterator[Page]:
    """Open a browser without scripts, as narrow as a telephone."""
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 360, "height": 740}
    )
    context.set_default_timeout(5000)
    yield context.new_page()
    context.close()
