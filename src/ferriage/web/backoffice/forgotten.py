"""What gateways know of devices and a restored backup does not, with whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferriage.devices.models import Device

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.fleet.models import PoolGateway


@dataclass(frozen=True, slots=True)
class Row:
    """A device and what became of it; `subscription` is empty where the records know neither.

    `until` is None for one that is off.
    """

    device: str
    what: str
    until: datetime | None
    subscription: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """All that a gateway knows of one pool, and how much of it waits for a word of staff."""

    member: PoolGateway
    rows: list[Row]

    @property
    def off(self) -> list[Row]:
        """Return those that were removed or held."""
        return [row for row in self.rows if row.what == "off"]


def of(members: Iterable[PoolGateway]) -> list[Forgotten]:
    """Return what memberships know, with one query however much it is; none where there is none."""
    known = [(member, member.known_since) for member in members]
    codes = {device for _member, rows in known for device, _what, _until in rows}
    holders: dict[str, str] = {}
    if codes:
        named = Device.objects.filter(code__in=codes)
        holders = dict(named.values_list("code", "subscription__code"))
    return [
        Forgotten(member, [Row(*row, holders.get(row[0], "")) for row in rows])
        for member, rows in known
    ]
