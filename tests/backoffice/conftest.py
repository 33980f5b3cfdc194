"""Fixtures of the back office: the invented place's law, a yard, and a clock at `now`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import time_machine
from people import logged_in, make_staff

from own_database import own_database, template_database
from shop import make_shop, shop
from till import till
from yard import law, make_yard, yard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.test import Client

__all__ = [
    "law",
    "make_shop",
    "make_yard",
    "own_database",
    "shop",
    "template_database",
    "till",
    "yard",
]


@pytest.fixture(autouse=True)
def _clock(now: datetime) -> Iterator[None]:
    """Let the pages, which read the clock, see the day that the fixtures speak of."""
    with time_machine.travel(now, tick=True):
        yield


@pytest.fixture
def olga(db: None) -> Client:  # noqa: ARG001 -- asks for the database
    """Return the browser of an owner."""
    return logged_in(make_staff("olga", "owner"))
