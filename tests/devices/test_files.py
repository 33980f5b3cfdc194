from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.devices import files, keys
from ferriage.devices.models import Device
from ferriage.devices.names import ADJECTIVES, ANIMALS, new_name
from ferriage.devices.queries import Placement
from ferriage.devices.state import burst_bytes
from ferriage.fleet.models import Gateway, Line

if TYPE_CHECKING:
    from pathlib import Path

PAIR = keys.KeyPair(
    private="yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
    public="xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
)


def a_device(code: str = "dev_0123456789ABCDEF") -> Device:
    return Device(code=code, ip4="10.64.0.2", ip6="fd7a:5eed:1::2")


def a_placement(host: str = "192.0.2.1") -> Placement:
    return Placement(
        line=Line(code="ln_0123456789ABCDEF", name="XD public"),
        gateway=Gateway(name="alpha"),
        endpoint_host=host,
        endpoint_port=51820,
        server_key=PAIR.public,
        dns=("10.64.0.1", "fd7a:5eed:1::1"),
    )


def test_conf_has_the_keys_that_every_client_reads_and_no_others() -> None:
    text = files.conf(device=a_device(), private_key=PAIR.private, placement=a_placement())

    assert text == (
        "[Interface]\n"
        f"PrivateKey = {PAIR.private}\n"
        "Address = 10.64.0.2/32, fd7a:5eed:1::2/128\n"
        "DNS = 10.64.0.1, fd7a:5eed:1::1\n"
        "MTU = 1280\n"
        "\n"
        "[Peer]\n"
        f"PublicKey = {PAIR.public}\n"
        "AllowedIPs = 0.0.0.0/0, ::/0\n"
        "Endpoint = 192.0.2.1:51820\n"
    )


def test_keepalive_only_on_request() -> None:
    options = {"device": a_device(), "private_key": PAIR.private, "placement": a_placement()}

    asked = files.conf(**options, reachable=True)  # type: ignore[arg-type]

    assert asked == files.conf(**options) + "PersistentKeepalive = 25\n"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("192.0.2.1", "192.0.2.1:51820"),
        ("2001:db8::7", "[2001:db8::7]:51820"),
        ("gw.shop.example", "gw.shop.example:51820"),
    ],
)
def test_ipv6_endpoint_stands_in_brackets(host: str, endpoint: str) -> None:
    text = files.conf(device=a_device(), private_key=PAIR.private, placement=a_placement(host))

    assert text.splitlines()[-1] == f"Endpoint = {endpoint}"


LONG_HOST = "a-gateway-with-a-rather-long-name.of-a-shop-with-one-too.shop.example"


@pytest.mark.parametrize("host", ["192.0.2.1", LONG_HOST])
def test_qr_code_decodes_to_the_file_byte_for_byte(host: str, tmp_path: Path) -> None:
    text = files.conf(
        device=replace_address(a_device()),
        private_key=PAIR.private,
        placement=a_placement(host),
        reachable=True,
    )
    picture = tmp_path / "file.png"
    picture.write_bytes(files.qr_png(text))

    read = subprocess.run(
        ["zbarimg", "--quiet", "--raw", "--oneshot", "-Sbinary", str(picture)],
        capture_output=True,
        check=True,
        timeout=30,
    )

    assert read.stdout == text.encode()


def replace_address(device: Device) -> Device:
    """Give the longest addresses there are."""
    device.ip4, device.ip6 = "10.127.255.254", "fd7a:5eed:1234::3f:fffe"
    return device


@pytest.mark.parametrize("length", [1, 330, 331, 425])
def test_qr_code_stays_within_version_13(length: int) -> None:
    # At 6 pixels a module and a margin of 4, version 13 is (69 + 8) × 6 pixels wide.
    width = int.from_bytes(files.qr_png("x" * length)[16:20])

    assert width <= (69 + 8) * 6


@pytest.mark.parametrize(
    ("device", "line", "begins"),
    [
        ("study laptop", "Stockholm public", "study-sto-"),
        ("Wise Owl", "XD", "wise-xd-"),
        ("书房", "Stockholm", "sto-"),
        ("phone", "专线", "phone-"),
        ("书房", "专线", "vpn-"),
        ("- - a", " b ", "a-b-"),
    ],
)
def test_file_is_named_after_its_device_and_line(device: str, line: str, begins: str) -> None:
    named = a_device()
    named.name = device

    found = files.file_name(device=named, line=Line(code="ln_1111111111111111", name=line))

    assert re.fullmatch(rf"{begins}[a-z2-7]{{5}}", found)


@given(st.text(max_size=40), st.text(max_size=40))
def test_file_name_is_safe_and_says_which_line(one: str, other: str) -> None:
    first = Line(code="ln_1111111111111111", name=one)
    second = Line(code="ln_2222222222222222", name=other)

    names = {
        files.file_name(device=a_device(code), line=line)
        for code in ("dev_1111111111111111", "dev_2222222222222222")
        for line in (first, second)
    }

    assert len(names) == 4
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,14}", name) for name in names)


def wg(command: str, text: str = "") -> str:
    return subprocess.run(
        ["wg", command], input=text, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def test_keys_are_those_of_wireguard() -> None:
    mine = keys.new_keypair()

    assert wg("pubkey", mine.private) == mine.public
    assert keys.is_public_key(wg("pubkey", wg("genkey")))
    assert keys.new_keypair() != mine


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        PAIR.public[:-1],
        PAIR.public + "A",
        PAIR.public + "\n",
        " " + PAIR.public,
        PAIR.public.replace("=", "=="),
        "A" * 43 + "=",
        PAIR.public[:-2] + "h=",
        "ы" * 43 + "=",
    ],
)
def test_text_that_is_no_public_key(text: str) -> None:
    assert keys.is_public_key(PAIR.public)
    assert not keys.is_public_key(text)


def test_name_is_free_even_when_words_run_out() -> None:
    every = {f"{adjective} {animal}" for adjective in ADJECTIVES for animal in ANIMALS}
    last = "quiet otter"

    assert new_name(()) in every
    assert new_name(every) not in every
    assert len(every) == 1600
    assert last in every


@pytest.mark.parametrize(
    ("rate", "burst"), [(8000, 131_072), (10_000_000, 131_072), (100_000_000, 1_250_000)]
)
def test_burst_is_a_tenth_of_a_second(rate: int, burst: int) -> None:
    assert burst_bytes(rate) == burst
