"""Shop and gateway on one host, as `init --local` and `up` make them, with a real tunnel."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ferriage.cli.demo import spaces
from ferriage.cli.demo.browser import Browser
from ferriage.cli.demo.client import Laptop
from ferriage.cli.demo.spaces import Space
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.tunnel

HOST = "198.51.100.1"
INNER = "10.64.0.1"
SHOP = f"http://{INNER}:8000"
WORLD = "203.0.113.9"
ANSWERS = "SE\n\n\nHarbour AB\n\n\n\n\n\n" + 4 * (
    "We read the act and find that no permission is asked for.\nThe act that we read\n"
    "chapter 2, section 1\n2026-11-01\nOlga Harbour\nyes\n"
)


@dataclass
class OneHost:
    """A machine with everything on it, and a customer's telephone beside it."""

    directory: Path
    host: Space
    phone: Space

    def environment(self) -> dict[str, str]:
        return {
            "FERRIAGE_CONFIG": str(self.directory / "ferriage.toml"),
            "FERRIAGE_AGENT_RUN_DIR": str(self.directory / "run"),
            "FERRIAGE_AGENT_INTERFACE_PREFIX": f"fo{os.getpid()}g",
            "FERRIAGE_AGENT_RESOLVER_UPSTREAM": WORLD,
            "FERRIAGE_AGENT_BACKEND": "userspace",
        }

    def run(self, *words: str, stdin: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.host.name, sys.executable, *words],
            env={**os.environ, **self.environment()},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout

    def ferriage(self, *words: str, stdin: str = "", fails: bool = False) -> str:
        return self.run("-m", "ferriage", *words, stdin=stdin, fails=fails)

    def line(self) -> str:
        with closing(sqlite3.connect(self.directory / "data/ferriage.sqlite3")) as database:
            return database.execute("SELECT code FROM fleet_line").fetchone()[0]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[OneHost]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with ExitStack() as stack:
        stack.callback(spaces.remove_sockets, f"fo{os.getpid()}")
        host, phone = Space("one"), Space("phone")
        for space in (host, phone):
            stack.callback(space.close)
        spaces.join(host, phone, names=("wan", "out"))
        host.address("wan", f"{HOST}/24")
        phone.address("out", "198.51.100.2/24", f"{WORLD}/32")
        host.run("ip", "route", "add", "default", "via", "198.51.100.2")
        made = OneHost(tmp_path, host, phone)
        made.ferriage("init", "--local", stdin=ANSWERS)
        up = stack.enter_context(_up(made))
        try:
            yield made
        finally:
            up.terminate()
            up.wait(30)


@pytest.fixture
def laptop(one: OneHost) -> Iterator[Laptop]:
    laptop = Laptop(one.phone, f"fo{os.getpid()}c", one.directory / "client.log")
    yield laptop
    if laptop.program:
        laptop.program.terminate()
        laptop.program.wait(10)


def _up(made: OneHost) -> subprocess.Popen[bytes]:
    with (made.directory / "up.log").open("ab") as log:
        return subprocess.Popen(
            ["ip", "netns", "exec", made.host.name, sys.executable, "-m", "ferriage", "up"],
            env={**os.environ, **made.environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _enrol(one: OneHost) -> str:
    """Make the host the gateway with the two commands as they are printed; return what is said."""
    said = eventually(
        lambda: one.ferriage("gateway", "add", "one", "--place", "SE", "--line", one.line()),
        within=1,
    )
    printed = re.search(r"^  \S*ferriage (agent enrol fe1\.\S+)$", said, re.MULTILINE)
    assert printed
    eventually(lambda: "site 127.0.0.1:8000 started" in _log(one), within=30)
    eventually(lambda: _healthy(one, "127.0.0.1"), within=30)
    return one.ferriage(*printed[1].split())


def _log(one: OneHost) -> str:
    return (one.directory / "up.log").read_text()


def _healthy(one: OneHost, address: str) -> bool:
    with one.host.entered():
        return Browser(f"http://{address}:8000").get("/healthz").status == 200


def test_commands_as_printed_give_the_operator_a_device_that_connects(
    one: OneHost, laptop: Laptop
) -> None:
    said = _enrol(one)

    assert f"customers' files will name {HOST}." in said
    one.ferriage("device", "add", "laptop", "--mine", "--out", str(one.directory / "laptop.conf"))
    assert f"Endpoint = {HOST}:51820\n" in (one.directory / "laptop.conf").read_text()
    eventually(lambda: _healthy(one, INNER), within=60)
    laptop.connect(one.directory / "laptop.conf")
    eventually(lambda: laptop.fetch(INNER, 8000)[0] == 200, within=40)


def test_held_customer_of_a_one_host_shop_renews_through_the_tunnel(
    one: OneHost, laptop: Laptop
) -> None:
    _enrol(one)
    eventually(lambda: _healthy(one, INNER), within=60)
    assert f"✓ held customers reach the shop at {INNER}, port 8000" in one.ferriage("check")
    customer = json.loads(one.run(str(Path(__file__).with_name("short_term.py")), "12"))
    file = one.directory / "phone.conf"
    file.write_text(customer["file"])
    laptop.connect(file)

    eventually(lambda: laptop.fetch("192.0.2.80")[0] == 511, within=40)
    assert SHOP.encode() in laptop.fetch("192.0.2.80")[1]
    browser = Browser(SHOP, one.phone.entered)
    page = browser.submit(browser.get("/log-in/"), "/log-in/", number=customer["number"])
    order = browser.submit(page, "/renew/", price=customer["price"])
    paid = browser.submit(order, "/voucher/", code=customer["voucher"])

    assert paid.status == 200
    eventually(lambda: not _held(laptop), within=10)


def _held(laptop: Laptop) -> bool:
    """Tell whether plain http still ends at the hold page; nobody else answers there."""
    try:
        return laptop.fetch("192.0.2.80")[0] == 511
    except OSError:
        return False
