"""Fixtures of the gate test: the built-in law and the invented place's, a clock at `now`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import time_machine

from yard import law

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pytest_django.fixtures import SettingsWrapper

__all__ = ["law"]


@pytest.fixture(autouse=True)
def clock_of_the_shop(now: datetime) -> Iterator[None]:
    """Let pages and commands, which read the clock, see the instant that the tests speak of."""
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture(autouse=True)
def money_in_advance(settings: SettingsWrapper) -> None:
    """Let the shop take top-ups: they are an entry too."""
    config = settings.FERRIAGE
    rules = replace(config.shop, topup_currency="CNY", topup_amounts=("20",))
    settings.FERRIAGE = replace(config, shop=rules)
