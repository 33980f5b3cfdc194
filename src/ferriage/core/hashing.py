"""Keyed hashes of secrets that are only looked up: account numbers, vouchers, tokens."""

from __future__ import annotations

import secrets

from django.conf import settings

from ferriage.core.codes import keyed_hash


def hash_secret(purpose: str, text: str) -> str:
    """Return 64 hex digits; the key is the site's secret key, so a stolen table helps nobody."""
    return keyed_hash(settings.SECRET_KEY, purpose, text)


def new_token() -> str:
    """Return a URL-safe random token of 256 bits."""
    return secrets.token_urlsafe(32)
