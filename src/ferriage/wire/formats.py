"""How releases that are one minor version apart understand each other.

A release speaks two formats: its own and the one before. Who asks names its format and is answered
in it. What a format adds are optional fields, and to one of the format before they are not said.

A device record is different, since both sides sum its bytes: a field that is added to it is
`UNSET` until somebody uses it, and not in its bytes before, so a record that does not use it has
the same digest in both formats. One that does use it is withheld from gateways of the format
before. A permit, which is signed once for all, gets no new fields at all.

Source: docs/decisions/0046-one-minor-version.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ferriage.wire.calls import PoolStatus, Report, ReportAnswer, Usage
from ferriage.wire.codec import decode
from ferriage.wire.records import SPOKEN, Struct, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ferriage.wire.records import Device

ADDED: Final[dict[type[Struct], Mapping[str, int]]] = {
    PoolStatus: {"head": 5, "waiting": 5, "since": 5},
    Report: {"signs": 5, "checks": 5},
    ReportAnswer: {"probe_key": 5},
    Usage: {"resets_at": 5},
}
"""Since which format a field exists; one that is not named here is as old as the oldest spoken."""


class _Head(msgspec.Struct):
    """The one field that every request to the site has in whatever format."""

    format: int


def format_of(body: bytes) -> int:
    """Return the format that a request says it is in, whether it is spoken here or not.

    Raises:
        WireError: It says none.
    """
    return decode(body, _Head).format


def check_spoken(number: int) -> None:
    """Refuse a format that is not spoken here, saying which are.

    Raises:
        WireError: It is not.
    """
    if number not in SPOKEN:
        raise WireError(
            f"the agent speaks format {number}, this shop {SPOKEN[0]} and {SPOKEN[1]}: they may "
            f"be one minor version apart; install this shop's release on the gateway"
        )


def encode_for(value: Struct, spoken: int) -> bytes:
    """Return a structure's canonical JSON in a format: without what came after it."""
    return msgspec.json.encode(_said(value, spoken))


def _said(value: Any, spoken: int) -> Any:
    if isinstance(value, Struct):
        added = ADDED.get(type(value), {})
        return {
            name: _said(getattr(value, name), spoken)
            for name in value.__struct_fields__
            if added.get(name, 0) <= spoken
        }
    if isinstance(value, tuple):
        return [_said(item, spoken) for item in value]
    return value


def needs(device: Device) -> int:
    """Return the first format in which a record can be said; 0 when every format can."""
    return max(
        (since for name, since in ADDED.get(type(device), {}).items() if _used(device, name)),
        default=0,
    )


def _used(device: Device, name: str) -> bool:
    defaults = dict(
        zip(reversed(device.__struct_fields__), reversed(device.__struct_defaults__), strict=False)
    )
    return bool(getattr(device, name) != defaults[name])
