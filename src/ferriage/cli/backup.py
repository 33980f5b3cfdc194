"""`ferriage db backup`: the database of a running shop as one file, and what belongs beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ferriage.cli import house
from ferriage.cli.words import CommandError, Exit, say, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ferriage.config import Config

_BUSY_SECONDS: Final = 60.0
_KEYS: Final = ("secret.key", "permit.key", "feed.key", "evidence.key")


def run(parsed: argparse.Namespace) -> int:
    """Write every row as of one instant to a new file; the shop may go on selling meanwhile.

    Neither the release nor the rows are judged: a backup is wanted most where something is wrong.
    """
    config = house.load()
    if config.database.url:
        raise CommandError(
            "This shop is on PostgreSQL: `pg_dump --format=custom --file=FILE DATABASE` backs it "
            f"up while it runs. Then copy {_named(_beside(config))}."
        )
    if not config.database_path.exists():
        raise CommandError(f"There is no {config.database_path}.", Exit.NOT_SET_UP)
    # Whole, because SQLite takes `:memory:` and an empty name for something other than a file.
    target = Path(parsed.file).absolute()
    if not target.parent.is_dir():
        raise CommandError(f"There is no directory {target.parent} to write to.")
    try:
        house.write_private(target, "")
    except FileExistsError as error:  # A link that leads nowhere is there too.
        raise CommandError(f"There is a file {target} already. Nothing was written.") from error
    except OSError as error:
        raise CommandError(f"Cannot write {target}: {error.strerror}.") from error
    try:
        _copy(config.database_path, target)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise CommandError(f"The database could not be copied: {error}") from error
    say(f"Wrote {target}: every row as of one instant, and the copy is whole.")
    say("Copy now, to the same place:")
    for path in _beside(config):
        say(f"  {path}")
    tell(
        "Without secret.key nobody can log in, and without evidence.key no document can be opened. "
        "Keep all of it as secret as the shop itself."
    )
    return Exit.DONE


def _copy(source: Path, target: Path) -> None:
    """Copy by SQLite itself: a plain copy lacks what the file's log beside it still holds.

    Raises:
        sqlite3.Error: It could not be read or written, or the copy is not whole.
    """
    address = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as db,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # In one step, so in one read transaction: in WAL mode it holds nobody up, and nobody
        # makes it begin again.
        db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        # Some constraints are written with functions that only Django brings.
        copy.execute("PRAGMA ignore_check_constraints = ON")
        (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(said)


def _beside(config: Config) -> Iterator[Path]:
    """Return what no database holds and a restored shop needs."""
    yield config.path
    for name in (*_KEYS, "evidence"):
        path = config.data_dir / name
        if path.exists():
            yield path


def _named(paths: Iterator[Path]) -> str:
    return ", ".join(map(str, paths))
