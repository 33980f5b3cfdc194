"""Whether what a gateway sent would fit the tables, asked before the database is."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from django.db.models import Field

_KEY_BYTES: Final = 32
_LARGEST: Final = (1 << 63) - 1
_MOST_BYTES: Final = 1 << 56
"""What no interface carries in a century: sums of many such still fit 63 bits."""
_LONGEST_HOST: Final = 253
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")


def fits(field: Field[Any, Any], text: str) -> bool:
    """Tell whether a text is no longer than its column, and storable on both engines."""
    return len(text) <= (field.max_length or 0) and "\0" not in text


def counts(*values: int) -> bool:
    """Tell whether all are non-negative and fit 63 bits."""
    return all(0 <= value <= _LARGEST for value in values)


def carried(*values: int) -> bool:
    """Tell whether all can be bytes that went through an interface."""
    return all(0 <= value <= _MOST_BYTES for value in values)


def is_key(text: str) -> bool:
    """Tell whether a text is the base64 of 32 bytes, as both kinds of key are."""
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except ValueError:
        return False


def is_endpoint(text: str) -> bool:
    """Tell whether a text is a host name or an address that could lead elsewhere, nothing more.

    It is written into customers' files, where a line end would begin a key of its own: wg-quick
    runs what stands behind `PostUp` as root. `localhost` there would be the customer's own machine.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        named = len(text) <= _LONGEST_HOST and _HOST_NAME.fullmatch(text) is not None
        return named and text.lower().rstrip(".") != "localhost"
    nowhere = address.is_loopback or address.is_unspecified or address.is_multicast
    return not nowhere and not address.is_link_local and "%" not in text
