"""Whether a plan's inner networks may stand in the database: one rule, asked on both engines.

SQLite knows no networks, so its triggers call a function that every connection of ours is given;
a program that has not got it cannot write such a row at all. PostgreSQL has a type for them.

Source: docs/decisions/0020-inner-networks.md
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final

from ferriage import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

SQL_FUNCTION: Final = "ferriage_routes_fault"


def fault(networks: Sequence[str], *, tunnel: Sequence[str]) -> str:
    """Return what is wrong with a list of inner networks, or nothing.

    Args:
        tunnel: The tunnel's own inner networks, which no route may touch.
    """
    try:
        wire.check_routes(networks)
    except wire.WireError as error:
        return str(error).removeprefix("routes: ")
    for text in networks:
        network = ipaddress.ip_network(text)
        for own in map(ipaddress.ip_network, tunnel):
            if own.version == network.version and own.overlaps(network):
                return f"{text} overlaps the tunnel's own network {own}"
    return ""


def register(*, connection: Any, **_signal: object) -> None:
    """Give an SQLite connection the function that the triggers of `plans_plan` call."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(SQL_FUNCTION, 3, _fault_of_row, deterministic=True)


def _fault_of_row(routes: object, inner4: object, inner6: object) -> str:
    try:
        networks = json.loads(str(routes))
    except ValueError:
        return "not a list"
    if not isinstance(networks, list) or not all(isinstance(text, str) for text in networks):
        return "not a list of networks"
    return fault(networks, tunnel=[str(own) for own in (inner4, inner6) if own])
