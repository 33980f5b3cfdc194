"""Netlink as bytes: messages, attributes, and a socket for one conversation with the kernel.

Numbers are in this host's byte order, attributes begin at multiples of four. Whatever does not
add up is refused: a length that lies would make one value out of another.

Source: include/uapi/linux/netlink.h, include/uapi/linux/genetlink.h
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST: Final = 0xFFFF - 4
"""Most bytes in one attribute; its length is a 16-bit number."""

_NESTED: Final = 0x8000
_KIND_MASK: Final = 0x3FFF
_GENERIC: Final = 16
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_SEND_BUFFER: Final = 32
"""SO_SNDBUFFORCE, which Python does not name."""

REQUEST, ACK, DUMP = 0x01, 0x04, 0x300
_ERROR, _DONE = 2, 3
_INTERRUPTED: Final = 0x10
_HEAD: Final = struct.Struct("=IHHII")
_COMMAND: Final = struct.Struct("=BBH")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NUMBER: Final = struct.Struct("=i")

_CONTROLLER: Final = 16
_GET_FAMILY: Final = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2

_BLOCK: Final = 1 << 17
"""The kernel fills at most 32 KiB of it at once."""

_TIMEOUT_SECONDS: Final = 30


class Malformed(ValueError):
    """Bytes that are not what they should be, or values that have no place in them."""


class Interrupted(OSError):
    """What was read changed meanwhile, so some of it may be missing. Read again."""


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded.

    Raises:
        Malformed: The payload is too long.
    """
    if len(payload) > LONGEST:
        raise Malformed(f"attribute {kind} would have {len(payload)} bytes")
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def attributes(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, begin and end of the payload of each attribute in `data[at:end]`.

    Raises:
        Malformed: A length does not fit.
    """
    while at < end:
        if end - at < _ATTRIBUTE.size:
            raise Malformed("an attribute is cut short")
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= end - at:
            raise Malformed(f"an attribute of {length} bytes does not fit")
        yield kind & _KIND_MASK, at + _ATTRIBUTE.size, at + length
        at += length + (-length % 4)


def messages(block: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield kind, flags, sequence number and payload of each message in a block.

    Raises:
        Malformed: A length does not fit.
    """
    at = 0
    while at < len(block):
        if len(block) - at < _HEAD.size:
            raise Malformed("a message is cut short")
        length, kind, flags, number, _ = _HEAD.unpack_from(block, at)
        if not _HEAD.size <= length <= len(block) - at:
            raise Malformed(f"a message of {length} bytes does not fit")
        yield kind, flags, number, block[at + _HEAD.size : at + length]
        at += length + (-length % 4)


def message(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """Return one message."""
    return _HEAD.pack(_HEAD.size + len(payload), kind, flags, number, 0) + payload


class NotTaken(OSError):
    """The kernel refused one message of a block, and so all of it."""

    def __init__(self, error: OSError, number: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.number = number


class Conversation:
    """A socket of one netlink protocol, in this thread's network namespace."""

    def __init__(self, protocol: int) -> None:
        self._number = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        try:
            self._socket.settimeout(_TIMEOUT_SECONDS)
            # Without it a refusal would send the whole request back.
            self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
            self._socket.bind((0, 0))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, kind: int, flags: int, payload: bytes) -> Iterator[bytes]:
        """Ask, and yield the body of each answer.

        Raises:
            OSError: Refused.
            Interrupted: See there; raised at the end, when the socket is free for another try.
            Malformed: No such answer was ever specified.
        """
        self._number += 1
        self._socket.send(message(kind, REQUEST | flags, self._number, payload))
        whole = True
        while True:
            for said, marks, number, body in messages(self._receive()):
                if number != self._number:  # of an answer that nobody read to its end
                    continue
                whole = whole and not marks & _INTERRUPTED
                if ended(said, body):
                    if whole:
                        return
                    raise Interrupted(errno.EINTR, os.strerror(errno.EINTR))
                yield body

    def deliver(self, block: bytes) -> None:
        """Send messages that are taken or refused together, and wait for that.

        Only the last one that asks for anything may ask to be acknowledged.

        Raises:
            NotTaken: One of them was refused.
            OSError: They were not sent.
            Malformed: No such answer was ever specified.
        """
        # Without the right to it the host's own bound holds, as it does for nft(1).
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SEND_BUFFER, 2 * len(block))
        self._socket.send(block)
        while True:
            for said, _, number, body in messages(self._receive()):
                try:
                    if ended(said, body):
                        return
                except OSError as error:
                    raise NotTaken(error, number) from error

    def _receive(self) -> bytes:
        block, _, flags, (sender, _) = self._socket.recvmsg(_BLOCK)
        if flags & socket.MSG_TRUNC:
            raise Malformed("an answer is longer than any should be")
        return block if sender == 0 else b""


class Generic(Conversation):
    """A conversation with one family of generic netlink.

    Asking for a family loads its module where the host can do that.

    Raises:
        OSError: ENOENT, when the kernel has no such family.
    """

    def __init__(self, family: str, version: int) -> None:
        super().__init__(_GENERIC)
        self._version = version
        try:
            self._family = self._find(family)
        except BaseException:
            self._socket.close()
            raise

    def request(self, command: int, payload: bytes) -> None:
        """Ask for a change and wait until it is made.

        Raises:
            OSError: Refused.
        """
        for _ in self._exchange(self._family, ACK, command, payload):
            pass

    def dump(self, command: int, payload: bytes) -> Iterator[bytes]:
        """Yield the attributes of one answer after the other, as they come.

        Raises:
            OSError: Refused.
            Interrupted: See there; raised at the end, when the socket is free for another try.
            Malformed: No such answer was ever specified.
        """
        yield from self._exchange(self._family, DUMP, command, payload)

    def _find(self, family: str) -> int:
        name = attribute(_FAMILY_NAME, family.encode("ascii") + b"\0")
        for answer in self._exchange(_CONTROLLER, ACK, _GET_FAMILY, name):
            for kind, begin, end in attributes(answer, 0, len(answer)):
                if kind == _FAMILY_ID:
                    return int.from_bytes(answer[begin:end], sys.byteorder)
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _exchange(self, kind: int, flags: int, command: int, payload: bytes) -> Iterator[bytes]:
        head = _COMMAND.pack(command, self._version, 0)
        for body in self.exchange(kind, flags, head + payload):
            yield body[_COMMAND.size :]


def ended(kind: int, body: bytes) -> bool:
    """Say whether a message is the last of an answer.

    Raises:
        OSError: It is, and it says that the request failed.
        Malformed: It does not say how the request went.
    """
    if kind not in {_ERROR, _DONE}:
        return False
    if len(body) < _NUMBER.size:
        raise Malformed("an answer ends without saying how")
    number = -_NUMBER.unpack_from(body)[0]
    if number:
        raise OSError(number, os.strerror(number))
    return True
