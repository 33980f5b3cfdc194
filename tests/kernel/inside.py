"""What only a kernel with WireGuard can show. Runs in the virtual machine, see tests/kernel/vm.py.

Both back ends are here: wireguard-go is the customers' side of every tunnel, and the gateway's
where a test says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage.agent import backend
from ferriage.agent.backend import Choice, Link, links
from ferriage.agent.errors import DataPlaneError
from netns import Namespace
from support import eventually
from tunnel_world import INTERNET4, INTERNET6, build, make_backend, private_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.agent.backend import Backend, Peer
    from tunnel_world import Client, World

NOBODY = 65534
MOMENT = 2.0
"""Seconds, of a machine that is emulated; a client alone would try again after five or fifteen."""


def test_kernel_is_chosen_here() -> None:
    assert backend.decide("") == Choice("kernel", "")


def test_without_the_right_to_it_the_kernel_is_not_chosen() -> None:
    code = "from ferriage.agent import backend; print(backend.decide('').reason)"
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(backend.__file__).parents[3])},
    )

    assert done.stdout == "the kernel's WireGuard may not be used: Operation not permitted\n"


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace("k")
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("before", "after"), [("userspace", "kernel"), ("kernel", "userspace")])
def test_link_of_the_other_back_end_is_replaced(
    space: Namespace, before: str, after: str, capfd: pytest.CaptureFixture[str]
) -> None:
    link = Link(f"k{os.getpid()}{before[0]}", private_key(), 51820, ("10.64.0.1/16",), 1420)
    kinds = {"kernel": links.KERNEL, "userspace": links.USERSPACE}
    old, new = make_backend(before), make_backend(after)
    with space.entered():
        old.ensure(link)
        old.apply(link.name, remove=(), add={private_key(): ("10.64.0.2/32",)})
        assert links.kind(link.name) == kinds[before]

        made = [new.ensure(link), new.ensure(link)]

        assert made == [True, False]
        assert links.kind(link.name) == kinds[after]
        assert new.peers(link.name) == {}
        new.drop(link.name)
    assert capfd.readouterr().out.count("interface.replaced") == 1
    for child in getattr(old, "_children", []) + getattr(new, "_children", []):
        child.wait(10)


def test_peers_are_whole_or_refused_while_others_change_them(space: Namespace) -> None:
    link = Link(f"k{os.getpid()}c", private_key(), 51820, (), 1420)
    kept = {private_key(): (f"10.64.1.{n}/32", f"fd64::1:{n}/128") for n in range(200)}
    passing = {private_key(): (f"10.64.2.{n}/32",) for n in range(20)}
    taken = make_backend("kernel")
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            taken.apply(link.name, remove=(), add=passing)
            taken.apply(link.name, remove=passing, add={})

    with space.entered():
        taken.ensure(link)
        taken.apply(link.name, remove=(), add=kept)
        changing = space.thread(change)
        try:
            readings = [_read(taken, link.name) for _ in range(20)]
        finally:
            stop.set()
            changing.join()
    whole = {key: frozenset(ips) for key, ips in kept.items()}
    told = [peers for peers in readings if isinstance(peers, dict)]
    assert [{key: peers[key].allowed_ips for key in kept} for peers in told] == [whole] * len(told)
    refusals = {said for said in readings if isinstance(said, str)}
    assert refusals <= {f"{link.name} cannot be read: somebody keeps changing its peers."}


def _read(taken: Backend, name: str) -> dict[str, Peer] | str:
    """Return the peers, or what the back end says that could not read them whole."""
    try:
        return taken.peers(name)
    except DataPlaneError as error:
        return str(error)


# --- tunnels with the agent, its rules and a site


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build(tmp_path)
    try:
        yield built
    finally:
        built.close()


@pytest.fixture
def memory(world: World) -> Iterator[Path]:
    """A run directory on tmpfs, where endpoints may be kept."""
    path = Path("/dev/shm") / f"fer-{os.getpid()}"  # noqa: S108 -- tmpfs is the point
    text = world.config_path.read_text()
    world.config_path.write_text(text.replace(f"{world.directory}/run", str(path)))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _pings(client: Client, target: str = INTERNET4) -> bool:
    return client.ping(target, wait=1) == 1


def _link(world: World) -> str:
    return world.gateway.run("ip", "-d", "-o", "link", "show", "dev", world.interface)


def _set_backend(world: World, kind: str) -> None:
    text = world.config_path.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("backend")]
    world.config_path.write_text("\n".join([*lines, f'backend = "{kind}"', ""]))


def _reported(world: World, kind: str) -> None:
    seen = len(world.site.reports)
    eventually(
        lambda: len(world.site.reports) > seen + 1 and world.site.reports[-1].backend == kind,
        within=10,
    )


def test_tunnel_through_the_kernel_is_open_counted_held_and_mended(world: World) -> None:
    _set_backend(world, "")
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()

    eventually(lambda: _pings(alice) and _pings(bob) and _pings(alice, INTERNET6), within=10)
    assert alice.get(INTERNET4, within=20).endswith(b"internet")
    assert " wireguard " in _link(world)
    _reported(world, "kernel")
    eventually(lambda: world.site.reports[-1].usage[-1].bytes_up > 0, within=10)

    world.gateway.run("ip", "link", "delete", "dev", world.interface)
    eventually(lambda: _pings(alice), within=20)

    world.site.put(msgspec.structs.replace(alice.record, hold_at=int(world.site.now()) - 60))
    world.applied()
    eventually(lambda: not _pings(alice), within=10)
    assert _pings(bob)


def test_live_customer_goes_on_when_the_host_changes_its_back_end(
    world: World, memory: Path
) -> None:
    _set_backend(world, "userspace")
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    eventually(lambda: _pings(alice), within=10)
    _reported(world, "userspace")

    for number, (kind, sign) in enumerate([("kernel", " wireguard "), ("userspace", " tun ")]):
        eventually(lambda: "198.51.100." in (memory / "endpoints.json").read_text(), within=20)
        world.kill_agent()
        _set_backend(world, kind)
        world.start_agent()
        eventually(lambda sign=sign: sign in _link(world), within=20)
        eventually(lambda n=number: world.log.count("peers.woken") > n, within=20)
        began = time.monotonic()
        eventually(lambda: _pings(alice), within=20)
        assert time.monotonic() - began < MOMENT * 2
        _reported(world, kind)

    assert world.log.count("interface.replaced") == 2
