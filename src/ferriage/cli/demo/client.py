"""The customer's laptop: the file the shop gave, real WireGuard, and what gets through."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from ferriage.cli.demo.spaces import SOCKETS
from ferriage.cli.demo.telling import StepFailed, wait_for

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from ferriage.cli.demo.spaces import Space

_RECEIVED: Final = re.compile(r"(\d+) received")
_SETTING: Final = re.compile(r"^(\w+)\s*=\s*(.+)$", re.MULTILINE)


class Laptop:
    """One machine with one tunnel."""

    def __init__(self, space: Space, tunnel: str, log: Path) -> None:
        self._space = space
        self._tunnel = tunnel
        self._log = log
        self.dns = ""
        self.program: subprocess.Popen[bytes] | None = None

    def connect(self, file: Path) -> None:
        """Bring the tunnel up from the file, as the WireGuard apps do."""
        settings = dict(_SETTING.findall(file.read_text(encoding="utf-8")))
        self.dns = settings["DNS"].split(",")[0].strip()
        command = ("wireguard-go", "--foreground", self._tunnel)
        self.program = self._space.start(*command, log=self._log)
        wait_for((SOCKETS / f"{self._tunnel}.sock").exists, within=5, what="wireguard-go starts")
        stripped = file.with_suffix(".wg")
        stripped.touch(mode=0o600)
        stripped.write_text(self._space.run("wg-quick", "strip", str(file)), encoding="utf-8")
        run = self._space.run
        run("wg", "setconf", self._tunnel, str(stripped))
        run("ip", "link", "set", self._tunnel, "mtu", settings.get("MTU", "1420"))
        addresses = [text.strip() for text in settings["Address"].split(",")]
        self._space.address(self._tunnel, *addresses)
        run("ip", "route", "add", "default", "dev", self._tunnel)
        run("ip", "-6", "route", "add", "default", "dev", self._tunnel)

    def handshake(self) -> int:
        """Return the age in seconds of the latest handshake, or 0 when there was none."""
        words = self._space.run("wg", "show", self._tunnel, "latest-handshakes").split()
        at = int(words[-1]) if words else 0
        return max(1, int(time.time()) - at) if at else 0

    def ping(self, target: str, *, count: int = 1, wait: float = 1) -> int:
        """Return how many of the pings came back."""
        command = ("ping", "-n", "-c", str(count), "-i", "0.2", "-W", str(wait), target)
        found = _RECEIVED.search(self._space.run(*command, check=False))
        return int(found[1]) if found else 0

    def fetch(self, host: str, port: int = 80, name: str = "") -> tuple[int, bytes]:
        """Return status and body of a plain http request."""
        with self._space.entered():
            connection = http.client.HTTPConnection(host, port, timeout=3)
            try:
                connection.request("GET", "/", headers={"Host": name or host})
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

    def refusal_seconds(self, host: str, port: int) -> float:
        """Return how long it took until a connection was refused.

        Raises:
            StepFailed: It was accepted, or simply not answered.
        """
        began = time.monotonic()
        with self._space.entered():
            try:
                socket.create_connection((host, port), 3).close()
            except ConnectionRefusedError:
                return time.monotonic() - began
            except OSError as error:
                raise StepFailed(f"{host}:{port} was not refused: {error}") from error
        raise StepFailed(f"{host}:{port} was reached")

    def resolve(self, name: str) -> str:
        """Ask the resolver that the file names for an IPv4 address; empty when there is none."""
        question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0)
        question += b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        question += b"\0" + struct.pack(">HH", 1, 1)
        with (
            self._space.entered(),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
        ):
            asking.settimeout(2)
            asking.sendto(question, (self.dns, 53))
            answer = asking.recv(512)
        count = struct.unpack(">H", answer[6:8])[0]
        return socket.inet_ntoa(answer[-4:]) if count else ""
