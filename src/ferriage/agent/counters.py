"""Reading the counters of a set's elements by netlink, as bytes.

They are read every ten seconds, and every second where a quota is near its end. nft(1) would print
each of them in a line that is then taken apart again, which takes several times as long.

Source: include/uapi/linux/netfilter/nf_tables.h
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from ferriage.agent import netlink
from ferriage.agent.errors import DataPlaneError

if TYPE_CHECKING:
    from collections.abc import Iterator

NETFILTER: Final = 12
FAMILY_HEAD: Final = struct.Struct(">BBH")

_GET_ELEMENTS: Final = 10 << 8 | 13
INET: Final = 1
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_KEY, _VALUE, _EXPRESSION = 1, 1, 7
_NAME, _DATA, _BYTES = 1, 2, 1
_COUNTER: Final = b"counter\0"
_MARK: Final = struct.Struct("=I")
_TOTAL: Final = struct.Struct(">Q")
_ATTEMPTS: Final = 5

_Range: TypeAlias = tuple[int, int]


def read(table: str, name: str) -> dict[int, int]:
    """Return the bytes that each element of a counting set of marks has counted.

    Raises:
        DataPlaneError: The set is not there, or is changed again and again while it is read.
    """
    try:
        with netlink.Conversation(NETFILTER) as kernel:
            for _ in range(_ATTEMPTS):
                try:
                    return _read(kernel, table, name)
                except netlink.Interrupted:
                    continue
    except (OSError, netlink.Malformed) as error:
        raise DataPlaneError(f"The counters of {table} {name} cannot be read: {error}.") from error
    raise DataPlaneError(f"The set {table} {name} changes faster than it can be read.")


def _read(kernel: netlink.Conversation, table: str, name: str) -> dict[int, int]:
    request = (
        FAMILY_HEAD.pack(INET, 0, 0)
        + netlink.attribute(_TABLE, table.encode() + b"\0")
        + netlink.attribute(_SET, name.encode() + b"\0")
    )
    found: dict[int, int] = {}
    for answer in kernel.exchange(_GET_ELEMENTS, netlink.DUMP, request):
        found.update(decode(answer))
    return found


def decode(answer: bytes) -> Iterator[tuple[int, int]]:
    """Yield mark and bytes of each counting element in one message of the kernel's.

    All elements of a set look alike, so where one was taken apart the next of the same length
    is read at the same places, and only where the places hold the same words.

    Raises:
        Malformed: It is none.
    """
    shape, places = b"", (0, 0)
    for kind, begin, end in netlink.attributes(answer, FAMILY_HEAD.size, len(answer)):
        if kind != _ELEMENTS:
            continue
        for _, at, until in netlink.attributes(answer, begin, end):
            element = answer[at:until]
            mark, total = places
            if not shape or _shape(element, places) != shape:
                mark, total = places = _places(element)
                shape = _shape(element, places)
            yield _MARK.unpack_from(element, mark)[0], _TOTAL.unpack_from(element, total)[0]


def _shape(element: bytes, places: _Range) -> bytes:
    """Return an element without its mark, and without what follows the head of its bytes."""
    mark, total = places
    return b"%d " % len(element) + element[:mark] + element[mark + _MARK.size : total]


def _places(element: bytes) -> _Range:
    """Return where an element has its mark and its bytes."""
    mark, size = _inside(element, (0, len(element)), _KEY, _VALUE)
    expression = _inside(element, (0, len(element)), _EXPRESSION)
    called, until = _inside(element, expression, _NAME)
    total, end = _inside(element, expression, _DATA, _BYTES)
    if (
        element[called:until] != _COUNTER
        or size - mark != _MARK.size
        or end - total != _TOTAL.size
        or mark > total
    ):
        raise netlink.Malformed("an element does not count")
    return mark, total


def _inside(data: bytes, place: _Range, *path: int) -> _Range:
    """Return where the attribute at the end of a path of kinds has its payload."""
    for wanted in path:
        inner = (at for kind, *at in netlink.attributes(data, *place) if kind == wanted)
        begin, end = next(inner, (0, 0))
        if not end:
            raise netlink.Malformed(f"an element has no attribute {wanted}")
        place = begin, end
    return place
