"""Which back end a host gets, and what `ferriage check` says of it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ferriage.agent import backend
from ferriage.agent.backend import Choice, links
from ferriage.agent.errors import ChangeRefused, DataPlaneError, NoKernel
from ferriage.cli import check
from ferriage.config import AgentConfig, Config, ConfigError, parse


def none() -> str:
    return ""


def no_module() -> str:
    return "this kernel has no WireGuard"


def never() -> str:
    raise AssertionError("asked the kernel, which may load a module")


def test_kernel_is_taken_where_it_can_be() -> None:
    assert backend.decide("", obstacle=none) == Choice("kernel", "")
    assert backend.decide("kernel", obstacle=none) == Choice("kernel", "")


def test_userspace_is_taken_where_the_kernel_cannot_be_and_says_why() -> None:
    found = backend.decide("", obstacle=no_module)

    assert found == Choice("userspace", "this kernel has no WireGuard")


def test_forced_userspace_never_asks_the_kernel() -> None:
    found = backend.decide("userspace", obstacle=never)

    assert found == Choice("userspace", "agent.backend says so")


def test_forced_kernel_that_cannot_be_is_refused_with_a_remedy() -> None:
    with pytest.raises(NoKernel) as refused:
        backend.decide("kernel", obstacle=no_module)

    assert str(refused.value) == (
        'agent.backend is "kernel", but this kernel has no WireGuard. Load its module as root'
        " (modprobe wireguard; for a container, on its host), or leave agent.backend empty."
    )
    assert refused.value.exit_code == 78


def test_unknown_back_end_refuses_to_start_and_is_named(tmp_path: Path) -> None:
    document = {"agent": {"backend": "both"}}

    with pytest.raises(ConfigError, match=r"agent\.backend must be .*, not 'both'"):
        parse(document, path=tmp_path / "ferriage.toml", environ={})


def test_check_names_the_missing_program_of_the_back_end_that_is_taken() -> None:
    agent = AgentConfig(backend="userspace", wireguard_go="/nowhere/wireguard-go")

    found = list(check._backend(Config(path=Path("ferriage.toml"), agent=agent)))

    assert found == [
        check.Finding("good", "WireGuard runs in userspace: agent.backend says so"),
        check.Finding(
            "bad", "/nowhere/wireguard-go is not installed", "apt-get install wireguard-go"
        ),
    ]


@given(st.binary(min_size=32, max_size=32))
def test_clamped_key_is_the_same_key_and_stays_as_it_is(raw: bytes) -> None:
    text = base64.b64encode(raw).decode()

    clamped = links.clamped(text)

    def public(key: str) -> bytes:
        loaded = X25519PrivateKey.from_private_bytes(base64.b64decode(key))
        return loaded.public_key().public_bytes_raw()

    assert public(clamped) == public(text)
    assert links.clamped(clamped) == clamped


# --- chunks


class Wireguard:
    """Takes any change but the poisoned ones, which it refuses with their whole request."""

    def __init__(self, *poison: int, gone_after: int = 1 << 30) -> None:
        self.poison = set(poison)
        self.taken: list[int] = []
        self.requests = 0
        self.gone_after = gone_after

    def send(self, changes: list[int]) -> None:
        self.requests += 1
        if self.requests > self.gone_after:
            raise DataPlaneError("nobody answers")
        if self.poison & set(changes):
            raise ChangeRefused("errno=-22")
        self.taken += changes


@given(st.sets(st.integers(0, 1200), max_size=4), st.integers(0, 1200))
def test_only_poison_is_refused_and_all_else_is_taken_once(poison: set[int], count: int) -> None:
    wireguard = Wireguard(*poison)

    refused = links.send_each(((str(n), n) for n in range(count)), wireguard.send)

    assert refused == {str(n): "errno=-22" for n in sorted(poison) if n < count}
    assert wireguard.taken == [n for n in range(count) if n not in poison]


def test_wireguard_that_is_gone_is_not_asked_for_every_record() -> None:
    wireguard = Wireguard(gone_after=1)

    refused = links.send_each(((str(n), n) for n in range(2000)), wireguard.send)

    assert refused == {str(n): "nobody answers" for n in range(500, 2000)}
    assert wireguard.requests == 4


def test_all_are_tried_before_a_refusal_is_told() -> None:
    wireguard = Wireguard(3)

    with pytest.raises(DataPlaneError, match="errno=-22"):
        links.send_all(((str(n), n) for n in range(600)), wireguard.send)

    assert wireguard.taken == [n for n in range(600) if n != 3]
