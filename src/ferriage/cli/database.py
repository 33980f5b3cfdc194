"""`ferriage db`: the shop's rows from SQLite to PostgreSQL, and a backup that was put back."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say, tell
from ferriage.config import DatabaseConfig

if TYPE_CHECKING:
    import argparse

    from ferriage.config import Config
    from ferriage.core.moving import Source, Target


def restored(parsed: argparse.Namespace) -> int:
    """Begin another history of the database, so that no gateway takes the backup for news."""
    house.enter()
    from ferriage.core import clock
    from ferriage.core.actors import Actor
    from ferriage.fleet import actions
    from ferriage.fleet.models import Gateway

    if not parsed.yes:
        enrolled = Gateway.objects.filter(state=Gateway.State.ACTIVE).count()
        raise CommandError(
            "This is for a database that was put back from a backup, before the shop is started "
            "on it. It begins another history, which cannot be undone: each enrolled gateway "
            f"({enrolled} here) then keeps off who was removed, and waits on its page for what is "
            "to become of them. Stop site, worker and hub, and add --yes if a backup was put "
            "back; nothing was changed."
        )
    epoch = actions.begin_history(
        witnesses={}, now=clock.now(), actor=Actor("command", "db restored")
    )
    say(f"The database's history begins anew as {epoch}.")
    tell(
        "Start the shop. Gateways keep who paid since the backup, and keep off who was removed "
        "since; each gateway's page says whom, within a minute, and asks what is to become of them."
    )
    return Exit.DONE


def migrate_to(parsed: argparse.Namespace) -> int:
    """Copy, compare and verify; then print the one setting to change. Repeatable at any point."""
    config = house.load()
    if config.database.url:
        raise CommandError(
            "database.url is set, so this shop is on PostgreSQL already; only a shop on SQLite "
            "is moved."
        )
    if not parsed.url.startswith(("postgresql://", "postgres://")):
        raise CommandError("The target must be a postgresql:// address.", Exit.USAGE)
    _check_release(config)
    import psycopg

    from ferriage.core import moving

    with moving.held(config.database_path) as source:
        try:
            with psycopg.connect(
                autocommit=True, **DatabaseConfig(url=parsed.url).parameters()
            ) as db:
                db.execute("SET TIME ZONE 'UTC'")
                _move(config, source, moving.Target(db), parsed.url)
        except psycopg.Error as error:
            raise CommandError(
                f"The target does not take it: {error} Nothing of the source was changed; "
                "start this again to go on."
            ) from error
    say("Every row is there. One setting is to be changed, on every host of the shop:")
    say(f'\n  [database]\n  url = "{parsed.url}"\n')
    tell("Then start it with `ferriage up`. The SQLite file stays; no process opens it any more.")
    return Exit.DONE


def _check_release(config: Config) -> None:
    """Refuse a source that is not of this release, and let go of it again.

    Raises:
        CommandError: It is not, or there is none.
    """
    from django.db import connections

    if not config.database_path.exists():
        raise CommandError(f"There is no {config.database_path}.", Exit.NOT_SET_UP)
    house.start_django(config)
    waiting = house.waiting_migrations()
    connections.close_all()
    if waiting:
        raise CommandError(
            "The database is not of this release. `ferriage init` brings it up to it.",
            Exit.NOT_SET_UP,
        )


def _move(config: Config, source: Source, target: Target, url: str) -> None:
    phase = target.claim(source)
    if phase == "made":
        tell("Making the tables on the target; this takes up to some minutes …")
        _run(config, url, "django", "migrate", "--verbosity=0", "--no-input")
        target.begin_copying(source)
    if phase != "done":
        tables = source.tables()
        for table in tables:
            target.copy(source, table)
        target.set_sequences(source)
        _compare(source, target, tables)
        say(_run(config, url, "ferriage", "ledger", "check").strip())
        target.finish()
    if not source.has_moved():
        source.close_for_good()


def _compare(source: Source, target: Target, tables: list[str]) -> None:
    """Print count and checksum of each table.

    Raises:
        CommandError: Source and target differ, or a trigger of the target is off.
    """
    from ferriage.core import moving

    wrong = []
    for table in tables:
        theirs, ours = moving.sums(source, target, table)
        mark = "✓" if theirs == ours else "✗"
        say(f"{mark} {table:<32}{ours.rows:>10} rows  {ours.digest[:16]}")
        if theirs != ours:
            wrong.append(table)
    wrong += target.disabled_triggers()
    if wrong:
        raise CommandError(
            f"Source and target differ in {', '.join(wrong)}. The source is whole and still the "
            "shop. Drop the target, create it anew and start again."
        )


def _run(config: Config, url: str, module: str, *arguments: str) -> str:
    """Run a command on the target in a process of its own, as the shop's settings will be.

    Raises:
        CommandError: It failed; the message is its own.
    """
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ferriage.core.settings",
        "FERRIAGE_CONFIG": str(config.path),
        "FERRIAGE_DATABASE_URL": url,
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"On the target: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
