"""The one place that reads the clock. Called at the edge, once per request or command."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 -- the one place


def unix(at: datetime) -> int:
    """Return whole Unix seconds, rounded down."""
    return int(at.timestamp())


def from_unix(seconds: int) -> datetime:
    """Return the aware instant of whole Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
