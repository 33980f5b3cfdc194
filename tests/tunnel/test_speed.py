"""A device gets the speed of its plan, with a full gateway's slots loaded, and a new one mid-flow.

What is counted is whole IP packets that come out of the customer's tunnel, sent from the internet
faster than the plan allows. nft lets a second's worth and the burst through before it limits, after
every change of the limit; what comes until these are used up is not judged.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from statistics import mean
from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    from tunnel_world import Client, World

pytestmark = [pytest.mark.tunnel, pytest.mark.long]

SLOTS = 50_000
PORT = 5001
PACKET = 1200
HEAD = 28
STEP = 0.1
STAMPS = 35  # SO_TIMESTAMPNS
_SEND = """
import select, socket, sys, time
listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
listening.bind((sys.argv[1], int(sys.argv[2])))
pause, seconds = float(sys.argv[3]), float(sys.argv[4])
_, whom = listening.recvfrom(100)
began, sent = time.monotonic(), 0
while (passed := time.monotonic() - began) < seconds:
    for _ in range(min(64, int(passed / pause) - sent)):
        listening.sendto(b"x" * {size}, whom)
        sent += 1
    if select.select([listening], [], [], 0.001)[0]:
        break  # the receiver has seen enough
"""
_RECEIVE = """
import json, socket, struct, sys, time
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
# The kernel's own instant of each packet: this program may be late to look.
asking.setsockopt(socket.SOL_SOCKET, {stamps}, 1)
asking.settimeout(1)
began, seconds = time.time(), float(sys.argv[3])
asking.sendto(b"begin", (sys.argv[1], int(sys.argv[2])))
counts = [0] * round(seconds / {step})
while time.time() < began + seconds + 1:
    try:
        data, about, _, _ = asking.recvmsg(2000, 64)
    except TimeoutError:
        continue
    whole, part = struct.unpack("ll", about[0][2])
    at = int((whole + part / 1e9 - began) / {step})
    if at < len(counts):
        counts[at] += len(data) + {head}
asking.sendto(b"end", (sys.argv[1], int(sys.argv[2])))
print(json.dumps(counts))
"""


def received(world: World, client: Client, *, offered_bps: float, seconds: float) -> list[float]:
    """Return the bits per second that came through in each tenth of a second."""
    pause = (PACKET + HEAD) * 8 / offered_bps
    send = _SEND.format(size=PACKET)
    sender = world.internet.start(
        sys.executable, "-c", send, INTERNET4, str(PORT), str(pause), str(seconds + 1)
    )
    # It must listen before it is asked.
    eventually(lambda: f":{PORT} " in world.internet.run("ss", "-lun"), within=10)
    printed = client.space.run(
        *(sys.executable, "-c", _RECEIVE.format(step=STEP, head=HEAD, stamps=STAMPS)),
        *(INTERNET4, str(PORT), str(seconds)),
        within=seconds + 20,
    )
    sender.wait(20)
    return [count * 8 / STEP for count in json.loads(printed)]


@pytest.fixture
def full(world: World) -> World:
    """A running gateway with so many slots loaded."""
    world.permit()
    ends = world.site.now() + 86400
    world.site.put(
        *(
            feed.device(
                number,
                public_key=base64.b64encode(os.urandom(32)).decode(),
                hold_at=ends,
                rate_down_bps=1_000_000 + 8000 * (number % 1000),
            )
            for number in range(100, 100 + SLOTS)
        )
    )
    world.start_agent()
    eventually(
        lambda: world.site.reports and world.site.reports[-1].pools[0].peers == SLOTS,
        within=240,
        every=0.5,
    )
    return world


def _live(world: World, client: Client) -> None:
    try:
        eventually(lambda: client.ping(INTERNET4), within=60, every=0.5)
    except AssertionError as error:
        error.add_note(world.log[-4000:])
        raise


def burst(rate: int) -> int:
    """Return what the site gives a plan of this speed."""
    return max(rate // 8 // 10, 128 * 1024)


def test_speed_is_the_plans_within_three_in_a_hundred(full: World) -> None:
    free = full.client(rate_down_bps=10_000_000_000, burst_bytes=burst(10_000_000_000))
    _live(full, free)
    found = {}
    for rate in (1_000_000, 10_000_000, 50_000_000, 200_000_000):
        client = full.client(rate_down_bps=rate, burst_bytes=burst(rate))
        _live(full, client)
        got = mean(received(full, client, offered_bps=1.3 * rate, seconds=14)[80:])
        # A machine that cannot carry so much has nothing to limit.
        carried = mean(received(full, free, offered_bps=1.3 * rate, seconds=3)[5:])
        least = 0.97 * rate if carried > 1.1 * rate else 0.8 * min(rate, carried)
        if not least <= got <= 1.03 * rate:
            found[rate] = (got, carried)

    assert found == {}


def test_new_speed_is_there_within_a_second_and_the_flow_goes_on(full: World) -> None:
    slow, fast = 4_000_000, 12_000_000
    client = full.client(rate_down_bps=slow, burst_bytes=burst(slow))
    _live(full, client)
    handshake = client.latest_handshake()
    changed: list[float] = []

    def change() -> None:
        changed.append(time.time())
        full.site.put(
            msgspec.structs.replace(client.record, rate_down_bps=fast, burst_bytes=burst(fast))
        )

    began = time.time()
    timer = threading.Timer(6, change)
    timer.start()
    flow = received(full, client, offered_bps=1.5 * fast, seconds=14)
    timer.join()

    at = int((changed[0] - began) / STEP)
    assert 0.97 < mean(flow[at - 25 : at - 1]) / slow < 1.03
    assert mean(flow[at + 10 : at + 20]) > 0.97 * fast
    assert 0.97 < mean(flow[at + 35 : at + 70]) / fast < 1.03
    assert min(flow[5:]) > 0
    assert client.latest_handshake() == handshake
