"""What the demo's steps share: the machines, the shop's processes, and a gateway that runs."""

from __future__ import annotations

import functools
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ferriage.cli import init
from ferriage.cli.demo import lab as machines
from ferriage.cli.demo import shop
from ferriage.cli.demo.client import Laptop
from ferriage.cli.demo.spaces import call
from ferriage.cli.demo.telling import StepFailed, wait_for

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from ferriage.cli.demo.browser import Page
    from ferriage.cli.demo.lab import Lab
    from ferriage.cli.demo.telling import Teller
    from ferriage.config import Config
    from ferriage.fleet.models import Line

OK: Final = 200
REPORT_SECONDS: Final = 2


@dataclass
class Scene:
    """What the steps hand on to one another."""

    lab: Lab
    port: int
    teller: Teller
    config: Config
    file: Path
    supervisor: subprocess.Popen[bytes] | None = None
    number: str = ""
    reference: str = ""
    vouchers: list[str] = field(default_factory=list)

    laptop: Laptop = field(init=False)

    def __post_init__(self) -> None:
        log = self.lab.directory / "client.log"
        self.laptop = Laptop(self.lab.client, self.lab.tunnel, log)

    @property
    def world(self) -> tuple[str, str]:
        """The addresses of a host that only the tunnel leads to."""
        return self.lab.at.world, machines.WORLD6

    @property
    def shop_inside(self) -> str:
        """The shop's address as gateway and tunnel reach it."""
        return f"http://{self.lab.at.shop}:{self.port}"

    @property
    def shop_outside(self) -> str:
        """The shop's address for a browser on this machine."""
        return f"http://localhost:{self.port}"

    @property
    def sandbox_port(self) -> int:
        """The payment sandbox's port; the hub has the one between."""
        return self.port + 2

    @property
    def sandbox(self) -> str:
        """The payment sandbox's address for a browser on this machine, and for the shop."""
        return f"http://127.0.0.1:{self.sandbox_port}"


def settings_of(lab: Lab, port: int) -> dict[str, dict[str, object]]:
    """Return the demo shop's settings file."""
    from ferriage.approvals.packs import demo_path
    from ferriage.cli.house import random_inner_network

    address = lab.at.shop
    return {
        "site": {
            "url": f"http://{address}:{port}",
            "name": "Ferriage demo",
            "listen": [f"127.0.0.1:{port}", f"{address}:{port}"],
            "allowed_hosts": ["localhost"],
            "shop_addresses": [address],
            "secure_cookies": False,
        },
        "hub": {"listen": f"{address}:{port + 1}", "url": f"http://{address}:{port + 1}"},
        "shop": {
            "bank_details": "Bank of Demoland (invented), account 1080",
            "inner6": random_inner_network(),
            "topup_currency": "CNY",
            "topup_amounts": ["10", "50"],
        },
        "approvals": {"packs": [str(demo_path())]},
        "agent": {"state_dir": str(lab.directory / "no-gateway-here")},
    }


def start_shop(scene: Scene) -> None:
    """Start site, hub and worker under their supervisor."""
    directory = scene.lab.directory
    scene.supervisor = scene.lab.start_here(
        "up", config=scene.config.path, log=directory / "up.log"
    )
    for address in (scene.shop_outside, scene.shop_inside):
        url = f"{address}/healthz"
        status = wait_for(functools.partial(status_of, url), within=120, what=f"{url} answers")
        scene.teller.claim(status == OK, f"GET {url} → {status}")


def status_of(url: str) -> int:
    """Return what one of the demo's own addresses answers."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- our own address
        return int(answer.status)


def ok_page(page: Page) -> Page:
    """Return a page that was answered with 200.

    Raises:
        StepFailed: It was not.
    """
    if page.status != OK:
        raise StepFailed(f"{page.url} answered {page.status}:\n{page.text[:2000]}")
    return page


def start_gateway(scene: Scene, line: Line) -> None:
    """Enrol the gateway for a line and start agent and hold page on it."""
    lab, teller = scene.lab, scene.teller
    settings = lab.directory / "gateway.toml"
    own = {
        "agent": {
            "state_dir": str(lab.directory / "gateway"),
            "run_dir": str(lab.directory / "gateway-run"),
            "interface_prefix": lab.prefix,
            # The kernel's would load a module into this machine, which nothing here may change.
            "backend": "userspace",
            "report_seconds": REPORT_SECONDS,
            "uplink": "wan",
            "resolver_upstream": [lab.at.world],
        }
    }
    settings.write_text(init.to_toml(own), encoding="utf-8")
    new = shop.add_gateway(line, host=lab.at.endpoint, port=machines.PORT)
    said = lab.ferriage("agent", "enrol", new.token, config=settings)
    teller.show(said.strip().splitlines()[0])
    lab.start_on_gateway("agent", "run", config=settings, log=lab.directory / "agent.log")
    lab.start_on_gateway("hold", config=settings, log=lab.directory / "hold.log")
    wait_for(shop.gateway_is_live, within=60, what="the gateway reports the line open")
    version = call("wireguard-go", "--version").splitlines()[0]
    teller.show(f"✓ the gateway runs the line; WireGuard in userspace, {version}")
