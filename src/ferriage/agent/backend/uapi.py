"""WireGuard's cross-platform configuration protocol, as text over a unix socket.

Keys travel as hex here and as base64 everywhere else. Answers are read as a stream: 65,000
peers are 22 MB of text.

Source: https://www.wireguard.com/xplatform/
"""

from __future__ import annotations

import base64
import socket
from typing import TYPE_CHECKING, Final

from ferriage.agent.backend import Peer
from ferriage.agent.errors import ChangeRefused, DataPlaneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_TIMEOUT_SECONDS: Final = 30
_BLOCK: Final = 1 << 20


def to_hex(key: str) -> str:
    """Return a base64 key as hex."""
    return base64.b64decode(key).hex()


def to_base64(key: str) -> str:
    """Return a hex key as base64."""
    return base64.b64encode(bytes.fromhex(key)).decode()


def parse(lines: Iterable[str]) -> tuple[dict[str, str], dict[str, Peer]]:
    """Parse an answer to `get=1` into interface settings and peers.

    Raises:
        DataPlaneError: WireGuard reports an error, or the answer ends early.
    """
    settings: dict[str, str] = {}
    peers: dict[str, Peer] = {}
    current: dict[str, str] | None = None
    allowed: list[str] = []
    for line in lines:
        name, _, value = line.partition("=")
        if name in {"public_key", "errno"}:
            if current is not None:
                _finish(peers, current, allowed)
            current, allowed = {name: value}, []
        elif name == "allowed_ip":
            allowed.append(value)
        else:
            (settings if current is None else current)[name] = value
    if current is None or current.get("errno") != "0":
        raise DataPlaneError(f"WireGuard cannot be read: {current or 'the answer was cut short'}.")
    return settings, peers


def _finish(peers: dict[str, Peer], values: Mapping[str, str], allowed: list[str]) -> None:
    key = to_base64(values["public_key"])
    peers[key] = Peer(
        public_key=key,
        allowed_ips=frozenset(allowed),
        endpoint=values.get("endpoint", ""),
        handshake_at=int(values.get("last_handshake_time_sec", "0")),
        received_bytes=int(values.get("rx_bytes", "0")),
        sent_bytes=int(values.get("tx_bytes", "0")),
        keepalive=int(values.get("persistent_keepalive_interval", "0")),
    )


def removal(key: str) -> str:
    """Return the lines that remove a peer."""
    return f"public_key={to_hex(key)}\nremove=true\n"


def addition(key: str, allowed_ips: Iterable[str]) -> str:
    """Return the lines that add a peer, or give an existing one other addresses."""
    addresses = "".join(f"allowed_ip={address}\n" for address in allowed_ips)
    return f"public_key={to_hex(key)}\nreplace_allowed_ips=true\n{addresses}"


def renewal(key: str, allowed_ips: Iterable[str]) -> str:
    """Return the lines that make a stranger of a peer."""
    return removal(key) + addition(key, allowed_ips)


def waking(key: str, endpoint: str) -> str:
    """Return the lines that tell a peer's endpoint and send it a keepalive now.

    WireGuard sends one when the interval rises from 0.
    """
    return f"public_key={to_hex(key)}\nupdate_only=true\nendpoint={endpoint}\n{_keepalive(25)}"


def calming(key: str) -> str:
    """Return the lines that end a peer's keepalives."""
    return f"public_key={to_hex(key)}\nupdate_only=true\n{_keepalive(0)}"


def _keepalive(seconds: int) -> str:
    return f"persistent_keepalive_interval={seconds}\n"


class Socket:
    """One WireGuard instance's configuration socket; each call is one connection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def alive(self) -> bool:
        """Say whether something answers at the socket."""
        try:
            self._connect().close()
        except OSError:
            return False
        return True

    def get(self) -> tuple[dict[str, str], dict[str, Peer]]:
        """Read interface settings and peers.

        Raises:
            DataPlaneError: It cannot be read.
        """
        try:
            return parse(self._exchange("get=1\n\n"))
        except OSError as error:
            raise DataPlaneError(f"WireGuard does not answer at {self._path}: {error}.") from error

    def set(self, lines: str) -> None:
        """Change settings or peers. What came before a refused line stays changed.

        Raises:
            ChangeRefused: With WireGuard's errno.
            DataPlaneError: Nobody answers.
        """
        try:
            answer = next(self._exchange(f"set=1\n{lines}\n"), "")
        except OSError as error:
            raise DataPlaneError(f"WireGuard does not answer at {self._path}: {error}.") from error
        if not answer:
            raise DataPlaneError(f"WireGuard went away from {self._path}.")
        if answer != "errno=0":
            raise ChangeRefused(f"WireGuard refused a change ({answer}).")

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(_TIMEOUT_SECONDS)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        return connection

    def _exchange(self, request: str) -> Iterator[str]:
        with self._connect() as connection:
            connection.sendall(request.encode("ascii"))
            rest = ""
            while block := connection.recv(_BLOCK):
                *lines, rest = (rest + block.decode("ascii")).split("\n")
                for line in lines:
                    if not line:
                        return
                    yield line
