from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.agent.backend import Link, uapi
from ferriage.agent.backend.userspace import Userspace
from ferriage.agent.errors import DataPlaneError

if TYPE_CHECKING:
    from pathlib import Path

ALICE, BOB = wire.new_private_key(), wire.new_private_key()

ANSWER = f"""private_key={"00" * 32}
listen_port=51820
public_key={uapi.to_hex(ALICE)}
endpoint=198.51.100.6:4500
last_handshake_time_sec=1700000000
last_handshake_time_nsec=5
tx_bytes=10
rx_bytes=20
allowed_ip=10.64.0.2/32
allowed_ip=fd64::2/128
public_key={uapi.to_hex(BOB)}
errno=0
"""


def test_answer_is_parsed_into_settings_and_peers() -> None:
    settings, peers = uapi.parse(ANSWER.splitlines())

    assert settings == {"private_key": "00" * 32, "listen_port": "51820"}
    assert peers[ALICE].allowed_ips == {"10.64.0.2/32", "fd64::2/128"}
    assert (peers[ALICE].endpoint, peers[ALICE].handshake_at) == ("198.51.100.6:4500", 1700000000)
    assert (peers[ALICE].received_bytes, peers[ALICE].sent_bytes) == (20, 10)
    assert (peers[BOB].allowed_ips, peers[BOB].endpoint) == (frozenset(), "")


@pytest.mark.parametrize(
    "answer", ["", "listen_port=1\n", ANSWER.replace("errno=0\n", ""), "errno=-5\n"]
)
def test_answer_cut_short_or_refused_is_no_answer(answer: str) -> None:
    with pytest.raises(DataPlaneError):
        uapi.parse(answer.splitlines())


class FakeWireguard:
    """Listens where wireguard-go would; refuses every request that names a poisoned key."""

    def __init__(self, path: Path, poison: str) -> None:
        self.requests: list[str] = []
        self._poison = uapi.to_hex(poison)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection, connection.makefile("rw") as file:
                request = "".join(iter(file.readline, "\n"))
                if not request:
                    return
                self.requests.append(request)
                file.write("errno=-22\n\n" if self._poison in request else "errno=0\n\n")

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._listening.getsockname())
            last.sendall(b"\n")
        self._thread.join(5)
        self._listening.close()


def test_refused_chunk_is_halved_until_the_poison_stands_alone(tmp_path: Path) -> None:
    keys = [wire.new_private_key() for _ in range(40)]
    fake = FakeWireguard(tmp_path / "wg9.sock", keys[17])
    try:
        refused = Userspace(program="none", sockets=tmp_path).apply(
            "wg9", remove=[], add={key: (f"10.0.0.{n}/32",) for n, key in enumerate(keys)}
        )
    finally:
        fake.close()

    assert list(refused) == [keys[17]]
    taken = "".join(request for request in fake.requests if uapi.to_hex(keys[17]) not in request)
    assert all(uapi.to_hex(key) in taken for key in keys if key != keys[17])


def test_removals_are_sent_before_additions(tmp_path: Path) -> None:
    fake = FakeWireguard(tmp_path / "wg9.sock", wire.new_private_key())
    try:
        Userspace(program="none", sockets=tmp_path).apply(
            "wg9", remove=[ALICE], add={BOB: ("10.64.0.2/32",)}
        )
    finally:
        fake.close()

    assert fake.requests == [
        f"set=1\n{uapi.removal(ALICE)}",
        f"set=1\n{uapi.addition(BOB, ['10.64.0.2/32'])}",
    ]


def test_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    backend = Userspace(program="/nowhere/wireguard-go", sockets=tmp_path)

    with pytest.raises(DataPlaneError, match="/nowhere/wireguard-go is not installed"):
        backend.ensure(Link("wg9", ALICE, 51820, (), 1420))
