"""Filling sets by netlink, as bytes, when there is so much that nft's reading would take longest.

Only what a start has much of: elements that come, of the sets that hold one of each device. It is
one transaction, as a script of nft's is; what nft(1) lists of it afterwards is the same.

Source: include/uapi/linux/netfilter/nf_tables.h, nfnetlink.h
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from ferriage.agent import counters, netlink, plane
from ferriage.agent.chunks import chunked
from ferriage.agent.errors import DataPlaneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ferriage.agent.plane import Key, Step, Value

MANY: Final = 1000
"""From so many elements on it is worth it; fewer are read by nft in a few milliseconds."""

_SETS: Final = frozenset({*plane.USE, *plane.CAP, *plane.OPEN})

_BEGIN, _END = 0x10, 0x11
_NFTABLES: Final = 10
_NEW_ELEMENTS: Final = _NFTABLES << 8 | 12
_CREATE: Final = 0x400
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _VALUE = 1, 1, 1
_TIMEOUT, _EXPRESSION = 4, 7
_NAME, _DATA = 1, 2
_RATE, _UNIT, _BURST, _TYPE = 1, 2, 3, 4
_OF_BYTES: Final = 1
_NAME_LENGTH: Final = 16
_MARK: Final = struct.Struct("=I")
_LONG: Final = struct.Struct(">Q")
_SHORT: Final = struct.Struct(">I")


def split(steps: Iterable[Step]) -> tuple[list[Step], list[Step]]:
    """Return the steps that nft shall take, and those for `fill`."""
    parts: tuple[list[Step], list[Step]] = ([], [])
    for step in steps:
        large = step.name in _SETS and not step.delete and len(step.add) >= MANY
        parts[large].append(step)
    return parts


def fill(table: str, steps: Iterable[Step], now: float) -> None:
    """Put in the elements of all steps, or none.

    Raises:
        DataPlaneError: None was taken; the message names the set.
    """
    payloads = [(step.name, body) for step in steps for body in _payloads(table, step, now)]
    last = len(payloads)
    block = [_bound(_BEGIN, 0)]
    for number, (_, body) in enumerate(payloads, 1):
        flags = netlink.REQUEST | _CREATE | (netlink.ACK if number == last else 0)
        block.append(netlink.message(_NEW_ELEMENTS, flags, number, body))
    block.append(_bound(_END, last + 1))
    try:
        with netlink.Conversation(counters.NETFILTER) as kernel:
            kernel.deliver(b"".join(block))
    except netlink.NotTaken as error:
        name = payloads[max(error.number, 1) - 1][0]
        raise DataPlaneError(f"nft: set {name}: {error.strerror}") from error
    except (OSError, netlink.Malformed) as error:
        raise DataPlaneError(f"nft: {error}") from error


def _bound(kind: int, number: int) -> bytes:
    """Return the message that begins or ends a transaction."""
    head = counters.FAMILY_HEAD.pack(0, 0, _NFTABLES)
    return netlink.message(kind, netlink.REQUEST, number, head)


def _payloads(table: str, step: Step, now: float) -> Iterator[bytes]:
    """Yield what messages about one set say, as many elements in each as an attribute holds."""
    head = (
        counters.FAMILY_HEAD.pack(counters.INET, 0, 0)
        + netlink.attribute(_TABLE, table.encode() + b"\0")
        + netlink.attribute(_SET, step.name.encode() + b"\0")
    )
    elements = _elements(step, now)
    first = next(elements)
    for some in chunked(chain((first,), elements), netlink.LONGEST // len(first)):
        yield head + netlink.nest(_ELEMENTS, *some)


def _elements(step: Step, now: float) -> Iterator[bytes]:
    """Yield elements: all of a set have one form, so what goes around the key is made once."""
    form = b""
    for key, value in step.add:
        rest = _rest(step.name, value, now)
        plain = _key(key)
        if not form:
            whole = netlink.nest(
                _ELEMENT, netlink.nest(_KEY, netlink.attribute(_VALUE, plain)), rest
            )
            form = whole[: len(whole) - len(plain) - len(rest)]
        yield form + plain + rest


def _key(key: Key) -> bytes:
    """Return a slot, or an interface and a slot as `plane.open_key` writes them."""
    if isinstance(key, int):
        return _MARK.pack(key)
    interface, _, slot = key.partition(" . ")
    return interface.encode().ljust(_NAME_LENGTH, b"\0") + _MARK.pack(int(slot, 16))


def _rest(name: str, value: Value, now: float) -> bytes:
    """Return what follows the key: a time-out or a limit; a counter is made by the set itself."""
    if name in plane.TIMED and isinstance(value, float):
        return netlink.attribute(_TIMEOUT, _LONG.pack(plane.milliseconds(value, now)))
    return _limit(*value) if isinstance(value, tuple) else b""


@lru_cache(maxsize=1024)
def _limit(rate: int, burst: int) -> bytes:
    return netlink.nest(
        _EXPRESSION,
        netlink.attribute(_NAME, b"limit\0"),
        netlink.nest(
            _DATA,
            netlink.attribute(_RATE, _LONG.pack(rate)),
            netlink.attribute(_UNIT, _LONG.pack(1)),
            netlink.attribute(_BURST, _SHORT.pack(burst)),
            netlink.attribute(_TYPE, _SHORT.pack(_OF_BYTES)),
        ),
    )
