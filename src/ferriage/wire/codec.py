"""Canonical bytes of structures, checks of records, and digests of sets."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from ferriage.wire.records import FASTEST_BPS, MOST_ROUTES, WIDEST_ROUTE, Device, Item, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

DIGEST_ZERO: Final = "0" * 64
"""The digest of no device at all."""
_MODULUS: Final = 1 << 256
_SLOWEST_BPS: Final = 8
"""One byte a second."""

_ENCODER = msgspec.json.Encoder()
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises at bytes that are no message; the last at brackets in thousands."""


def encode(value: msgspec.Struct) -> bytes:
    """Return the canonical JSON of a structure: fields in declared order, no spaces."""
    return _ENCODER.encode(value)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Decode one structure strictly.

    Raises:
        WireError: Not JSON, a missing or unknown field, or a value of the wrong type.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except _UNREADABLE as error:
        raise WireError(f"not a {getattr(kind, '__name__', kind)}: {error}") from error


_ITEM: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)


def decode_item(data: bytes | str) -> Item:
    """Decode one item line; an unknown kind is refused, never passed over."""
    try:
        return _ITEM.decode(data)
    except _UNREADABLE as error:
        raise WireError(f"not an item: {error}") from error


def check_device(device: Device) -> None:
    """Refuse a device record that no gateway could apply.

    Raises:
        WireError: Bad key, address, slot or negative limit; the message names the field.
    """
    try:
        if len(base64.b64decode(device.public_key, validate=True)) != 32:  # noqa: PLR2004 -- X25519
            raise WireError("public_key is not 32 bytes")
    except binascii.Error as error:
        raise WireError("public_key is not base64") from error
    _check_addresses(device)
    if not 0 < device.slot < 1 << 32:
        raise WireError("slot is not within 1 … 2^32-1")
    _check_limits(device)
    if not 0 <= device.hold_at <= device.remove_at:
        raise WireError("hold_at lies after remove_at")
    if device.quota is not None and min(device.quota.bytes, device.quota.resets_at) < 0:
        raise WireError("quota is negative")
    check_routes(device.routes)


def _check_addresses(device: Device) -> None:
    try:
        ipaddress.IPv4Address(device.ip4)
        zone = ipaddress.IPv6Address(device.ip6).scope_id
    except ValueError as error:
        raise WireError(f"inner address: {error}") from error
    if zone is not None:
        raise WireError("inner address: with a zone it is no address of a device")


def _check_limits(device: Device) -> None:
    """Refuse limits that the kernel would not take: one of them would hold up all the others."""
    if min(device.rate_down_bps, device.rate_up_bps) < _SLOWEST_BPS or device.burst_bytes <= 0:
        raise WireError("rates and burst must be positive")
    if max(device.rate_down_bps, device.rate_up_bps) > FASTEST_BPS:
        raise WireError("a rate is above 100 Gbit/s")
    if device.burst_bytes >= 1 << 32:
        raise WireError("burst is 4 GiB or more")


def check_routes(routes: Sequence[str]) -> None:
    """Refuse inner networks that no gateway could let through.

    Raises:
        WireError: More than 16, one twice, one inside another, or as `inner_network`.
    """
    if len(routes) > MOST_ROUTES:
        raise WireError(f"routes: more than {MOST_ROUTES}")
    networks = [inner_network(text) for text in routes]
    for number, network in enumerate(networks):
        if any(_overlap(network, other) for other in networks[:number]):
            raise WireError(f"routes: {network} overlaps another one")


def inner_network(text: str) -> IPv4Network | IPv6Network:
    """Return an inner network as it is written in records.

    Raises:
        WireError: Not a network, with host bits set, in another spelling, so wide that it could
            stand for the internet, or of a range that lies in no network of anybody's own.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise WireError(f"routes: {error}") from error
    if str(network) != text:
        raise WireError(f"routes: {text} is written {network}")
    if network.prefixlen < WIDEST_ROUTE[network.version]:
        raise WireError(f"routes: {text} is too wide for an inner network")
    if any(_overlap(network, ipaddress.ip_network(other)) for other in _NOBODYS):
        raise WireError(f"routes: {text} is no network of anybody's own")
    return network


_NOBODYS: Final = (
    *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"),
    *("fe80::/10", "fec0::/10", "ff00::/8"),
)
"""This host, this link, many hosts at once, and addresses that stand for others."""


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


# --- digest -----------------------------------------------------------------------------------


def record_hash(device: Device) -> int:
    """Return the device's share of a pool's digest."""
    return int.from_bytes(hashlib.sha256(encode(device)).digest(), "big")


def digest_add(digest: str, device: Device) -> str:
    """Return the digest (64 hex digits) of a set once the device joined it."""
    return f"{(int(digest, 16) + record_hash(device)) % _MODULUS:064x}"


def digest_remove(digest: str, device: Device) -> str:
    """Return the digest of a set once the device left it."""
    return f"{(int(digest, 16) - record_hash(device)) % _MODULUS:064x}"
