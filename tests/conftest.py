"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from django.utils import translation
from hypothesis import HealthCheck, settings

from backwards import backwards
from ferriage.core.actors import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.plugin import DjangoDbBlocker

# How fast an example is depends on who else uses the machine; speed is for the benchmarks.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:  # noqa: ARG001 -- makes the database
    """Let the suite's shop have accepted its rule packs, as `ferriage init` does."""
    import lawbook

    with django_db_blocker.unblock():
        lawbook.accept(*lawbook.everyday())


@pytest.fixture(autouse=True)
def _rows_backwards() -> Iterator[None]:
    """With `FERRIAGE_TEST_BACKWARDS=1`, find what leans on an order that it did not ask for."""
    with backwards() if os.environ.get("FERRIAGE_TEST_BACKWARDS") else nullcontext():
        yield


@pytest.fixture(autouse=True)
def _no_language_left_on() -> Iterator[None]:
    """Let no test read what it says in the language that a page of another one was asked for."""
    yield
    translation.deactivate()


@pytest.fixture
def now() -> datetime:
    """A fixed instant; actions take it as an argument."""
    return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def owner() -> Actor:
    return Actor("staff", "olga")
