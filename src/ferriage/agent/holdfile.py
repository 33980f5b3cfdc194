"""The file that the agent writes and the hold page reads: who is held, why, and until when paid.

It holds inner addresses and ends of terms, no key and nothing of where a customer comes from.

A journal, so that a change costs what it changes, however many devices there are: a head line says
what concerns all, a line per inner address follows, and what came later holds. Now and then the
agent replaces it with one that is whole and short again; the reader sees that by its inode.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from ferriage.agent.plane import normal_address

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from ferriage import wire
    from ferriage.agent.feed import Pool
    from ferriage.config import AgentConfig

_SPARE_LINES: Final = 10_000
"""So many may be appended, and as many as there were, before the file is written anew."""


class HeldDevice(msgspec.Struct, frozen=True, array_like=True):
    """One device, by either of its inner addresses. `resets_at` is when its quota comes anew."""

    hold_at: int
    reason: str
    language: str
    resets_at: int = 0


class Line(msgspec.Struct, frozen=True):
    """A pool's line, as its permit says."""

    open_until: int
    reason: dict[str, str]
    shop_url: str


class Head(msgspec.Struct, frozen=True):
    """What concerns all devices. `site_offset` is site time less the boot clock.

    Lines are named by their interface: a device has the same address on all of them, and what
    holds it on one need not hold it on another.
    """

    listen: tuple[str, ...] = ()
    site_offset: int = 0
    lines: dict[str, Line] = {}


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An address on an interface, and the device behind it; none is there any more without one."""

    interface: str
    address: str
    device: HeldDevice | None


class Content:
    """Everything the hold page knows, as read so far."""

    def __init__(self) -> None:
        self.head = Head()
        self.devices: dict[tuple[str, str], HeldDevice] = {}

    def take(self, lines: Iterable[bytes]) -> None:
        """Take over lines in their order.

        Raises:
            msgspec.DecodeError: One is of another release.
        """
        for line in lines:
            if line.startswith(b"{"):
                self.head = msgspec.json.decode(line, type=Head)
                continue
            entry = msgspec.json.decode(line, type=Entry)
            if entry.device is None:
                self.devices.pop((entry.interface, entry.address), None)
            else:
                self.devices[entry.interface, entry.address] = entry.device


def path(config: AgentConfig) -> Path:
    """Return where the file lies."""
    return Path(config.run_dir) / "hold.jsonl"


class Reader:
    """Follows the file; what it read before stays in force while the file cannot be read.

    It keeps the file open: so no other one can get its inode number, and a new one is told by that.
    """

    def __init__(self, config: AgentConfig) -> None:
        self._path = path(config)
        self._file: BinaryIO | None = None
        self._rest = b""
        self.content: Content | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def look(self) -> None:
        """Take over what is new.

        Raises:
            OSError: It is not there yet.
            msgspec.DecodeError: It is of another release.
        """
        inode = self._path.stat().st_ino
        if self._file is not None and os.fstat(self._file.fileno()).st_ino == inode:
            assert self.content is not None  # noqa: S101 -- set together with the file
            self._rest = _follow(self._file, self._rest, self.content)
            return
        file, content = self._path.open("rb"), Content()
        try:
            rest = _follow(file, b"", content)
        except BaseException:
            file.close()
            raise
        self.close()
        self._file, self._rest, self.content = file, rest, content


def _follow(file: BinaryIO, rest: bytes, content: Content) -> bytes:
    """Take over the lines that are new, and return one that has no end yet."""
    *lines, rest = (rest + file.read()).split(b"\n")
    content.take(lines)
    return rest


class Writer:
    """The agent's side: one writer, which replaces the file it finds at its start."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._path = path(config)
        self._head: bytes = b""
        self._room = 0
        self._cut: frozenset[int] = frozenset()

    def write(
        self, pools: Iterable[Pool], *, site_offset: int, cut: frozenset[int] = frozenset()
    ) -> None:
        """Write the file whole.

        Args:
            cut: Slots that are held because their quota is used up.
        """
        # Until it is written whole, nothing is added to what is there.
        self._room = -1
        pools, self._cut = tuple(pools), cut
        self._head = self._line(pools, site_offset)
        lines = [
            _encode(entry)
            for pool in pools
            for device in pool.usable()
            for entry in _entries(self._interface(pool), device, cut)
        ]
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(b"".join([self._head, *lines]))
        temporary.replace(self._path)
        self._room = len(lines) + _SPARE_LINES

    def refresh(
        self, pools: Iterable[Pool], *, site_offset: int, cut: frozenset[int] = frozenset()
    ) -> None:
        """Tell what concerns all devices, if it changed, and whose quota is used up or came anew.

        A file that is gone is written whole.
        """
        pools, changed, self._cut = tuple(pools), cut ^ self._cut, cut
        lines = [
            _encode(entry)
            for pool in (pools if changed else ())
            for device in pool.usable()
            if device.slot in changed
            for entry in _entries(self._interface(pool), device, cut)
        ]
        self._room -= len(lines)
        if self._room < 0 or not self._path.exists():
            self.write(pools, site_offset=site_offset, cut=cut)
        else:
            self._append(pools, lines, site_offset)

    def change(
        self,
        pools: Iterable[Pool],
        pool: Pool,
        before: Mapping[str, wire.Device],
        after: Iterable[str],
        *,
        site_offset: int,
    ) -> None:
        """Tell what became of some devices of a pool: as they were, and which may be there now."""
        pools, here = tuple(pools), self._interface(pool)
        gone = {
            entry.address: Entry(here, entry.address, None)
            for device in before.values()
            for entry in _entries(here, device, self._cut)
        }
        now = {
            entry.address: entry
            for name in after
            if name in pool.devices and name not in pool.refused
            for entry in _entries(here, pool.devices[name], self._cut)
        }
        entries = (gone | now).values()
        self._room -= len(entries)
        if self._room < 0 or not self._path.exists():
            self.write(pools, site_offset=site_offset, cut=self._cut)
        else:
            self._append(pools, [_encode(entry) for entry in entries], site_offset)

    def _append(self, pools: tuple[Pool, ...], lines: list[bytes], site_offset: int) -> None:
        head = self._line(pools, site_offset)
        if head != self._head:
            lines = [head, *lines]
            self._head = head
            self._room -= 1
        if lines:
            room, self._room = self._room, -1
            with self._path.open("ab") as file:
                file.write(b"".join(lines))
            self._room = room

    def _line(self, pools: tuple[Pool, ...], site_offset: int) -> bytes:
        lines = {self._interface(pool): _line_of(pool) for pool in pools}
        head = Head(listen=inner_addresses(pools), site_offset=site_offset, lines=lines)
        return msgspec.json.encode(head) + b"\n"

    def _interface(self, pool: Pool) -> str:
        return f"{self._config.interface_prefix}{pool.assignment.interface}"


def _encode(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _entries(interface: str, device: wire.Device, cut: Container[int]) -> Iterator[Entry]:
    resets_at = device.quota.resets_at if device.quota else 0
    held = HeldDevice(device.hold_at, device.hold_reason, device.language, resets_at)
    if device.slot in cut and held.reason != "quota":
        held = HeldDevice(0, "quota", device.language, resets_at)
    for address in (device.ip4, device.ip6):
        yield Entry(interface, normal_address(address), held)


def _line_of(pool: Pool) -> Line:
    if pool.permit is None:
        return Line(0, {}, "")
    return Line(pool.open_until(), pool.permit.reason, pool.permit.shop.url)


def inner_addresses(pools: Iterable[Pool]) -> tuple[str, ...]:
    """Return the gateway's own inner addresses, each once: pools share them."""
    addresses = (a for pool in pools for a in (pool.assignment.gateway4, pool.assignment.gateway6))
    return tuple(dict.fromkeys(str(ipaddress.ip_interface(address).ip) for address in addresses))


def write_changed(target: Path, data: bytes) -> bool:
    """Replace a file in one step; False when it says so already."""
    if target.exists() and target.read_bytes() == data:
        return False
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = target.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(target)
    return True
