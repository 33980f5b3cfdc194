"""A hub over a database of its own, with one open line and one gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.core import clock
from ferriage.fleet.models import Pool
from own_database import own_database, template_database
from running_hub import Asker, running_hub
from yard import law, make_yard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from ferriage.config import Config
    from yard import Yard

__all__ = ["law", "make_yard", "own_database", "template_database"]


@pytest.fixture
def yard(own_database: Config, make_yard: Callable[[datetime], Yard]) -> Yard:  # noqa: ARG001 -- rows go there
    return make_yard(clock.now())


@pytest.fixture
def pool(yard: Yard) -> Pool:
    yard.open_line()
    return Pool.objects.get()


@pytest.fixture
def feed_key(own_database: Config) -> str:
    """The public half, as gateways pin it."""
    return wire.public_key(own_database.read_secret(own_database.feed_key_path))


@pytest.fixture
def url(own_database: Config, yard: Yard) -> Iterator[str]:  # noqa: ARG001 -- the hub needs a shop
    with running_hub(own_database) as address:
        yield address


@pytest.fixture
def asker(url: str, yard: Yard, pool: Pool, feed_key: str) -> Asker:
    return Asker(url, yard.gateway(pool.line), feed_key)
