"""Site, hub and worker as `ferriage up` starts them, scraped as Prometheus does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from exposition import named_well, samples
from running_ferriage import ferriage
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 60
TOKEN = "of-the-scraper"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A shop that runs: each of its parts is scraped where it listens."""

    def __init__(self, directory: Path) -> None:
        self.site, self.hub = _free_port(), _free_port()
        (directory / "metrics.token").write_text(f"{TOKEN}\n")
        self._environment = {
            "FERRIAGE_SITE_URL": f"http://localhost:{self.site}",
            "FERRIAGE_SITE_LISTEN": f"127.0.0.1:{self.site}",
            "FERRIAGE_HUB_LISTEN": f"127.0.0.1:{self.hub}",
            "FERRIAGE_HUB_URL": f"http://127.0.0.1:{self.hub}",
            "FERRIAGE_METRICS_TOKEN_FILE": str(directory / "metrics.token"),
        }
        self.directory = directory
        with (directory / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ferriage", "up"],
                cwd=directory,
                env={**os.environ, **self._environment, "FERRIAGE_CONFIG": "ferriage.toml"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def scrape(self, port: int) -> dict[str, float]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 -- loopback
            text = answer.read().decode()
        assert named_well(text) == []
        return samples(text)

    def alarms(self) -> subprocess.CompletedProcess[str]:
        return ferriage(self.directory, "alarms", **self._environment)


@pytest.fixture
def running(shop: Path) -> Iterator[Running]:
    made = Running(shop)
    try:
        yield made
    finally:
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(30)


def test_running_shop_is_scraped_and_its_alarms_are_listed(running: Running) -> None:
    def healthy() -> bool:
        site = running.scrape(running.site)
        well = [site[f'ferriage_worker_failing{{task="{task}"}}'] == 0 for task in ("fleet", "hub")]
        return all(well)

    eventually(healthy, within=SECONDS)
    site, hub = running.scrape(running.site), running.scrape(running.hub)

    assert site['ferriage_alarms_open{kind="worker_late"}'] == 0
    assert site['ferriage_worker_run_age_seconds{task="fleet"}'] < SECONDS
    assert hub["ferriage_hub_database_up"] == 1
    assert hub['ferriage_hub_answers_total{outcome="malformed"}'] >= 1, (
        "asked by the worker, unsigned"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{running.site}/metrics", timeout=5)
    refused.value.close()
    assert refused.value.code == 401
    done = running.alarms()
    assert (done.returncode, done.stdout) == (0, "No alarm is open.\n")


def test_shop_without_a_worker_has_an_alarm(shop: Path) -> None:
    done = ferriage(shop, "alarms")

    assert done.returncode == 1
    assert done.stdout.startswith("worker late: worker (since ")
    assert "Start ferriage-worker" in done.stdout
