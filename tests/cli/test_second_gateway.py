"""The block that makes a bare host a gateway, pasted in a namespace beside a real shop's."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.cli.demo import spaces
from ferriage.cli.demo.browser import Browser
from ferriage.cli.demo.spaces import Space
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.tunnel

SHOP, BARE = "198.51.100.1", "198.51.100.2"
ANSWERS = "SE\n\n\nHarbour AB\n\n\n\n\n\n" + 4 * (
    "We read the act and find that no permission is asked for.\nThe act that we read\n"
    "chapter 2, section 1\n2026-11-01\nOlga Harbour\nyes\n"
)
ROOT = Path(__file__).parents[2]
NEEDED = ROOT / "requirements/agent.txt"
UV = ROOT / ".tools/bin/uv"
OURS = Path(sys.base_prefix) / "bin/python3"
OLDER = Path("/usr/bin/python3")


@dataclass
class Two:
    """A shop's machine, and one with nothing of Ferriage on it."""

    directory: Path
    shop: Space
    bare: Space
    python: Path

    @property
    def root(self) -> Path:
        return self.directory / "bare"

    @property
    def settings(self) -> Path:
        return self.root / "etc/ferriage/ferriage.toml"

    def ferriage(self, *words: str) -> str:
        done = _run(self.shop, self.shop_environment(), sys.executable, "-m", "ferriage", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shop_environment(self) -> dict[str, str]:
        return {
            "FERRIAGE_CONFIG": str(self.directory / "ferriage.toml"),
            "FERRIAGE_SITE_URL": f"http://{SHOP}:8000",
            "FERRIAGE_SITE_LISTEN": f"{SHOP}:8000",
            "FERRIAGE_HUB_URL": f"http://{SHOP}:8001",
            "FERRIAGE_HUB_LISTEN": f"{SHOP}:8001",
        }

    def block(self) -> str:
        """Return what is printed for a new gateway, from its first line to its last."""
        line = re.search(r"ln_\w+", self.ferriage("list"))
        assert line
        said = self.ferriage("gateway", "add", "two", "--place", "SE", "--line", line[0])
        found = re.search(r"^\(\n.*^\)$", said, re.MULTILINE | re.DOTALL)
        assert found
        return found[0]

    def bare_environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "FERRIAGE_ROOT": str(self.root),
            "FERRIAGE_AGENT_RUN_DIR": str(self.directory / "run"),
            "FERRIAGE_AGENT_INTERFACE_PREFIX": f"fs{os.getpid()}g",
            "FERRIAGE_AGENT_BACKEND": "userspace",
        }

    def paste(self, block: str) -> subprocess.CompletedProcess[str]:
        return _run(self.bare, self.bare_environment(), "bash", "-s", stdin=block)


def _run(
    space: Space, environment: dict[str, str], *words: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", "netns", "exec", space.name, *words],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def _start(two: Two, command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["ip", "netns", "exec", two.shop.name, sys.executable, "-m", "ferriage", command],
        env={**os.environ, **two.shop_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _give_wheels(two: Two) -> None:
    """Make the host's environment as pip would from its index, which no namespace here reaches."""
    venv = two.root / "opt/ferriage/.venv"
    subprocess.run([two.python, "-m", "venv", venv], check=True)
    if two.python == OLDER:
        hashed = ("--require-hashes", "-r", NEEDED)
        subprocess.run([UV, "pip", "install", "-q", "--python", venv, *hashed], check=True)
        return
    packages = next((venv / "lib").glob("python3*/site-packages"))
    for name in re.findall(r"^([a-z0-9_-]+)==", NEEDED.read_text(), re.MULTILINE):
        for file in metadata.distribution(name).files or ():
            if ".." not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target)


def _healthy(two: Two) -> bool:
    with two.bare.entered():
        return Browser(f"http://{SHOP}:8000").get("/healthz").status == 200


def _is_debian_12s(python: Path) -> bool:
    asked = [python, "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 11))"]
    return python.exists() and subprocess.run(asked, check=False).returncode == 0


@pytest.fixture
def python() -> Path:
    """What `python3` is on the bare host."""
    return OURS


@pytest.fixture
def two(tmp_path: Path, python: Path) -> Iterator[Two]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if python == OLDER and not (_is_debian_12s(python) and UV.exists()):
        pytest.skip("needs Debian 12's Python 3.11, and uv from ./setup")
    with ExitStack() as stack:
        stack.callback(spaces.remove_sockets, f"fs{os.getpid()}")
        shop, bare = Space("shop"), Space("bare")
        for space in (shop, bare):
            stack.callback(space.close)
        spaces.join(shop, bare, names=("wan", "out"))
        shop.address("wan", f"{SHOP}/24")
        bare.address("out", f"{BARE}/24")
        bare.run("ip", "route", "add", "default", "via", SHOP)
        made = Two(tmp_path, shop, bare, python)
        init = (sys.executable, "-m", "ferriage", "init", "--local")
        done = _run(shop, made.shop_environment(), *init, stdin=ANSWERS)
        assert done.returncode == 0, done.stderr
        _give_wheels(made)
        for command in ("site", "hub"):
            program = _start(made, command)
            stack.callback(program.wait, 30)
            stack.callback(program.terminate)
        eventually(lambda: _healthy(made), within=60)
        yield made


def test_bare_host_becomes_a_gateway_and_the_block_may_be_pasted_twice(two: Two) -> None:
    block = two.block()

    first, again = two.paste(block), two.paste(block)

    assert first.returncode == 0, first.stdout + first.stderr
    assert "This host is gateway gw_" in first.stdout
    assert (two.root / "var/lib/ferriage-agent/identity.json").exists()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "enrolled already; the token was not used" in again.stdout
    doctor = _run(
        two.bare,
        {
            **two.bare_environment(),
            "FERRIAGE_CONFIG": str(two.root / "etc/ferriage/ferriage.toml"),
        },
        *(str(two.root / "opt/ferriage/.venv/bin/ferriage"), "agent", "doctor"),
    )
    assert "✓ the site was reached" in doctor.stdout, doctor.stdout + doctor.stderr
    assert "✓ the site knows this gateway" in doctor.stdout
    assert doctor.returncode == 1
    assert "✗ forwarding is off" in doctor.stdout


def test_bytes_that_are_not_the_shops_own_do_not_run(two: Two) -> None:
    block = re.sub(r'echo "\w{64} ', f'echo "{"0" * 64} ', two.block())

    done = two.paste(block)

    assert done.returncode == 1
    assert "FAILED" in done.stdout + done.stderr
    assert not (two.root / "etc").exists()


def test_block_of_another_release_says_so(two: Two) -> None:
    block = re.sub(r"\w{64}\.tar\.gz", f"{'0' * 64}.tar.gz", two.block())

    done = two.paste(block)

    assert done.returncode == 1
    assert "Make a new block" in done.stderr
    assert not (two.root / "etc").exists()


def _row(two: Two) -> sqlite3.Row:
    with closing(sqlite3.connect(two.directory / "data" / "ferriage.sqlite3")) as db:
        db.row_factory = sqlite3.Row
        found: sqlite3.Row = db.execute("SELECT * FROM fleet_gateway WHERE name = 'two'").fetchone()
        return found


def _checks(two: Two) -> dict[str, str]:
    return {check["slug"]: check["state"] for check in json.loads(_row(two)["checks"])}


def _agent(two: Two) -> subprocess.Popen[bytes]:
    program = two.root / "opt/ferriage/.venv/bin/ferriage"
    return subprocess.Popen(
        ["ip", "netns", "exec", two.bare.name, program, "agent", "run"],
        env={**os.environ, **two.bare_environment(), "FERRIAGE_CONFIG": str(two.settings)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("python", [OURS, OLDER], ids=["as the shop's", "Debian 12's"])
def test_new_gateway_comes_to_life_as_the_site_sees_it(two: Two) -> None:
    assert two.paste(two.block()).returncode == 0
    agent = _agent(two)
    try:
        eventually(lambda: _checks(two).get("line") == "ok", within=30)
        eventually(lambda: _probed(two) == "answered", within=60)
    finally:
        agent.terminate()
        agent.wait(20)
        removed = _run(
            two.bare,
            {**two.bare_environment(), "FERRIAGE_CONFIG": str(two.settings)},
            *(str(two.root / "opt/ferriage/.venv/bin/ferriage"), "agent", "remove"),
        )

    assert removed.returncode == 0, removed.stderr
    row, checks = _row(two), _checks(two)
    assert (row["spoken"], row["outward_address"]) == (wire.FEED_FORMAT, BARE)
    expected = dict.fromkeys(("wireguard", "ipv4", "ipv6", "forwarding", "clock", "line"), "ok")
    assert {slug: checks[slug] for slug in expected} == expected
    assert checks["handshake"] == "unknown"


def _probed(two: Two) -> str:
    two.ferriage("worker", "--once")
    found: str = _row(two)["probe"]
    return found
