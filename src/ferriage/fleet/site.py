"""What the fleet takes from the site's settings. Nothing else in this room reads them."""

from __future__ import annotations

import base64
import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.conf import settings

from ferriage import wire
from ferriage.core.compiled import Compiled
from ferriage.core.hashing import hash_secret
from ferriage.core.models import SiteState

if TYPE_CHECKING:
    from pathlib import Path

    from ferriage.config import Config


def shop() -> wire.Shop:
    """Return where held customers can still go, as permits carry it."""
    config = _config()
    return wire.Shop(
        url=config.shop_url,
        name=config.site.name,
        addresses=config.shop_addresses,
        port=config.shop_port,
    )


def reached_beside_only() -> bool:
    """Tell whether held customers find the shop only from a gateway on the shop's own host."""
    return not _config().site.shop_addresses


def site_url() -> str:
    """Return where agents reach the site."""
    return _config().site.url.rstrip("/")


def hub_url() -> str:
    """Return where agents reach the hub."""
    return _config().hub.url.rstrip("/")


def only_here() -> dict[str, str]:
    """Return the settings that no other host can follow, with what they say.

    Gateways are told both addresses. One that means, wherever it is read, the reader's own machine
    serves a gateway beside the shop alone.
    """
    told = {"site.url": site_url(), "hub.url": hub_url()}
    return {name: url for name, url in told.items() if _is_the_readers(url)}


def _is_the_readers(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Debian's own names for it beside the reserved one.
        return host in {"localhost.localdomain", "ip6-localhost"} or (
            f".{host}".endswith(".localhost")
        )
    plain = getattr(address, "ipv4_mapped", None) or address
    return plain.is_loopback or plain.is_unspecified


def alarm_command() -> tuple[str, ...]:
    """Return the program that is told of alarms, with its arguments; nothing when nobody is."""
    return _config().alarms.command


def permit_key() -> str:
    """Return the private permit key, which only site and worker may hold."""
    return _key(_config().permit_key_path)


def feed_public_key() -> str:
    """Return the public half of the hub's key, which gateways pin."""
    return wire.public_key(_key(_config().feed_key_path))


def probe_key() -> bytes:
    """Return the X25519 key with which this site tries gateways from outside.

    It follows from the site's secret key, and opens nothing: a peer without addresses.
    """
    return bytes.fromhex(hash_secret("probe", "wireguard"))


def probe_public_key() -> str:
    """Return the public half, as WireGuard prints it."""
    return _public_x25519(probe_key())


@lru_cache(maxsize=8)
def _public_x25519(private: bytes) -> str:
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return base64.b64encode(key.public_bytes_raw()).decode()


STATE: Final = Compiled(0, SiteState.objects.all)
"""The one row of facts about the shop's database, which every report asks for."""


def gateway_addresses(state: SiteState | None = None) -> tuple[str, str]:
    """Return a gateway's own inner IPv4 and IPv6 address, each with the network's prefix.

    It is the first host of the network, on every gateway alike; devices' slots begin above it.

    Args:
        state: The row of the shop's networks, by whom has read it already.
    """
    state = state or STATE.get()
    return _first_host(state.inner4), _first_host(state.inner6)


@lru_cache(maxsize=8)
def _first_host(text: str) -> str:
    network = ipaddress.ip_network(text)
    return f"{network.network_address + 1}/{network.prefixlen}"


def _config() -> Config:
    config: Config = settings.FERRIAGE
    return config


@lru_cache(maxsize=8)
def _key(path: Path) -> str:
    return _config().read_secret(path)
