"""A part of a shop in a process of its own on this machine: `ferriage site`, `hub` or `worker`."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.config import Config


@contextmanager
def own_process(config: Config, command: str, url: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run a part until the block ends; with a `url`, wait until it answers there."""
    environment = {
        **os.environ,
        "FERRIAGE_CONFIG": str(config.path),
        "FERRIAGE_DATABASE_URL": config.database.url,
        "FERRIAGE_SITE_DATA_DIR": str(config.data_dir),
        "FERRIAGE_SITE_URL": config.site.url,
        "FERRIAGE_SITE_LISTEN": config.site.listen[0],
        "FERRIAGE_HUB_LISTEN": config.hub.listen,
        "FERRIAGE_HUB_URL": config.hub.url,
    }
    arguments = [sys.executable, "-m", "ferriage", command]
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
    try:
        if url:
            eventually(lambda: _answers(url), within=60, every=0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=20) as response:  # noqa: S310 -- loopback
            return bool(response.status == 200)
    except urllib.error.URLError:
        return False
