"""Where held customers reach the shop, when it is on the gateway's own host."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Final, Literal

from ferriage.cli.words import CommandError, Exit

if TYPE_CHECKING:
    from ferriage.config import Config

PATIENCE_SECONDS = 10.0
"""A site whose database is busy, or whose host is, answers within this and is not called absent."""
_HEALTH: Final = {b"ok\n", b"database\n"}
"""What /healthz says, well and ill."""
_LONGEST: Final = 64
_HIGHEST_PORT: Final = 65_535
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


def split(listen: str) -> tuple[str, int]:
    """Return address and port of `127.0.0.1:8000` or `[::1]:8000`.

    Raises:
        CommandError: It is neither.
    """
    address, colon, port = listen.rpartition(":")
    if not colon or not address or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise CommandError(
            f"{listen!r} is not an address and port such as 127.0.0.1:8000.", Exit.NOT_SET_UP
        )
    return address.strip("[]"), int(port)


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


def who_listens(address: str, port: int, host: str) -> Literal["ours", "other", "silent"]:
    """Tell whether a site or hub of Ferriage's answers there; any shop's, not only this one's.

    Args:
        host: Name under which the shop is asked; a site answers to no other.
    """
    connection = http.client.HTTPConnection(address, port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        health = connection.getresponse().read(_LONGEST)
    except TimeoutError:
        return "silent"
    except (OSError, http.client.HTTPException):
        return "other"
    finally:
        connection.close()
    return "ours" if health in _HEALTH else "other"


def why_silent(address: str, port: int) -> str:
    """Return why nobody accepts connections there; empty when somebody does."""
    try:
        socket.create_connection((address, port), PATIENCE_SECONDS).close()
    except TimeoutError:
        return not_within()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def not_within() -> str:
    """Return the words for somebody who was silent for as long as was waited."""
    return f"did not answer within {PATIENCE_SECONDS:g} s"
