"""Which elements nft's sets must hold, what they hold, and the shortest way from one to the other.

A plane maps set name → key → value. Values: an instant in site time (`open`, `open_routes`,
`lines`), a mark (`way`), bytes per second with burst (`cap_*`), nothing elsewhere. A device is open
on an interface, since what holds it on one line need not hold it on another. Pure: no kernel here.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ferriage import wire

Key: TypeAlias = int | str
Value: TypeAlias = float | tuple[int, int] | None
Plane: TypeAlias = dict[str, dict[Key, Value]]

OPEN: Final = ("open", "open_routes")
"""Devices that may pass, to the internet or to their `routes`: each is in one of both, or held."""

TIMED: Final = frozenset({*OPEN, "lines"})
MAPS: Final = frozenset({"way"})
CAP: Final = ("cap_dl", "cap_up")
"""Who is not in these passes nothing at all, not even to the shop."""

USE: Final = ("use_dl", "use_up")
"""Read before they are taken out, so the metering does that."""

SETS: Final = (
    "inner",
    "way",
    "uplink",
    "wgport",
    "shop4",
    "shop6",
    "use_up",
    "use_dl",
    "cap_up",
    "cap_dl",
    "routes4",
    "routes6",
    "lines",
    "open",
    "open_routes",
)
"""In the order in which elements are added: what opens comes last."""

FRAME: Final = ("inner", "way", "uplink", "wgport", "shop4", "shop6", "lines")
"""Sets whose elements belong to no device."""

DRIFT_SECONDS: Final = 0.25
"""An end that lies this near to the right one is left alone."""

LONGEST_SECONDS: Final = 700 * 86400
"""nft was tried with 730 days; later ends are moved on by the agent long before."""


class Step(NamedTuple):
    """A change of one set: keys to take out, then elements to put in."""

    name: str
    delete: tuple[Key, ...]
    add: tuple[tuple[Key, Value], ...]


def empty() -> Plane:
    """Return a plane without elements."""
    return {name: {} for name in SETS}


def open_key(interface: str, slot: int) -> str:
    """Return the key in `OPEN` of a device on one line, as nft prints it but for the quotes."""
    return f"{interface} . 0x{slot:08x}"


def of_device(device: wire.Device, now: float, interface: str) -> Plane:
    """Return the elements of one device on one line.

    Held is absence from both of `OPEN`.
    """
    slot = device.slot
    plane: Plane = {
        "cap_up": {slot: limit(device.rate_up_bps // 8, device.burst_bytes)},
        "cap_dl": {slot: limit(device.rate_down_bps // 8, device.burst_bytes)},
        "use_up": {slot: None},
        "use_dl": {slot: None},
    }
    if device.routes:
        plane |= _of_routes(device)
    if device.hold_at > now:
        plane[open_set(device)] = {open_key(interface, slot): float(device.hold_at)}
    return plane


def open_set(device: wire.Device) -> str:
    """Return in which of `OPEN` a device is while it is not held."""
    return "open_routes" if device.routes else "open"


@lru_cache(maxsize=1024)
def limit(rate: int, burst: int) -> tuple[int, int]:
    """Return a limit in bytes per second with its burst: one object for all who have the same."""
    return rate, burst


def _of_routes(device: wire.Device) -> Plane:
    """Return the inner networks that a device may reach, each beside its slot."""
    found: Plane = {}
    for network in device.routes:
        name = "routes6" if ":" in network else "routes4"
        found.setdefault(name, {})[f"{device.slot} . {network}"] = None
    return found


def merge(plane: Plane, part: Mapping[str, Mapping[Key, Value]]) -> None:
    """Put a part's elements into a plane."""
    for name, elements in part.items():
        plane.setdefault(name, {}).update(elements)


def restrict(plane: Plane, *parts: Plane) -> Plane:
    """Return of a plane only those elements whose keys occur in the parts."""
    found: Plane = {}
    for part in parts:
        for name, elements in part.items():
            held = plane.get(name, {})
            found.setdefault(name, {}).update({key: held[key] for key in elements if key in held})
    return found


def diff(live: Plane, wanted: Plane, now: float) -> list[Step]:
    """Return the steps that make `live` what is wanted.

    Counters of slots that are no longer wanted stay: they are read first and taken out by the
    metering. Their limits go at once, so nothing is counted any more.
    """
    steps = [_diff_set(name, live.get(name, {}), wanted.get(name, {}), now) for name in SETS]
    return [step for step in steps if step.delete or step.add]


def _diff_set(
    name: str, live: Mapping[Key, Value], wanted: Mapping[Key, Value], now: float
) -> Step:
    add = tuple(
        (key, value)
        for key, value in wanted.items()
        if key not in live or not _same(name, live[key], value, now)
    )
    gone = () if name in USE else tuple(key for key in live if key not in wanted)
    return Step(name, gone + tuple(key for key, _ in add if key in live), add)


def _same(name: str, live: Value, wanted: Value, now: float) -> bool:
    if name not in TIMED:
        return live == wanted
    if not isinstance(live, float) or not isinstance(wanted, float):
        return False
    distant = now + LONGEST_SECONDS * 0.9
    return abs(live - wanted) <= DRIFT_SECONDS or min(live, wanted) > distant


def patch(live: Plane, steps: Iterable[Step]) -> None:
    """Note in `live` that the steps were taken."""
    for step in steps:
        elements = live.setdefault(step.name, {})
        for key in step.delete:
            elements.pop(key, None)
        elements.update(step.add)


def render(steps: Iterable[Step], *, table: str, guard: str, now: float) -> str:
    """Return the steps as one nft transaction; empty text when there is nothing to do.

    A timed element may expire between reading and deleting, and deleting what is not there fails
    the whole transaction: so it is added first, deleted, and added with its new end.
    """
    lines: list[str] = []
    for step in steps:
        if step.delete:
            keys = ", ".join(_key(key) for key in step.delete)
            if step.name in TIMED:
                lines.append(f"add element inet {table} {step.name} {{ {keys} }}")
            lines.append(f"delete element inet {table} {step.name} {{ {keys} }}")
            if step.name == "inner":
                lines.append(f"delete element inet {guard} inner {{ {keys} }}")
        if step.add:
            elements = ", ".join(_element(step.name, key, value, now) for key, value in step.add)
            lines.append(f"add element inet {table} {step.name} {{ {elements} }}")
            if step.name == "inner":
                lines.append(f"add element inet {guard} inner {{ {elements} }}")
    return "".join(line + "\n" for line in lines)


def _key(key: Key) -> str:
    return str(key)


def _element(name: str, key: Key, value: Value, now: float) -> str:
    text = _key(key)
    if name in TIMED and isinstance(value, float):
        left = milliseconds(value, now)
        return f"{text} timeout {left // 1000}s{left % 1000}ms"
    if isinstance(value, tuple):
        rate, burst = value
        return f"{text} limit rate {rate} bytes/second burst {burst} bytes"
    if name in MAPS:
        return f"{text} : {value}"
    return text


def milliseconds(end: float, now: float) -> int:
    """Return the time-out of an element that ends at an instant."""
    return max(1, round(min(end - now, LONGEST_SECONDS) * 1000))


def of_shop(shop: wire.Shop) -> Plane:
    """Return where held customers may still go."""
    plane: Plane = {"shop4": {}, "shop6": {}}
    for address in shop.addresses:
        parsed = ipaddress.ip_address(address)
        plane[f"shop{parsed.version}"[:5]][f"{parsed} . {shop.port}"] = None
    return plane


def normal_address(address: str) -> str:
    """Return an address as nft prints it; asked for every device, so by the fastest way."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, address))
