"""The command, as an operator starts it."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest

from ferriage.sandbox.keys import Keys
from running_ferriage import ferriage
from running_sandbox import running_sandbox

if TYPE_CHECKING:
    from pathlib import Path


def test_command_serves_until_it_is_ended() -> None:
    with running_sandbox("http://localhost:8000", "--lose", "30") as sandbox:
        state = sandbox.control("GET", "")

        assert (state["faults"]["lose"], state["waiting"]) == (30, 0)
        assert sandbox.ask("GET", "/").status == 200


def test_shop_on_an_address_of_this_machine_is_called_back() -> None:
    """The shop of gateways elsewhere listens on one that they reach."""
    for address in own_addresses():
        with running_sandbox(f"http://{address}:8000") as sandbox:
            assert sandbox.control("GET", "")["waiting"] == 0


def own_addresses() -> list[str]:
    """Return this machine's address on the way out; none where there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # A datagram's socket sends nothing by this.
        except OSError:
            return []
        return [asking.getsockname()[0]]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--shop-url", "http://203.0.113.7:8000"), 1, "calls back to this machine only"),
        (("--shop-url", "http://0.0.0.0:8000"), 1, "calls back to this machine only"),
        (("--shop-url", "http://shop.example"), 1, "calls back to this machine only"),
        (("--shop-url", "ftp://localhost"), 1, "calls back to this machine only"),
        (("--lose", "60", "--delay", "60"), 2, "together more than 100 percent"),
    ],
)
def test_command_refuses(tmp_path: Path, options: tuple[str, ...], code: int, said: str) -> None:
    done = ferriage(tmp_path, "sandbox", "--port", "0", *options)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_command_names_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = ferriage(tmp_path, "sandbox", "--port", str(taken.getsockname()[1]))

    assert (done.returncode, "Choose another --port" in done.stderr) == (1, True)


def test_keys_stay_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"

    first = Keys(file).secret("one", "sk_test_")

    assert first.startswith("sk_test_")
    assert Keys(file).secret("one", "sk_test_") == first
    assert Keys().secret("one", "sk_test_") != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
