"""Where held customers reach the shop, when it is on the gateway's own host."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferriage.config import Config

_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0", "[::]", ""}  # noqa: S104 -- recognised, not listened on


def inner_listen(config: Config) -> str:
    """Return where the site also listens for held customers; empty when something else does.

    Through a tunnel `127.0.0.1` is the customer's own machine, so a shop that listens there is
    served at the tunnel's near end too. Before a shop with https stands a web server.
    """
    if config.site.shop_addresses or config.site.url.startswith("https://"):
        return ""
    listened = (entry.rpartition(":") for entry in config.site.listen)
    hosts = {host for host, _, port in listened if port == str(config.shop_port)}
    if not hosts or hosts & {*_EVERYWHERE, config.inner_address}:
        return ""
    return f"{config.inner_address}:{config.shop_port}"


def is_here(address: str) -> bool:
    """Tell whether this host has an address now; a tunnel's comes with its interface."""
    return not why_not(address, 0)


def why_not(address: str, port: int) -> str:
    """Return why nobody can listen there now; empty when somebody could."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def answers(address: str, port: int) -> bool:
    """Tell whether somebody accepts connections there."""
    try:
        socket.create_connection((address, port), _SECONDS).close()
    except OSError:
        return False
    return True
