"""The one row of facts about this shop's database: its epoch and its inner networks."""

from __future__ import annotations

import ipaddress
import secrets

from ferriage import wire
from ferriage.core.db import writing
from ferriage.core.hashing import hash_secret
from ferriage.core.models import SiteState


def prepare(*, inner4: str, inner6: str = "") -> SiteState:
    """Make the row, or return the one that is there, unchanged.

    Args:
        inner4: Inner IPv4 network of devices, such as 10.64.0.0/10.
        inner6: Inner IPv6 network; a random unique local /48 when empty.

    Raises:
        ValueError: Not a network, or the second has not a number for each of the first.
    """
    network4 = ipaddress.IPv4Network(inner4)
    network6 = ipaddress.IPv6Network(inner6 or _random_ula())
    if network6.num_addresses < network4.num_addresses:
        raise ValueError(f"{network6} has fewer addresses than {network4}: each device has both.")
    with writing():
        state, _ = SiteState.objects.get_or_create(
            pk=1,
            defaults={
                "epoch": secrets.token_hex(16),
                "feed_format": wire.FEED_FORMAT,
                "secret_check": hash_secret("check", "ferriage"),
                "inner4": str(network4),
                "inner6": str(network6),
            },
        )
    return state


def _random_ula() -> str:
    """Return a random unique local /48 (RFC 4193)."""
    return str(ipaddress.IPv6Network(((0xFD << 120) | (secrets.randbits(40) << 80), 48)))
