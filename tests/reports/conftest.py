"""Fixtures of a whole shop, whose evidence lies where the site looks for it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from own_database import own_database, template_database
from shop import make_shop, shop
from till import Till
from yard import law, make_yard, yard

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from shop import Shop

__all__ = [
    "law",
    "make_shop",
    "make_yard",
    "own_database",
    "shop",
    "template_database",
    "yard",
]


@pytest.fixture
def till(shop: Shop) -> Till:
    """The counter of a shop that rests on one approval."""
    return Till(shop, shop.now)


@pytest.fixture(autouse=True)
def _data_beside_the_test(settings: SettingsWrapper, tmp_path: Path) -> None:
    """Let the site keep its files where the yard puts them."""
    config = settings.FERRIAGE
    for key in config.data_dir.glob("*.key"):
        shutil.copy(key, tmp_path)
    settings.FERRIAGE = replace(config, site=replace(config.site, data_dir=str(tmp_path)))
