"""`ferriage simulate`: many agents without a data plane against a real site and hub.

The shop is made for it, in a directory and a database that hold nothing else. Site, hub and agents
are processes of their own and speak HTTP; this one commits the changes and reads the clock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ferriage import config as settings
from ferriage.cli import house
from ferriage.cli.simulate import agents, figures
from ferriage.cli.simulate.machine import Server, free_port
from ferriage.cli.words import CommandError, Exit, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from ferriage.cli.simulate.shop import Shop
    from ferriage.config import Config

_PATIENCE_SECONDS: Final = 600.0
_ENROL_SECONDS: Final = 1800.0
_REST_SECONDS: Final = 20.0


def run(parsed: argparse.Namespace) -> int:
    """Simulate; exit code 1 when an agent does not end where the site wants it."""
    _check(parsed)
    # A shop's own settings must not reach the simulation, nor the simulation that shop.
    for name in [name for name in os.environ if name.startswith("FERRIAGE_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="ferriage-simulate-") as directory:
        config = _make_house(Path(directory), parsed.database)
        from django.db import connections

        try:
            _simulate(config, parsed)
        finally:
            connections.close_all()
    return Exit.DONE


def _check(parsed: argparse.Namespace) -> None:
    least = (parsed.gateways, parsed.pools or 1, parsed.devices, parsed.processes, parsed.rate)
    if min(least) <= 0 or min(parsed.seconds, parsed.outage) < 0:
        raise CommandError("Numbers of things and the rate must be above 0.", Exit.USAGE)
    parsed.pools = parsed.pools or max(1, parsed.gateways // 5)
    if parsed.pools > parsed.gateways:
        raise CommandError("Every pool needs a gateway: take fewer --pools.", Exit.USAGE)


def _make_house(directory: Path, database: str) -> Config:
    """Write the settings of a shop in the invented place, and make its database.

    Raises:
        CommandError: The database named holds something.
    """
    from ferriage.approvals import packs
    from ferriage.cli.init import to_toml

    site, hub = (f"127.0.0.1:{free_port()}" for _ in range(2))
    values: dict[str, dict[str, object]] = {
        "site": {"url": f"http://{site}", "listen": [site], "secure_cookies": False},
        "hub": {"url": f"http://{hub}", "listen": hub},
        "database": {"url": database},
        "shop": {"inner6": house.random_inner_network()},
        "approvals": {"packs": [str(packs.demo_path())]},
    }
    path = directory / "ferriage.toml"
    house.write_private(path, to_toml(values))
    config = settings.load(path)
    house.make_keys(config)
    house.start_django(config)
    _refuse_used()
    house.make_database(config)
    return config


def _refuse_used() -> None:
    from django.db import OperationalError, connection

    try:
        tables = connection.introspection.table_names()
    except OperationalError as error:
        raise CommandError(f"The database cannot be used: {error}") from error
    if tables:
        raise CommandError(
            "This database is not empty, and a simulation makes a shop of its own in it. "
            "Name one made for it: createdb, then --database. Nothing was changed."
        )


@dataclass
class _Drivers:
    """The processes that run agents, and the pipes to them."""

    processes: list[SpawnProcess]
    pipes: list[Connection]
    failed: int = 0
    """How many requests had failed when the agents were asked last."""

    def enrolled(self) -> int:
        """Wait until all are enrolled; return how many there are.

        Raises:
            CommandError: One was refused.
        """
        found = [self._received(pipe, _ENROL_SECONDS) for pipe in self.pipes]
        for answer in found:
            if isinstance(answer, str):
                raise CommandError(f"An agent could not enrol: {answer}")
        return sum(found)

    def behind(self, goals: dict[str, agents.Goal], seconds: float = _PATIENCE_SECONDS) -> int:
        """Wait until all agents hold the goals; return how many do not when time is up."""
        for pipe in self.pipes:
            pipe.send((goals, seconds))
        found = [self._received(pipe, seconds + 30) for pipe in self.pipes]
        self.failed = sum(failed for _, failed in found)
        return sum(behind for behind, _ in found)

    def tally(self) -> agents.Tally:
        """End all agents and return what they counted."""
        total = agents.Tally()
        for pipe in self.pipes:
            pipe.send(None)
        for pipe in self.pipes:
            total.add(self._received(pipe, _PATIENCE_SECONDS))
        return total

    @staticmethod
    def _received(pipe: Connection, seconds: float) -> Any:
        with contextlib.suppress(EOFError):
            if pipe.poll(seconds):
                return pipe.recv()
        raise CommandError("A process of simulated agents broke off or hangs; it says why above.")


@contextlib.contextmanager
def _driving(tokens: Sequence[str], processes: int) -> Iterator[_Drivers]:
    """Run the agents of these tokens until the block ends."""
    context = get_context("spawn")
    drivers = _Drivers([], [])
    report_seconds = float(settings.AgentConfig().report_seconds)
    try:
        for number in range(processes):
            ours, theirs = context.Pipe()
            fleet = agents.Fleet(tuple(tokens[number::processes]), report_seconds)
            process = context.Process(target=agents.main, args=(theirs, fleet), daemon=True)
            process.start()
            theirs.close()
            drivers.processes.append(process)
            drivers.pipes.append(ours)
        yield drivers
    finally:
        for process in drivers.processes:
            process.kill()
            process.join()


def _simulate(config: Config, parsed: argparse.Namespace) -> None:
    from ferriage.cli.simulate import shop as shops

    say(
        f"A shop with {parsed.pools:,} lines, {parsed.devices:,} devices and"
        f" {parsed.gateways:,} gateways is made."
    )
    shop, tokens = shops.fill(gateways=parsed.gateways, pools=parsed.pools, devices=parsed.devices)
    servers = tuple(
        Server(name, config, url, log=config.path.with_name(f"{name}.log"))
        for name, url in (("site", config.site.url), ("hub", config.hub.url))
    )
    try:
        for server in servers:
            server.start()
        with _driving(tokens, parsed.processes) as drivers:
            _play(shop, servers, drivers, parsed)
    finally:
        for server in servers:
            server.end()


def _play(
    shop: Shop, servers: Sequence[Server], drivers: _Drivers, parsed: argparse.Namespace
) -> None:
    began = time.monotonic()
    enrolled = drivers.enrolled()
    say(f"{enrolled:,} agents enrolled in {time.monotonic() - began:.1f} s.")
    say(f"All hold their pool {_settled(shop, drivers):.1f} s later.\n")
    processes = [process.pid or 0 for process in drivers.processes]
    meter = figures.Meter(servers, processes)
    time.sleep(min(_REST_SECONDS, parsed.seconds))
    rest = meter.spent()
    meter = figures.Meter(servers, processes)
    rate = _churn(shop, parsed.rate, parsed.seconds)
    _settled(shop, drivers)
    spent = meter.spent()
    quiet = dict(shop.committed)
    if parsed.outage:
        _outage(shop, servers, drivers, parsed)
    figures.show(drivers.tally(), quiet, rate, spent=spent, rest=rest)
    say(f"\nEach of {enrolled:,} agents holds its pool's revision and digest, and the site knows.")


def _settled(shop: Shop, drivers: _Drivers) -> float:
    """Wait until all agents hold what the database does, and the site believes it.

    Returns:
        The seconds that it took.

    Raises:
        CommandError: They do not; one that is behind for so long stays behind.
    """
    began = time.monotonic()
    behind = drivers.behind(shop.goals())
    if behind or shop.told():
        raise CommandError(
            f"{behind} agents do not hold what the database does after {_PATIENCE_SECONDS:.0f} s, "
            f"and the site believes it of {shop.told()}."
        )
    return time.monotonic() - began


def _churn(shop: Shop, rate: float, seconds: float) -> float:
    """Commit changes, each at its time whatever the one before took; return how many a second.

    Late ones are not left out, so a shop that cannot keep up shows as a lower rate.
    """
    began = time.monotonic()
    number = 0
    while number < rate * seconds:
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        shop.change()
        number += 1
    return number / max(time.monotonic() - began, 1 / rate)


def _outage(
    shop: Shop, servers: Sequence[Server], drivers: _Drivers, parsed: argparse.Namespace
) -> None:
    """Kill site and hub at once, go on changing, and bring them back to all agents together."""
    for server in servers:
        server.end(signal.SIGKILL)
    _churn(shop, parsed.rate, parsed.outage)
    began = time.monotonic()
    for server in servers:
        server.start()
    up = time.monotonic() - began
    drivers.behind(shop.goals(), 0)
    failed = drivers.failed
    back = _settled(shop, drivers)
    say(f"Site and hub were killed for {parsed.outage:g} s while the shop went on selling.")
    say(
        f"They were up after {up:.1f} s, and all agents had caught up {back:.1f} s later;"
        f" {drivers.failed - failed:,} requests failed meanwhile.\n"
    )
