"""A plan's speed or quota is changed while a download runs: it goes on in a moment."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage import wire
from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    import socket

    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

SLOW, FAST = 4_000_000, 16_000_000
BETWEEN = (SLOW + FAST) / 2
BURST = 131_072


def _received(download: socket.socket, seconds: float) -> float:
    """Read for so long; return the bits a second."""
    began, count = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        part = download.recv(65_536)
        assert part, "the connection was closed"
        count += len(part)
    return count * 8 / (time.monotonic() - began)


def _settled(download: socket.socket) -> float:
    """Read past what nft lets through at once of a new limit; return the bits a second then."""
    _received(download, 2.5)
    return _received(download, 1.5)


def _until(download: socket.socket, above: float) -> float:
    """Read until it is faster than that; return how many seconds that took."""
    began = time.monotonic()
    while _received(download, 0.2) < above:
        assert time.monotonic() < began + 10
    return time.monotonic() - began


def _download(client: Client, size: int) -> socket.socket:
    download = client.connect(INTERNET4, 8080, within=10)
    download.sendall(f"GET /{size} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return download


def test_download_goes_on_at_the_new_speed_in_a_moment(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client(rate_down_bps=SLOW, burst_bytes=BURST)
    world.applied()

    with _download(alice, 200_000_000) as download:
        slow = _settled(download)
        shaken = alice.latest_handshake()
        world.site.put(msgspec.structs.replace(alice.record, rate_down_bps=FAST))
        taken = _until(download, BETWEEN)
        fast = _settled(download)
        world.site.put(alice.record)
        world.applied()
        again = _settled(download)

    # It takes half a second; a machine that is busy otherwise delivers late, but never too much.
    assert taken < 2
    assert (slow, again) == pytest.approx((SLOW, SLOW), rel=0.5)
    assert BETWEEN < fast < FAST * 1.2
    assert alice.latest_handshake() == shaken


def test_download_goes_on_where_its_quota_grows_in_time(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, until = _with_quota(world, 12_000_000)
    world.applied()

    with _download(alice, 20_000_000) as download:
        count = len(download.recv(65_536))
        shaken = alice.latest_handshake()
        _grow(world, alice, 60_000_000, until)
        while count < 20_000_000:
            part = download.recv(65_536)
            assert part, "the connection was closed"
            count += len(part)

    eventually(lambda: world.site.bytes_of(alice.record.id) > 20_000_000, within=10)
    assert alice.latest_handshake() == shaken


def test_tunnel_outlives_its_quota_and_serves_again_with_a_larger_one(world: World) -> None:
    """What is sent while the device is held is refused at once, so a download may end then."""
    world.permit()
    world.start_agent()
    alice, until = _with_quota(world, 6_000_000)
    world.applied()

    with _download(alice, 20_000_000) as download:
        count = _read_until_still(download)
        shaken = alice.latest_handshake()
    assert count < 6_000_000 + FAST // 8  # a second more at most
    _grow(world, alice, 60_000_000, until)
    eventually(lambda: alice.ping(INTERNET4, wait=0.5) == 1, within=10)

    with _download(alice, 1_000_000) as again:
        assert _read_until_still(again) > 1_000_000  # with its heads
    assert alice.latest_handshake() == shaken


def _with_quota(world: World, count: int) -> tuple[Client, int]:
    until = int(world.site.now() + 3600)
    quota = wire.Quota(bytes=count, resets_at=until)
    alice = world.client(rate_down_bps=FAST, burst_bytes=BURST, quota=quota)
    world.site.quotas[alice.record.id] = count
    return alice, until


def _grow(world: World, client: Client, count: int, until: int) -> None:
    world.site.quotas[client.record.id] = count
    more = wire.Quota(bytes=count, resets_at=until)
    world.site.put(msgspec.structs.replace(client.record, quota=more))


def _read_until_still(download: socket.socket) -> int:
    """Read until nothing comes for a second, or no more; return how many bytes came."""
    download.settimeout(1)
    count = 0
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := download.recv(65_536):
            count += len(part)
    return count
