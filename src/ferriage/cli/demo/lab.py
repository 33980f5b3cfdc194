"""The demo's machines.

    this machine (shop, hub, worker)        internet: web and DNS of the world
      192.0.2.1 ──┐                           203.0.113.9, 2001:db8:2::9
                  │                             │
                  └── gateway ──────────────────┘
                        │ 198.51.100.1
                        │
                      client 198.51.100.2, with no route to anywhere

The client reaches nothing but the gateway's own address, so a packet that gets to `internet`
went through the tunnel. All addresses are set aside for documentation (peers may not reach
private ranges); where this machine uses one of the three networks itself, they swap.
"""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ferriage.agent.system import unconfined
from ferriage.cli.demo import spaces
from ferriage.cli.demo.spaces import Space
from ferriage.cli.demo.telling import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT: Final = 51820
NAME: Final = "news.example"
BODY: Final = b"Hello from the other side of the tunnel.\n"
WORLD6: Final = "2001:db8:2::9"
_NETWORKS: Final = ("192.0.2", "198.51.100", "203.0.113")

_DNS: Final = """\
server:
    interface: {world}
    access-control: 0.0.0.0/0 allow
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    module-config: "iterator"
    local-zone: "." static
    local-data: ". NS {name}."
    local-data: "{name}. A {world}"
    local-data: "{name}. AAAA {world6}"
remote-control:
    control-enable: no
"""


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Say nothing: what customers fetch is nobody's business, in a demo either."""


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


@dataclass(frozen=True)
class Addresses:
    """Where things are: the shop as gateways see it, the gateway's tunnels, a host of the world."""

    shop: str
    endpoint: str
    world: str


def choose(routes: str) -> Addresses:
    """Choose networks; what this machine gets must not touch a route of its own.

    Several demos may run at once: each takes another four addresses.

    Args:
        routes: What `ip -4 route show table all` prints.

    Raises:
        StepFailed: Its own routes leave no room.
    """
    taken = list(_networks(routes))
    for prefix in _NETWORKS:
        for part in ipaddress.IPv4Network(f"{prefix}.0/24").subnets(new_prefix=30):
            if not any(part.overlaps(network) for network in taken):
                others = [other for other in _NETWORKS if other != prefix]
                return Addresses(str(part[1]), f"{others[0]}.1", f"{others[1]}.9")
    raise StepFailed(f"This machine has routes to all of {', '.join(_NETWORKS)} itself.")


def _networks(routes: str) -> Iterator[ipaddress.IPv4Network]:
    for word in routes.split():
        with contextlib.suppress(ValueError):
            yield ipaddress.IPv4Network(word)


@dataclass
class Lab:
    """Machines, programs and interfaces of one demo; `close` leaves nothing of them."""

    directory: Path
    gateway: Space
    client: Space
    internet: Space
    at: Addresses
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    servers: list[http.server.ThreadingHTTPServer] = field(default_factory=list)

    @property
    def tunnel(self) -> str:
        """The client's tunnel interface."""
        return f"fd{os.getpid()}c"

    @property
    def prefix(self) -> str:
        """What the gateway's tunnel interfaces begin with."""
        return f"fd{os.getpid()}g"

    def ferriage(self, *arguments: str, config: Path, within: float = 60) -> str:
        """Run the `ferriage` command on the gateway to its end."""
        return self.gateway.run(
            sys.executable, "-m", "ferriage", "--config", str(config), *arguments, within=within
        )

    def start_on_gateway(self, *arguments: str, config: Path, log: Path) -> None:
        """Start a process of the `ferriage` command on the gateway."""
        command = (sys.executable, "-m", "ferriage", "--config", str(config), *arguments)
        self.programs.append(self.gateway.start(*command, log=log))

    def start_here(self, *arguments: str, config: Path, log: Path) -> subprocess.Popen[bytes]:
        """Start a process of the `ferriage` command on this machine."""
        command = (sys.executable, "-m", "ferriage", "--config", str(config), *arguments)
        program = spaces.start(*command, log=log)
        self.programs.append(program)
        return program

    def close(self) -> None:
        """End every program by its id, then remove machines and sockets."""
        with contextlib.ExitStack() as stack:
            stack.callback(spaces.remove_sockets, f"fd{os.getpid()}")
            for space in (self.gateway, self.client, self.internet):
                stack.callback(space.close)
            for server in self.servers:
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
            for program in self.programs:
                stack.callback(_end, program)


def _end(program: subprocess.Popen[bytes]) -> None:
    if program.poll() is None:
        program.send_signal(signal.SIGTERM)
    try:
        program.wait(15)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def build(directory: Path) -> Lab:
    """Make the machines, lay the cables, and start what the internet serves."""
    at = choose(spaces.call("ip", "-4", "route", "show", "table", "all"))
    with contextlib.ExitStack() as undo:
        made = []
        for label in ("gateway", "client", "internet"):
            made.append(Space(label))
            undo.callback(made[-1].close)
        undo.pop_all()
    gateway, client, internet = made
    lab = Lab(directory, gateway, client, internet, at)
    try:
        _cable(lab)
        _serve(lab)
    except BaseException:
        lab.close()
        raise
    return lab


def _cable(lab: Lab) -> None:
    here = f"fd{os.getpid()}s"
    spaces.join_host(lab.gateway, names=(here, "shop"))
    spaces.call("ip", "address", "add", f"{lab.at.shop}/30", "dev", here)
    lab.gateway.address("shop", f"{_neighbour(lab.at.shop)}/30")
    spaces.join(lab.gateway, lab.internet, names=("wan", "world"))
    lab.gateway.address("wan", f"{lab.at.world.rpartition('.')[0]}.1/24", "2001:db8:2::1/64")
    lab.internet.address("world", f"{lab.at.world}/24", f"{WORLD6}/64")
    lab.gateway.run("ip", "route", "add", "default", "via", lab.at.world)
    lab.gateway.run("ip", "-6", "route", "add", "default", "via", WORLD6)
    spaces.join(lab.gateway, lab.client, names=("customers", "out"))
    lab.gateway.address("customers", f"{lab.at.endpoint}/30")
    lab.client.address("out", f"{_neighbour(lab.at.endpoint)}/30")


def _neighbour(address: str) -> str:
    return str(ipaddress.IPv4Address(address) + 1)


def _serve(lab: Lab) -> None:
    for port in (80, 443):
        with lab.internet.entered():
            server = _Server(("::", port), _Page)
        lab.servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    settings = lab.directory / "world-dns.conf"
    text = _DNS.format(directory=lab.directory, name=NAME, world=lab.at.world, world6=WORLD6)
    settings.write_text(text, encoding="ascii")
    command = unconfined("unbound", "-d", "-c", str(settings))
    lab.programs.append(lab.internet.start(*command, log=lab.directory / "world-dns.log"))
