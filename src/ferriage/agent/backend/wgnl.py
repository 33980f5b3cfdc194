"""The kernel's WireGuard configuration as bytes of generic netlink: many peers per message.

Keys are base64 and addresses text outside of this module. Pure: no socket here.

Source: include/uapi/linux/wireguard.h
"""

from __future__ import annotations

import base64
import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from ferriage.agent.backend import Peer
from ferriage.agent.netlink import LONGEST, Malformed, attribute, attributes, nest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FAMILY: Final = "wireguard"
VERSION: Final = 1
GET, SET = 0, 1

REMOVE: Final = 1
REPLACE: Final = 2
"""Of a peer that exists: forget its allowed addresses before these are added."""
UPDATE: Final = 4
"""Change a peer that exists and make none."""

_KEY_BYTES: Final = 32
_NAME, _PRIVATE_KEY, _LISTEN_PORT, _PEERS = 2, 3, 6, 8
_PEER_KEY, _PEER_FLAGS, _PEER_ENDPOINT, _PEER_KEEPALIVE = 1, 3, 4, 5
_PEER_HANDSHAKE, _PEER_RECEIVED, _PEER_SENT, _PEER_ALLOWED = 6, 7, 8, 9
_IP_FAMILY, _IP_ADDRESS, _IP_PREFIX = 1, 2, 3

_U8: Final = struct.Struct("=B")
_U16: Final = struct.Struct("=H")
_U32: Final = struct.Struct("=I")
_U64: Final = struct.Struct("=Q")
_TIME: Final = struct.Struct("=qq")
_PORT: Final = struct.Struct("!H")
_SCOPE: Final = struct.Struct("=I")
_ENDPOINT4: Final = 16
_ENDPOINT6: Final = 28
_ADDRESS_BYTES: Final = {socket.AF_INET.value: 4, socket.AF_INET6.value: 16}

_MOST_ADDRESSES: Final = 1000
"""Of one peer in one message. A v6 address takes 40 bytes, so that they and their peer fit."""


class Change(NamedTuple):
    """What is to be done with one peer."""

    key: str
    flags: int = 0
    allowed_ips: tuple[str, ...] = ()
    endpoint: str = ""
    keepalive: int | None = None


Record: TypeAlias = tuple[Change, ...]
"""Changes that belong together: no message ends between them, unless they fill more than one."""


def removal(key: str) -> Record:
    """Return what removes a peer."""
    return (Change(key, REMOVE),)


def addition(key: str, allowed_ips: Iterable[str]) -> Record:
    """Return what adds a peer, or gives an existing one other addresses."""
    return (Change(key, REPLACE, tuple(allowed_ips)),)


def renewal(key: str, allowed_ips: Iterable[str]) -> Record:
    """Return what makes a stranger of a peer."""
    return removal(key) + addition(key, allowed_ips)


def waking(key: str, endpoint: str) -> Record:
    """Return what tells a peer's endpoint and sends it a keepalive now.

    WireGuard sends one when the interval rises from 0.
    """
    return (Change(key, UPDATE, endpoint=endpoint, keepalive=25),)


def calming(key: str) -> Record:
    """Return what ends a peer's keepalives."""
    return (Change(key, UPDATE, keepalive=0),)


# --- encoding


def named(interface: str) -> bytes:
    """Return the attribute that says which interface is meant."""
    return attribute(_NAME, interface.encode("ascii") + b"\0")


def device(interface: str, *, private_key: str, listen_port: int) -> bytes:
    """Return a request that sets the interface's own key and port.

    Raises:
        Malformed: They are none.
    """
    return (
        named(interface)
        + attribute(_PRIVATE_KEY, _key(private_key))
        + attribute(_LISTEN_PORT, _packed(_U16, listen_port))
    )


def requests(interface: str, records: Iterable[Record]) -> Iterator[bytes]:
    """Yield requests that make these changes in this order, each as full as it may be.

    All peers of a request stand in one attribute, which ends at 64 KiB. A peer with more
    addresses than that goes on in the next request, where nothing is replaced and nobody made.

    Raises:
        Malformed: A record has a key, address or endpoint that is none.
    """
    head, size = named(interface), 0
    waiting: list[bytes] = []
    for record in records:
        parts = [part for change in record for part in _parts(change)]
        whole = sum(map(len, parts)) <= LONGEST
        for part in [b"".join(parts)] if whole else parts:
            if size + len(part) > LONGEST:
                yield head + nest(_PEERS, *waiting)
                waiting, size = [], 0
            waiting.append(part)
            size += len(part)
    if waiting:
        yield head + nest(_PEERS, *waiting)


def _parts(change: Change) -> Iterator[bytes]:
    first, rest = change.allowed_ips[:_MOST_ADDRESSES], change.allowed_ips[_MOST_ADDRESSES:]
    yield _peer(change._replace(allowed_ips=first))
    if rest:
        yield from _parts(Change(change.key, UPDATE, rest))


def _peer(change: Change) -> bytes:
    parts = [attribute(_PEER_KEY, _key(change.key))]
    if change.endpoint:
        parts.append(attribute(_PEER_ENDPOINT, _sockaddr(change.endpoint)))
    if change.keepalive is not None:
        parts.append(attribute(_PEER_KEEPALIVE, _packed(_U16, change.keepalive)))
    parts.append(attribute(_PEER_FLAGS, _U32.pack(change.flags)))
    if change.allowed_ips:
        parts.append(nest(_PEER_ALLOWED, *map(_allowed_ip, change.allowed_ips)))
    return nest(0, *parts)


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed("a key is not base64") from error
    if len(key) != _KEY_BYTES:
        raise Malformed(f"a key has {len(key)} bytes")
    return key


def _packed(form: struct.Struct, number: int) -> bytes:
    try:
        return form.pack(number)
    except struct.error as error:
        raise Malformed(f"{number} is out of range") from error


def _allowed_ip(text: str) -> bytes:
    address, _, prefix = text.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        packed, length = socket.inet_pton(family, address), int(prefix)
    except (OSError, ValueError) as error:
        raise Malformed(f"{text} is no network") from error
    return nest(
        0,
        attribute(_IP_FAMILY, _U16.pack(family)),
        attribute(_IP_ADDRESS, packed),
        attribute(_IP_PREFIX, _packed(_U8, length)),
    )


def _sockaddr(text: str) -> bytes:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        packed_port = _PORT.pack(int(port))
        if address.version == 4:  # noqa: PLR2004 -- IP version 4
            return _U16.pack(socket.AF_INET) + packed_port + address.packed + bytes(8)
        scope = _SCOPE.pack(int(address.scope_id or 0))
    except (ValueError, struct.error) as error:
        raise Malformed(f"{text} is no endpoint") from error
    return _U16.pack(socket.AF_INET6) + packed_port + bytes(4) + address.packed + scope


# --- decoding


@dataclass
class Reading:
    """What the answers to one request have told so far: give each to `take`, in order."""

    private_key: str = ""
    listen_port: int = 0
    peers: dict[str, Peer] = field(default_factory=dict)

    def take(self, answer: bytes) -> None:
        """Take over an answer. A peer that did not fit into one goes on in the next.

        Raises:
            Malformed: It is none.
        """
        for kind, at, end in attributes(answer, 0, len(answer)):
            if kind == _PEERS:
                for _, begin, finish in attributes(answer, at, end):
                    self._add(_read_peer(answer, begin, finish))
            elif kind == _PRIVATE_KEY:
                self.private_key = _read_key(answer, at, end)
            elif kind == _LISTEN_PORT:
                self.listen_port = _read(_U16, answer, at, end)

    def _add(self, peer: Peer) -> None:
        begun = self.peers.get(peer.public_key)
        if begun is not None:
            peer = msgspec.structs.replace(begun, allowed_ips=begun.allowed_ips | peer.allowed_ips)
        self.peers[peer.public_key] = peer


def _read_peer(data: bytes, at: int, end: int) -> Peer:
    key, endpoint, allowed = "", "", []
    handshake = received = sent = keepalive = 0
    for kind, begin, finish in attributes(data, at, end):
        if kind == _PEER_KEY:
            key = _read_key(data, begin, finish)
        elif kind == _PEER_ALLOWED:
            allowed = [_read_ip(data, b, f) for _, b, f in attributes(data, begin, finish)]
        elif kind == _PEER_ENDPOINT:
            endpoint = _read_sockaddr(data, begin, finish)
        elif kind == _PEER_HANDSHAKE:
            handshake = _read(_TIME, data, begin, finish)
        elif kind == _PEER_RECEIVED:
            received = _read(_U64, data, begin, finish)
        elif kind == _PEER_SENT:
            sent = _read(_U64, data, begin, finish)
        elif kind == _PEER_KEEPALIVE:
            keepalive = _read(_U16, data, begin, finish)
    if not key:
        raise Malformed("a peer has no key")
    return Peer(key, frozenset(allowed), endpoint, handshake, received, sent, keepalive)


def _read(form: struct.Struct, data: bytes, at: int, end: int) -> Any:
    if end - at != form.size:
        raise Malformed(f"a number has {end - at} bytes, not {form.size}")
    return form.unpack_from(data, at)[0]


def _read_key(data: bytes, at: int, end: int) -> str:
    if end - at != _KEY_BYTES:
        raise Malformed(f"a key has {end - at} bytes")
    return base64.b64encode(data[at:end]).decode("ascii")


def _read_ip(data: bytes, at: int, end: int) -> str:
    family = prefix = 0
    address = b""
    for kind, begin, finish in attributes(data, at, end):
        if kind == _IP_FAMILY:
            family = _read(_U16, data, begin, finish)
        elif kind == _IP_ADDRESS:
            address = data[begin:finish]
        elif kind == _IP_PREFIX:
            prefix = _read(_U8, data, begin, finish)
    if _ADDRESS_BYTES.get(family) != len(address) or prefix > 8 * len(address):
        raise Malformed(f"/{prefix} of {len(address)} bytes is no network of family {family}")
    return f"{socket.inet_ntop(family, address)}/{prefix}"


def _read_sockaddr(data: bytes, at: int, end: int) -> str:
    family = _U16.unpack_from(data, at)[0] if end - at >= _U16.size else 0
    if (family, end - at) == (socket.AF_INET, _ENDPOINT4):
        address = socket.inet_ntop(socket.AF_INET, data[at + 4 : at + 8])
        return f"{address}:{_PORT.unpack_from(data, at + 2)[0]}"
    if (family, end - at) == (socket.AF_INET6, _ENDPOINT6):
        address = socket.inet_ntop(socket.AF_INET6, data[at + 8 : at + 24])
        scope = _SCOPE.unpack_from(data, at + 24)[0]
        zone = f"%{scope}" if scope else ""
        return f"[{address}{zone}]:{_PORT.unpack_from(data, at + 2)[0]}"
    raise Malformed(f"an endpoint of family {family} has {end - at} bytes")
