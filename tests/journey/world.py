"""The open demo shop and a newcomer's laptop beside it.

    demo (a process of its own)                       this test
      this machine: shop, hub, worker  <── browser
      fer-<demo>-gateway  ── 198.51.100.5/30 ──────── fer-<test>-newcomer
      fer-<demo>-internet: web and DNS of the world

The newcomer has a route to the gateway's public address only.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferriage.cli.demo import spaces
from ferriage.cli.demo.client import Laptop
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.cli.demo.browser import Browser, Page

WORLD4, WORLD6 = "203.0.113.9", "2001:db8:2::9"
_PART = re.compile(r"^up: (\w+)(?: \S+)? started, process (\d+)$", re.MULTILINE)


@dataclass
class OpenShop:
    """The shop that `ferriage demo` leaves open, as its last lines tell of it."""

    process: subprocess.Popen[bytes]
    directory: Path
    url: str
    voucher: str
    number: str
    staff_link: str
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def gateway(self) -> str:
        return f"fer-{self.process.pid}-gateway"

    def part(self, name: str) -> int:
        """Return the process id of a part that the supervisor runs now."""
        text = (self.directory / "up.log").read_text(encoding="utf-8", errors="replace")
        return [int(number) for part, number in _PART.findall(text) if part == name][-1]

    def agent(self) -> int:
        """Return the process id of the agent on the gateway."""
        for number in spaces.call("ip", "netns", "pids", self.gateway).split():
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            if words[-3:-1] == [b"agent", b"run"]:
                return int(number)
        raise AssertionError("no agent runs on the gateway")

    def start_agent(self) -> None:
        """Start the agent again, as its service would."""
        settings = str(self.directory / "gateway.toml")
        command = (sys.executable, "-m", "ferriage", "--config", settings, "agent", "run")
        log = self.directory / "agent-again.log"
        self.agents.append(spaces.start("ip", "netns", "exec", self.gateway, *command, log=log))

    def office(self, *arguments: str) -> Any:
        """Let staff do something; see office.py."""
        environment = {
            **{name: text for name, text in os.environ.items() if "FERRIAGE" not in name},
            "FERRIAGE_CONFIG": str(self.directory / "ferriage.toml"),
            "DJANGO_SETTINGS_MODULE": "ferriage.core.settings",
        }
        program = [sys.executable, str(Path(__file__).with_name("office.py")), *arguments]
        done = subprocess.run(
            program, env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        return json.loads(done.stdout)

    def vouchers(self, count: int) -> list[str]:
        found: list[str] = self.office("vouchers", str(count))
        return found

    def close(self) -> None:
        for agent in self.agents:
            agent.terminate()
            agent.wait(20)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def open_shop(directory: Path) -> OpenShop:
    """Run the demo to its end and leave its shop open."""
    log = directory.with_suffix(".log")
    command = ("demo", "--dir", str(directory), "--port", "9765")
    environment = {name: text for name, text in os.environ.items() if "FERRIAGE" not in name}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "ferriage", *command],
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
        )

    def told() -> str:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        text = log.read_text(encoding="utf-8")
        return text if "a way into the back office" in text else ""

    try:
        text = eventually(told, within=240, every=0.5)
    except AssertionError:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        raise
    return OpenShop(
        process,
        directory,
        url=_found(r"open at (\S+)", text),
        voucher=_found(r"voucher to try +(\S+)", text),
        number=_found(r"customer's number (\S+)", text),
        staff_link=_found(r"back office, once: (\S+)", text),
    )


def order(browser: Browser, price: str = "") -> Page:
    """Open an account and place an order: of a price, or of the first that is shown."""
    home = browser.get("/")
    first = next(form for form in home.forms if "/open/" in form.action).choices["price"][0]
    opened = browser.submit(home, "/open/", price=price or first)
    return browser.submit(opened, "/orders/", place="XD", consent="yes")


def device_file(browser: Browser) -> str:
    """Add a device and take its file."""
    device = browser.submit(browser.get("/account/"), "/devices/", name="laptop")
    return browser.submit(device, "/file/").text


def pay_by_card(browser: Browser, placed: Page) -> None:
    """Pay on the sandbox's page, and wait until the shop has heard of it."""
    leaving = browser.submit(placed, "/pay/stripe/")
    way = re.search(r'href="(http://127\.0\.0\.1:\d+/page/stripe/\w+)"', leaving.text)
    assert way, leaving.text
    browser.submit(browser.get(way[1]), "/page/stripe/", act="pay", means="card", place="")
    eventually(lambda: is_paid(browser, placed), within=20, every=0.2)


def is_paid(browser: Browser, placed: Page) -> bool:
    return "To my devices" in browser.get(placed.url).text


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


class OwnSpace(spaces.Space):
    """A namespace that also reaps the programs it ran."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self._programs: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, log: Path) -> subprocess.Popen[bytes]:
        self._programs.append(super().start(*command, log=log))
        return self._programs[-1]

    def close(self) -> None:
        super().close()
        for program in self._programs:
            program.wait(10)


class Newcomer:
    """A laptop in a namespace of its own, with a cable to the gateway."""

    def __init__(self, shop: OpenShop, directory: Path, number: int) -> None:
        self.space = OwnSpace(f"new{number}")
        self.laptop = Laptop(self.space, f"fj{os.getpid()}n{number}", directory / "wg.log")
        self._shop = shop
        self._number = number
        self._directory = directory

    def connect(self, conf: str) -> None:
        """Lay the cable that the file's endpoint needs, and bring the tunnel up."""
        match = re.search(r"^Endpoint = (\S+):\d+$", conf, re.MULTILINE)
        assert match, conf
        endpoint = match[1]
        prefix, low = endpoint.rpartition(".")[0], 4 * (self._number + 1)
        theirs, ours = f"{prefix}.{low + 1}", f"{prefix}.{low + 2}"
        cable = f"new{self._number}"
        spaces.call(
            *("ip", "-n", self._shop.gateway, "link", "add", cable),
            *("type", "veth", "peer", "name", "out", "netns", self.space.name),
        )
        spaces.call("ip", "-n", self._shop.gateway, "address", "add", f"{theirs}/30", "dev", cable)
        spaces.call("ip", "-n", self._shop.gateway, "link", "set", cable, "up")
        self.space.address("out", f"{ours}/30")
        self.space.run("ip", "route", "add", endpoint, "via", theirs)
        file = self._directory / f"new{self._number}.conf"
        file.touch(mode=0o600)
        file.write_text(conf, encoding="utf-8")
        self.laptop.connect(file)

    @property
    def tunnel(self) -> str:
        return f"fj{os.getpid()}n{self._number}"

    def handshake(self) -> str:
        """Return when the last handshake was, as WireGuard prints it."""
        return self.space.run("wg", "show", self.tunnel, "latest-handshakes")

    def public_key(self) -> str:
        return self.space.run("wg", "show", self.tunnel, "public-key").strip()

    def pings(self, count: int, size: int) -> int:
        """Send pings of so many bytes each, headers included; return how many came back."""
        out = self.space.run(
            *("ping", "-n", "-c", str(count), "-i", "0.005", "-W", "1"),
            *("-s", str(size - 28), WORLD4),
            check=False,
        )
        found = re.search(r"(\d+) received", out)
        return int(found[1]) if found else 0

    def pinging(self, doing: Callable[[], object]) -> tuple[int, int]:
        """Ping every 50 ms while something is done; return how many were sent and came back."""
        log = self._directory / "ping.log"
        log.unlink(missing_ok=True)
        ping = self.space.start("ping", "-n", "-i", "0.05", "-W", "1", WORLD4, log=log)
        try:
            eventually(lambda: b"bytes from" in log.read_bytes(), within=5)
            doing()
        finally:
            ping.send_signal(signal.SIGINT)
            ping.wait(10)
        match = re.search(r"(\d+) packets transmitted, (\d+) received", log.read_text())
        assert match, log.read_text()
        return int(match[1]), int(match[2])

    def close(self) -> None:
        self.space.close()
        spaces.remove_sockets(f"fj{os.getpid()}n{self._number}")
