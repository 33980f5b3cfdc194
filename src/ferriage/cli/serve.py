"""The processes: each runs until SIGTERM, in the foreground, with its log on standard error."""

from __future__ import annotations

import ipaddress
import os
import resource
import signal
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ferriage.cli import house, reach
from ferriage.cli.words import CommandError, Exit, as_called, complain, say, tell
from ferriage.config import config_path

if TYPE_CHECKING:
    import argparse
    from datetime import datetime
    from types import ModuleType

    from ferriage.core.rounds import Run

WORKERS: Final = 2
"""Processes that answer, shared among the addresses; each address has one at least."""
MOST_CONNECTIONS: Final = 4096
"""Of one process that answers; more wait until one of these ends."""
HEAD_SECONDS: Final = 20
"""How long a connection may be open without the whole head of a request, between two as well.

Agents give up idle connections after 15 seconds (aiohttp's own). Were the site to do so first, a
report would now and then meet a connection that ends.
"""
_LONGEST_PAUSE_SECONDS: Final = 30
_FEWEST_CONNECTIONS: Final = 64
_OTHER_FILES: Final = 384
"""Files of a process that are no connections: bodies on disk, databases, code."""
_MOST_FILES: Final = 65_536
_LARGEST_HEAD: Final = 32 * 1024
"""Bytes; the server holds as much of an answer back, too."""


def site(parsed: argparse.Namespace) -> int:
    """Serve one address; `up` starts one of these for each."""
    config = house.enter()
    if parsed.listen is None and len(config.site.listen) > 1:
        raise CommandError(
            "site.listen has several addresses; run one site for each, with --listen, "
            "or `ferriage up`, which does so.",
            Exit.USAGE,
        )
    from ferriage.approvals.site import packs_in_force

    packs_in_force()  # A rule pack that cannot be used is refused before anybody is served.

    address, port = reach.split(parsed.listen or config.site.listen[0])
    refusal = reach.why_not(address, port)
    if refusal:
        raise CommandError(
            f"Cannot listen on {address}, port {port}: {refusal}. End what listens there, "
            "or change site.listen."
        )
    workers = max(1, WORKERS // len(config.site.listen))
    listen("ferriage.web.asgi:application", address, port, workers)
    return Exit.DONE


def listen(application: str, address: str, port: int, workers: int) -> None:
    """Serve an application until SIGTERM, with bounds on connections that ask for nothing."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    Granian(
        application,
        address=address,
        port=port,
        interface=Interfaces.ASGINL,
        # Where it may be either version, a connection that says nothing has no end.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=_LARGEST_HEAD
        ),
        workers=workers,
        backlog=4096,
        backpressure=_connections(),
        websockets=False,
        workers_kill_timeout=5,
        respawn_failed_workers=True,
        log_access=False,
    ).serve()


def _connections(most: int = MOST_CONNECTIONS) -> int:
    """Return how many connections a process may hold, after asking for all files it may have.

    One that it has no file for would be accepted in vain, again and again.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    files = max(soft, allowed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(_FEWEST_CONNECTIONS, min(most, files - _OTHER_FILES))


def hub(_: argparse.Namespace) -> int:
    """Answer gateways' long-polls; no Django."""
    from ferriage.hub import door, server

    config = house.load()
    return server.main(config, places=_connections(door.PLACES), spelled=as_called)


def hold(_: argparse.Namespace) -> int:
    """Serve the hold page; neither database nor site."""
    from ferriage.agent import hold as page

    return page.main(house.load())


def agent(_: argparse.Namespace) -> int:
    """Run the agent of an enrolled gateway."""
    from ferriage.agent import run

    return run.main(house.load(), spelled=as_called)


def enrol(parsed: argparse.Namespace) -> int:
    """Make this host a gateway."""
    from ferriage import wire
    from ferriage.agent import identity, logs
    from ferriage.agent.errors import Declined

    path = config_path()
    if not path.exists():
        # A gateway's host needs no shop: the token says where the site is.
        house.write_private(
            path, "# Settings of a Ferriage gateway; see docs/reference/settings.md\n"
        )
        say(f"wrote {path}")
    config = house.load()
    logs.hush()
    join = partial(identity.enrol, config, token=parsed.token, endpoint_port=parsed.endpoint_port)
    try:
        code = join(endpoint_host=parsed.endpoint_host)
    except Declined as error:
        if error.slug != wire.ENDPOINT_MISSING:
            raise
        code = join(endpoint_host=_own_address())
    tell(f"This host is gateway {code}. Start it with `ferriage agent run` or `ferriage up`.")
    return Exit.DONE


def _own_address() -> str:
    """Return where customers may find this host when nobody has said, and tell which that is.

    Raises:
        CommandError: It has no way out.
    """
    from ferriage.agent.host import outward_address

    address = outward_address()
    if not address:
        raise CommandError(
            "Nobody has said where customers' tunnels reach this host, and it has no route to the "
            "internet to tell by. Add --endpoint-host and its name or address; the token still "
            "works."
        )
    say(f"Nobody has said where tunnels reach this host, so customers' files will name {address}.")
    if not ipaddress.ip_address(address).is_global:
        say("  It is no public address: only devices in networks that lead to it get through.")
    tell("  If that is wrong: `ferriage gateway endpoint NAME ADDRESS` on the shop's machine.")
    return address


def remove(parsed: argparse.Namespace) -> int:
    """Take this host's gateway down."""
    from ferriage.agent import logs, removal

    config = house.load()
    if os.geteuid() != 0:
        raise CommandError("Only root can take a gateway down; nothing was changed.")
    logs.hush()
    done = False
    for sentence in removal.remove(config, forget=parsed.forget):
        say(sentence)
        done = True
    if done:
        say("This host's network is as it was before it became a gateway.")
    else:
        say("Nothing of a gateway is left on this host.")
    state_dir = config.resolve(config.agent.state_dir)
    if (state_dir / "identity.json").exists():
        tell(f"Its keys stay in {state_dir}: `ferriage up` or `ferriage agent run` brings it back.")
        tell("`ferriage agent remove --forget` deletes them too.")
    return Exit.DONE


# --- worker -----------------------------------------------------------------------------------


def worker(parsed: argparse.Namespace) -> int:
    """Ask each room what is due, once a second; ends between two rooms, never inside one."""
    house.enter()
    from ferriage.core import clock

    if parsed.once:
        looked = _round(clock.now())
        say(f"{looked.done} done")
        return Exit.REFUSED if looked.failed else Exit.DONE
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    pause = 1
    while True:
        failed = _round(clock.now()).failed
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS) if failed else 1
        _forget_connections()
        if signal.sigtimedwait(signals, pause) is not None:
            return Exit.DONE


class _Round(NamedTuple):
    """How many things were done, and how many rooms failed."""

    done: int
    failed: int


def _round(now: datetime) -> _Round:
    """Let each room do what is due; a fault in one is told and keeps no other from its work."""
    from ferriage.approvals import tasks as approvals
    from ferriage.core import rounds
    from ferriage.devices import tasks as devices
    from ferriage.fleet import tasks as fleet
    from ferriage.fleet import watch
    from ferriage.ledger import tasks as ledger
    from ferriage.orders import tasks as orders
    from ferriage.payments import tasks as payments

    done = 0
    runs = []
    # The law, then permits: what is lapsed must be closed before anything is sold or extended.
    # Last what may wait for a hub that is away.
    for room in (approvals, fleet, orders, payments, devices, ledger, watch):
        began, failure = time.monotonic(), ""
        try:
            done += room.run(now)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the other rooms' work is due
            complain(traceback.format_exc())
            failure = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - began
        runs.append(rounds.Run(name=_part(room), seconds=seconds, failure=failure))
    _note(runs, now)
    return _Round(done, sum(bool(run.failure) for run in runs))


def _part(room: ModuleType) -> str:
    """Return what a part of the worker is called: its room, or "alarms"."""
    name: str = getattr(room, "NAME", room.__name__.split(".")[1])
    return name


def _note(runs: list[Run], now: datetime) -> None:
    """Keep how the round went; without a database nobody could read it."""
    from django.db import DatabaseError

    from ferriage.core import rounds

    try:
        rounds.note_round(runs, now=now)
    except DatabaseError as error:
        complain(f"What the worker did was not noted: {error}")


def _forget_connections() -> None:
    from django.db import close_old_connections

    close_old_connections()
