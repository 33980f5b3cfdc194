"""Fixtures that every room's tests share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ferriage.core.actors import Actor


@pytest.fixture
def now() -> datetime:
    """A fixed instant; actions take it as an argument."""
    return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def owner() -> Actor:
    return Actor("staff", "olga")
