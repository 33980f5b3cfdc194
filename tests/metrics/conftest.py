"""A shop whose site is scraped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import time_machine

from ferriage.config import MetricsConfig
from shop import make_shop, shop
from till import till
from yard import law, make_yard, yard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pytest_django.fixtures import SettingsWrapper

__all__ = ["law", "make_shop", "make_yard", "shop", "till", "yard"]


@pytest.fixture(autouse=True)
def _clock(now: datetime) -> Iterator[None]:
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture(autouse=True)
def _token(settings: SettingsWrapper) -> None:
    settings.FERRIAGE = replace(settings.FERRIAGE, metrics=MetricsConfig(token="of-the-scraper"))
