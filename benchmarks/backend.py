"""What WireGuard costs the agent through a back end, and how that grows from 1,000 to 60,000 peers.

A real interface in a namespace of its own for each size; no packets. The machine is shared, so read
the ratios: beside each figure stands a bare write of the same peers in the same run, by a program
that has its bytes ready and looks at nothing but the last word of the answer.

    sudo .venv/bin/python benchmarks/backend.py                     wireguard-go
    sudo .venv/bin/python benchmarks/backend.py --backend kernel    the kernel's
    make test-kernel BENCH=1                                        the same, emulated: ratios only
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import sys
import time
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from ferriage.agent.backend import Backend, Link, choose, links, uapi, wgnl
from ferriage.agent.backend.userspace import SOCKETS
from ferriage.agent.netlink import Generic
from ferriage.config import AgentConfig
from ferriage.wire import new_private_key
from netns import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (1_000, 10_000, 60_000)
ROUNDS = 3
SINGLES = 100
AIMS = {
    "build from nothing": "",
    "build / bare write": "<= 1.5",
    "read all": "",
    "peers read per ms": "",
    "add one, median ms": "",
    "add one / bare write": "<= 1.5",
    "memory of this program (MB)": "<= 200",
    "pyroute2 reads all / we do": "",
}

type Peers = dict[str, tuple[str, ...]]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def some(first: int, count: int) -> Peers:
    """Return peers with keys of their own, numbered."""
    numbers = range(first, first + count)
    return {
        new_private_key(): (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32", f"fd64::{n + 1:x}/128")
        for n in numbers
    }


class BareUapi:
    """Writes ready text to wireguard-go's socket."""

    def __init__(self, name: str) -> None:
        self._path = str(SOCKETS / f"{name}.sock")

    def ready(self, peers: Peers) -> list[bytes]:
        """Return requests that add these peers."""
        lines = [uapi.addition(key, ips) for key, ips in peers.items()]
        return [f"set=1\n{''.join(part)}\n".encode() for part in batched(lines, links.CHUNK)]

    def write(self, requests: Sequence[bytes]) -> None:
        """Send them, one connection each, as wg(8) does."""
        for request in requests:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self._path)
                connection.sendall(request)
                assert connection.recv(64) == b"errno=0\n\n"


class BareNetlink:
    """Writes ready messages to the kernel, over one socket."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._netlink = Generic(wgnl.FAMILY, wgnl.VERSION)

    def ready(self, peers: Peers) -> list[bytes]:
        """Return requests that add these peers."""
        records = (wgnl.addition(key, ips) for key, ips in peers.items())
        return list(wgnl.requests(self._name, records))

    def write(self, requests: Sequence[bytes]) -> None:
        """Send them."""
        for request in requests:
            self._netlink.request(wgnl.SET, request)


def build(backend: Backend, link: Link, peers: Peers) -> None:
    """Make the interface's peers as the agent does after a reboot."""
    assert backend.apply(link.name, remove=(), add=peers) == {}


def measure(kind: str, peers: int) -> dict[str, float]:
    """Measure one size; to be run in a namespace of its own."""
    backend = choose(AgentConfig(backend=kind))
    first, link = (
        Link(f"b{os.getpid()}{part}", new_private_key(), port, (), 1420)
        for part, port in (("x", 51820), ("y", 51821))
    )
    wanted = some(0, peers)
    bare = BareUapi if kind == "userspace" else BareNetlink
    backend.ensure(first)
    one = bare(first.name)
    ready = one.ready(wanted)
    bare_build = timed(lambda: one.write(ready))
    backend.drop(first.name)
    backend.ensure(link)
    built = timed(lambda: build(backend, link, wanted))
    read = min(timed(lambda: backend.peers(link.name)) for _ in range(ROUNDS))
    assert len(backend.peers(link.name)) == peers
    ours, theirs = singles(backend, link, bare(link.name), peers)
    figures = {
        "build from nothing": built,
        "build / bare write": built / bare_build,
        "read all": read,
        "peers read per ms": peers / read / 1000,
        "add one, median ms": ours * 1000,
        "add one / bare write": ours / theirs,
        "memory of this program (MB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if kind == "kernel":
        figures["pyroute2 reads all / we do"] = timed(lambda: read_by_pyroute2(link.name)) / read
    backend.drop(link.name)
    return figures


def read_by_pyroute2(name: str) -> None:
    """Read all peers by the library that we do not use."""
    from pyroute2 import WireGuard

    with WireGuard() as wireguard:
        for message in wireguard.info(name):
            message.get_attr("WGDEVICE_A_PEERS")


def singles(
    backend: Backend, link: Link, bare: BareUapi | BareNetlink, peers: int
) -> tuple[float, float]:
    """Return the median seconds of adding one peer, by the back end and bare, in turn."""
    ours, theirs = [], []
    for number in range(SINGLES):
        one, other = some(peers + 2 * number, 1), some(peers + 2 * number + 1, 1)
        ours.append(timed(lambda one=one: build(backend, link, one)))
        ready = bare.ready(other)
        theirs.append(timed(lambda ready=ready: bare.write(ready)))
    return statistics.median(ours), statistics.median(theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("userspace", "kernel"), default="userspace")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.backend, given.measure)))
        return
    columns = []
    for peers in given.sizes:
        space = Namespace("bench")
        command = (sys.executable, __file__, "--backend", given.backend, "--measure", str(peers))
        try:
            printed = space.run(*command, within=600)
        finally:
            space.close()
        columns.append(json.loads(printed.splitlines()[-1]))
    print(f"{given.backend:<28}" + "".join(f"{peers:>10,}" for peers in given.sizes) + "   growth")
    for name, aim in AIMS.items():
        if name not in columns[0]:
            continue
        values = [column[name] for column in columns]
        row = "".join(f"{value:>10.3f}" for value in values)
        print(f"{name:<28}{row}{values[-1] / values[0]:>8.1f}x  {aim and 'aim ' + aim}")


if __name__ == "__main__":
    main()
