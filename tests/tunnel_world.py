"""A gateway with its customers, its site and an internet: see the drawing in tests/netns.py."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import re
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import feed
from ferriage import wire
from ferriage.agent import backend, identity
from ferriage.config import AgentConfig
from netns import Namespace, address, join
from support import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from ferriage.agent.backend import Backend

INTERNET4, INTERNET6 = "203.0.113.9", "2001:db8:2::9"
SITE4 = "192.0.2.10"
WEB_PORT, SHOP_PORT = 80, 8443
BODY = b"x" * 1000 + b"internet"

_numbers = itertools.count(1)
"""wireguard-go's sockets share one directory: no name is used twice."""

BACKEND = os.environ.get("FERRIAGE_TEST_BACKEND", "userspace")
"""Who does the gateway's WireGuard; the customers' is always wireguard-go."""

_RUN = """
import sys
from pathlib import Path
from ferriage import config
from ferriage.agent import {module}
sys.exit({module}.main(config.load(Path(sys.argv[1]), {{}})))
"""


def private_key() -> str:
    return identity._new_wireguard_key()


def make_backend(kind: str = BACKEND) -> Backend:
    """Return the back end under test, or the one named."""
    return backend.choose(AgentConfig(backend=kind))


@dataclass
class Client:
    """A customer's machine with real wireguard-go and the file a shop would give."""

    space: Namespace
    interface: str
    key: str
    record: wire.Device

    def ping(self, target: str, *, count: int = 1, wait: float = 1) -> int:
        """Return how many of the pings came back."""
        out = self.space.run(
            "ping", "-n", "-c", str(count), "-i", "0.05", "-W", str(wait), target, check=False
        )
        return int(out.split(" received")[0].split(", ")[-1]) if " received" in out else 0

    def get(self, host: str, port: int = WEB_PORT, *, within: float = 3, path: str = "/") -> bytes:
        """Return the raw answer to one plain http request."""
        with self.connect(host, port, within=within) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode()
            )
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def connect(self, host: str, port: int, *, within: float = 3) -> socket.socket:
        with self.space.entered():
            return socket.create_connection((host, port), within)

    def flood_dns(self, count: int) -> int:
        """Send so many queries at once and return how many were answered."""
        with self.space.entered():
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\1a\2xy\0" + struct.pack("!2H", 1, 1)
        answers = 0
        with asking, contextlib.suppress(TimeoutError):
            asking.settimeout(1)
            for _ in range(count):
                asking.sendto(query, ("10.64.0.1", 53))
            while asking.recv(1500):
                answers += 1
        return answers

    def lookup(self, name: str, *, server: str = "10.64.0.1") -> str:
        """Return the first IPv4 address that DNS gives for a name, or empty text."""
        with self.asking() as asking:
            return ask(asking, name, server=server)

    def asking(self) -> socket.socket:
        """Return a socket to ask DNS by; kept, it stays one connection to the gateway's rules."""
        with self.space.entered():
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.settimeout(3)
        return asking

    def lookup_by_tcp(self, name: str) -> str:
        """Return what `lookup` would, asked over TCP of any server in the world."""
        query = _query(name)
        with self.connect(INTERNET4, 53) as asking:
            asking.sendall(struct.pack("!H", len(query)) + query)
            return _address(query, asking.recv(1500)[2:])

    def reconnect(self) -> None:
        """Forget the session, so that the next packet begins with a handshake."""
        peer, _, endpoint, allowed = (
            self.space.run("wg", "show", self.interface, "dump").splitlines()[1].split("\t")[:4]
        )
        self.space.run("wg", "set", self.interface, "peer", peer, "remove")
        self.space.run(
            *("wg", "set", self.interface, "peer", peer),
            *("endpoint", endpoint, "allowed-ips", allowed),
        )

    def latest_handshake(self) -> int:
        out = self.space.run("wg", "show", self.interface, "latest-handshakes")
        return int(out.split()[1])


def ask(asking: socket.socket, name: str, *, server: str = "10.64.0.1") -> str:
    """Return the first IPv4 address that DNS gives for a name, or empty text."""
    query = _query(name)
    asking.sendto(query, (server, 53))
    return _address(query, asking.recv(1500))


def _query(name: str) -> bytes:
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + question + b"\0" + struct.pack("!2H", 1, 1)


def _address(query: bytes, answer: bytes) -> str:
    answers = struct.unpack("!H", answer[6:8])[0]
    return socket.inet_ntoa(answer[len(query) + 12 : len(query) + 16]) if answers else ""


@dataclass
class World:
    """Everything one test needs; made by `World.build`, ended by `close`."""

    directory: Path
    site: feed.Site
    gateway: Namespace
    internet: Namespace
    home: Namespace
    interface: str
    shop: wire.Shop
    clients: list[Client] = field(default_factory=list)
    spaces: list[Namespace] = field(default_factory=list)
    servers: list[_Server] = field(default_factory=list)
    agent: subprocess.Popen[bytes] | None = None

    @property
    def config_path(self) -> Path:
        return self.directory / "ferriage.toml"

    @property
    def log(self) -> str:
        path = self.directory / "agent.log"
        return path.read_text() if path.exists() else ""

    def start_site(self) -> None:
        self.home.thread(lambda: self.site.serve(SITE4, 8000))
        self.site.wait_started()

    def program(
        self, module: str, path: Path | None = None, *, log: str = ""
    ) -> subprocess.Popen[bytes]:
        return self.gateway.start(
            sys.executable,
            "-c",
            _RUN.format(module=module),
            str(path or self.config_path),
            output=self.directory / (log or f"{'agent' if module == 'run' else module}.log"),
        )

    def start_agent(self) -> None:
        self.agent = self.program("run")

    def kill_agent(self, number: int = signal.SIGKILL) -> None:
        assert self.agent is not None
        os.kill(self.agent.pid, number)
        self.agent.wait(10)

    def applied(self) -> None:
        """Wait until a report says that the feed's revision and digest run on the gateway."""

        def check() -> bool:
            if not self.site.reports:
                return False
            shown = {status.pool: status for status in self.site.reports[-1].pools}
            return all(
                code in shown and (shown[code].rev, shown[code].digest) == (pool.rev, pool.digest())
                for code, pool in self.site.feeds.items()
            )

        try:
            eventually(check, within=10)
        except AssertionError as error:
            error.add_note(self.log[-4000:])
            error.add_note(str(self.site.reports[-1:]))
            raise

    def permit(self, *, seconds: float = 3600, **more: object) -> None:
        self.site.set_permit(open_until=self.site.now() + seconds, shop=self.shop, **more)

    def client(self, *, hold_in: float = 3600, pool: str = feed.POOL, **changes: object) -> Client:
        """Add a customer: key, device record in the feed, cable, tunnel."""
        number = len(self.clients) + 1
        key = private_key()
        record = feed.device(
            number,
            public_key=identity.wireguard_public(key),
            hold_at=self.site.now() + hold_in,
            **changes,
        )
        space = Namespace(f"c{number}")
        self.spaces.append(space)
        near, far = f"198.51.100.{number * 4 + 1}", f"198.51.100.{number * 4 + 2}"
        join(space, self.gateway, names=("out", f"cust{number}"))
        address(space, "out", f"{far}/30")
        address(self.gateway, f"cust{number}", f"{near}/30")
        interface = f"c{os.getpid()}x{next(_numbers)}"
        space.start("wireguard-go", "--foreground", interface)
        eventually(lambda: Path(f"/var/run/wireguard/{interface}.sock").exists(), within=5)
        client = Client(space, interface, key, record)
        self._tunnel(client, near, self.site.feeds[pool].assignment.listen_port)
        self.clients.append(client)
        self.site.put(record, pool=pool)
        return client

    def _tunnel(self, client: Client, near: str, port: int) -> None:
        key_file = self.directory / f"{client.interface}.key"
        key_file.write_text(client.key)
        run = client.space.run
        run(
            *("wg", "set", client.interface, "private-key", str(key_file)),
            *("peer", self.site.wireguard_key, "allowed-ips", "0.0.0.0/0,::/0"),
            *("endpoint", f"{near}:{port}"),
        )
        address(
            client.space, client.interface, f"{client.record.ip4}/32", f"{client.record.ip6}/128"
        )
        # Without a link-local address nothing is sent before the test sends something: a handshake
        # begun before the gateway knows the peer would be retried only after five seconds.
        run("ip", "link", "set", client.interface, "addrgenmode", "none")
        run("ip", "link", "set", client.interface, "mtu", "1280", "up")
        run("ip", "route", "add", "default", "dev", client.interface)
        run("ip", "-6", "route", "add", "default", "dev", client.interface)

    def elements(self, name: str) -> list[object]:
        """Return the elements of one of our sets as nft prints them."""
        out = self.gateway.run("nft", "-j", "list", "set", "inet", "ferriage", name)
        sets = (entry["set"] for entry in json.loads(out)["nftables"] if "set" in entry)
        return next(sets).get("elem", [])

    def rules(self) -> str:
        """Return our tables as nft prints them, without elements."""
        tables = ("ferriage", "ferriage_guard")
        return "".join(self.gateway.run("nft", "-t", "list", "table", "inet", t) for t in tables)

    def close(self) -> None:
        """End everything, in whatever state the test left it."""
        with contextlib.ExitStack() as stack:
            for name in (self.interface, *(client.interface for client in self.clients)):
                stack.callback(Path(f"/var/run/wireguard/{name}.sock").unlink, missing_ok=True)
            for space in self.spaces:
                stack.callback(space.close)
            for server in self.servers:
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
            stack.callback(self.site.stop)
            if self.agent is not None and self.agent.poll() is None:
                stack.callback(self.kill_agent)


def build(directory: Path, *, pools: int = 1, siblings: bool = False) -> World:
    """Lay the cables, start the stand-in site, enrol the gateway; the agent is not started.

    Each pool has a line of its own, unless they are `siblings`.
    """
    prefix = f"g{os.getpid()}x{next(_numbers)}n"
    assignments = [_assignment(number, 0 if siblings else number) for number in range(pools)]
    gateway, internet, home = Namespace("g"), Namespace("i"), Namespace("s")
    site = feed.Site(f"http://{SITE4}:8000", *assignments)
    shop = wire.Shop(
        url=f"http://{SITE4}:{SHOP_PORT}", name="shop.test", addresses=(SITE4,), port=SHOP_PORT
    )
    world = World(directory, site, gateway, internet, home, f"{prefix}0", shop)
    world.spaces += [gateway, internet, home]
    try:
        _cable(gateway, internet, home)
        _serve_web(world)
        _serve_dns(internet)
        world.start_site()
        world.config_path.write_text(
            f'[agent]\nstate_dir = "state"\nrun_dir = "{directory}/run"\n'
            f'interface_prefix = "{prefix}"\nreport_seconds = 1\n'
            f'backend = "{BACKEND}"\nuplink = "wan"\nresolver_upstream = ["{INTERNET4}"]\n'
        )
        _enrol(world)
    except BaseException:
        world.close()
        raise
    return world


def _assignment(number: int, line: int) -> wire.PoolAssignment:
    return wire.PoolAssignment(
        pool=f"{feed.POOL[:-1]}{number + 1}",
        line=f"{feed.LINE[:-1]}{line + 1}",
        interface=number,
        listen_port=51820 + number,
        gateway4="10.64.0.1/16",
        gateway6="fd64::1/64",
        mtu=1420,
    )


def _cable(gateway: Namespace, internet: Namespace, home: Namespace) -> None:
    join(gateway, internet, names=("wan", "in"))
    address(gateway, "wan", "203.0.113.1/24", "2001:db8:2::1/64")
    address(internet, "in", f"{INTERNET4}/24", f"{INTERNET6}/64")
    join(gateway, home, names=("site", "in"))
    address(gateway, "site", "192.0.2.1/24")
    address(home, "in", f"{SITE4}/24")
    home.run("ip", "route", "add", "default", "via", "192.0.2.1")
    address(internet, "lo", "10.9.9.9/32")
    gateway.run("ip", "route", "add", "10.9.9.9/32", "via", INTERNET4)


class _Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = int(self.path[1:]) if self.path[1:].isdigit() else 0
        body = b"y" * size if size else BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


def _serve_web(world: World) -> None:
    """Serve a page on both families: in the internet at two ports, at home as the shop."""
    places = ((world.internet, WEB_PORT), (world.internet, 8080), (world.home, SHOP_PORT))
    for space, port in places:
        with space.entered():
            server = _Server(("::", port), _Page)
        world.servers.append(server)
        space.thread(lambda server=server: server.serve_forever(0.02))


def _serve_dns(internet: Namespace) -> None:
    """Answer every question with one address, as the operator's upstream resolver would."""
    with internet.entered():
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind((INTERNET4, 53))

    def serve() -> None:
        with listening:
            while True:
                query, sender = listening.recvfrom(1500)
                end = query.index(b"\0", 12) + 5
                kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
                head = query[:2] + struct.pack("!5H", 0x8180, 1, kind == 1, 0, 0)
                record = struct.pack("!3HIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(INTERNET4)
                listening.sendto(head + query[12:end] + record * (kind == 1), sender)
                if query[12:end].startswith(b"\4stop"):
                    return

    internet.thread(serve)


def _enrol(world: World) -> None:
    from ferriage import config

    with world.gateway.entered():
        identity.enrol(
            config.load(world.config_path, {}),
            token=world.site.token(),
            endpoint_host="198.51.100.1",
            endpoint_port=51820,
        )


@contextlib.contextmanager
def steady_ping(client: Client, target: str, directory: Path) -> Iterator[list[str]]:
    """Ping every 20 ms meanwhile; the list given holds the lines that ping printed at the end."""
    lines: list[str] = []
    path = directory / f"ping-{client.interface}-{time.monotonic_ns()}"
    program = client.space.start("ping", "-n", "-i", "0.02", "-W", "2", target, output=path)
    eventually(lambda: path.exists() and path.read_text().count("icmp_seq") > 1, within=5)
    try:
        yield lines
    finally:
        os.kill(program.pid, signal.SIGINT)
        program.wait(10)
        lines += _without_the_last(path.read_text()).splitlines()


def _without_the_last(said: str) -> str:
    """Return what ping said, not counting as lost what it had just sent when it was ended."""
    seen = {int(number) for number in re.findall(r"icmp_seq=(\d+)", said)}
    sent = re.search(r"(\d+) packets transmitted", said)
    if sent and seen == set(range(1, int(sent[1]))):
        return re.sub(r"[\d.]+% packet loss", "0% packet loss", said)
    return said
