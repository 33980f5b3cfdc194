"""The only place of this room that reads settings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

if TYPE_CHECKING:
    from ferriage.config import Config, SignInConfig


def sign_in() -> SignInConfig | None:
    """Return the settings of the identity provider, or None when there is none."""
    config: Config = settings.FERRIAGE
    return config.sign_in if config.sign_in.issuer else None


def session_length() -> timedelta:
    """Return how long somebody who signed in with the provider stays logged in."""
    config: Config = settings.FERRIAGE
    return timedelta(hours=config.sign_in.session_hours)


def provider_label() -> str:
    """Return what people call the identity provider; empty when there is none."""
    config = sign_in()
    return (config.label or urlsplit(config.issuer).hostname or "") if config else ""


def return_address() -> str:
    """Return where the provider sends browsers back to; it must be registered there."""
    config: Config = settings.FERRIAGE
    return config.site.url.rstrip("/") + reverse("sign-in-back")
