from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright
from world import Newcomer, OpenShop, open_shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenShop]:
    """The shop that `ferriage demo` leaves open; all journeys share it."""
    shop = open_shop(tmp_path_factory.mktemp("journey") / "demo")
    try:
        yield shop
    finally:
        shop.close()


@pytest.fixture
def newcomer(demo: OpenShop, tmp_path: Path) -> Iterator[Callable[[], Newcomer]]:
    """Make laptops that are gone after the test."""
    made: list[Newcomer] = []

    def make() -> Newcomer:
        made.append(Newcomer(demo, tmp_path, next(_NUMBERS)))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
