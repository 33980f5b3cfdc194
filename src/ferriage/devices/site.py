"""The only place of this room that reads settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from ferriage.config import Config


def hold_length() -> timedelta:
    """Return how long an ended device is held before its peer goes."""
    config: Config = settings.FERRIAGE
    return timedelta(days=config.shop.hold_days)
