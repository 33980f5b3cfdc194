"""The real site and hub for a gateway with real packets: processes in the namespace of the site."""

from __future__ import annotations

import sys
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

from support import eventually
from tunnel_world import SITE4

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from ferriage.config import Config
    from netns import Namespace

SITE_PORT, HUB_PORT = 8000, 8001


def at_home(config: Config) -> Config:
    """Return settings with which site and hub listen in the namespace of the site."""
    site, hub = f"{SITE4}:{SITE_PORT}", f"{SITE4}:{HUB_PORT}"
    return replace(
        config,
        site=replace(config.site, url=f"http://{site}", listen=(site,)),
        hub=replace(config.hub, url=f"http://{hub}", listen=hub),
    )


class RealSite:
    """Site and hub as processes; ended and started like an operator does."""

    def __init__(self, config: Config, home: Namespace, directory: Path) -> None:
        self._config = config
        self._home = home
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        config = self._config
        environment = {
            "FERRIAGE_CONFIG": str(config.path),
            "FERRIAGE_DATABASE_URL": config.database.url,
            "FERRIAGE_SITE_DATA_DIR": str(config.data_dir),
            "FERRIAGE_SITE_URL": config.site.url,
            "FERRIAGE_SITE_LISTEN": config.site.listen[0],
            "FERRIAGE_HUB_LISTEN": config.hub.listen,
            "FERRIAGE_HUB_URL": config.hub.url,
        }
        for command in ("site", "hub"):
            log = self._directory / f"{command}.log"
            program = (sys.executable, "-m", "ferriage", command)
            self._processes.append(self._home.start(*program, output=log, env=environment))
        for port in (SITE_PORT, HUB_PORT):
            eventually(lambda port=port: self._answers(port), within=60, every=0.2)

    def _answers(self, port: int) -> bool:
        with (
            self._home.entered(),
            urllib.request.urlopen(f"http://{SITE4}:{port}/healthz", timeout=5) as answer,
        ):
            return bool(answer.status == 200)

    def stop(self) -> None:
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            process.wait(30)
