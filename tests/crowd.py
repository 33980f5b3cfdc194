"""Many customers behind one cable: each a wireguard-go with a key and a flow of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import feed
from ferriage.agent import identity
from netns import Namespace, address, join
from support import eventually
from tunnel_world import INTERNET4, private_key

if TYPE_CHECKING:
    from ferriage import wire
    from tunnel_world import World

NEAR, FAR = "198.51.100.1", "198.51.100.2"


@dataclass
class Tunnel:
    """One customer: its interface in the crowd's namespace, its key, what the shop wrote of it."""

    interface: str
    key: str
    record: wire.Device


@dataclass
class Crowd:
    """All tunnels, and the namespace that they are in."""

    world: World
    space: Namespace
    tunnels: list[Tunnel] = field(default_factory=list)

    def add(self, number: int) -> Tunnel:
        """Start one more; its record is not in the feed yet."""
        key = private_key()
        record = feed.device(
            number,
            public_key=identity.wireguard_public(key),
            hold_at=self.world.site.now() + 3600,
        )
        interface = f"x{os.getpid()}n{number}"
        self.space.start("wireguard-go", "--foreground", interface)
        eventually(lambda: Path(f"/var/run/wireguard/{interface}.sock").exists(), within=20)
        tunnel = Tunnel(interface, key, record)
        self.tunnels.append(tunnel)
        self.rekey(tunnel, key)
        address(self.space, interface, f"{record.ip4}/32")
        self.space.run("ip", "link", "set", interface, "addrgenmode", "none")
        self.space.run("ip", "link", "set", interface, "mtu", "1280", "up")
        # Sockets are bound to their interface; a metric of its own lets each have a way out.
        route = ("ip", "route", "add", f"{INTERNET4}/32", "dev", interface)
        self.space.run(*route, "src", record.ip4, "metric", str(number))
        return tunnel

    def rekey(self, tunnel: Tunnel, key: str) -> None:
        """Let a tunnel go on with another key."""
        file = self.world.directory / "crowd.key"
        file.write_text(key)
        tunnel.key = key
        self.space.run(
            *("wg", "set", tunnel.interface, "private-key", str(file)),
            *("peer", self.world.site.wireguard_key, "allowed-ips", "0.0.0.0/0"),
            *("endpoint", f"{NEAR}:51820"),
        )

    def reconnect(self) -> None:
        """Let every tunnel forget its session, so that its next packet begins with a handshake."""
        peer = self.world.site.wireguard_key
        script = "".join(
            f"wg set {tunnel.interface} peer {peer} remove\n"
            f"wg set {tunnel.interface} peer {peer} allowed-ips 0.0.0.0/0 endpoint {NEAR}:51820\n"
            for tunnel in self.tunnels
        )
        self.space.run("sh", "-c", script)

    def close(self) -> None:
        for tunnel in self.tunnels:
            Path(f"/var/run/wireguard/{tunnel.interface}.sock").unlink(missing_ok=True)


def crowd_of(world: World, size: int) -> Crowd:
    """Lay the cable and start the tunnels."""
    space = Namespace("x")
    world.spaces.append(space)
    join(space, world.gateway, names=("out", "crowd"))
    address(space, "out", f"{FAR}/30")
    address(world.gateway, "crowd", f"{NEAR}/30")
    crowd = Crowd(world, space)
    for number in range(1, size + 1):
        crowd.add(number)
    return crowd


def changed(record: wire.Device, **values: object) -> wire.Device:
    """Return the next generation of a record."""
    return msgspec.structs.replace(record, generation=record.generation + 1, **values)
